"""ResNeXt for CIFAR: three stages of three bottlenecks whose 3x3 convolution is split into groups.

Saining Xie, Ross Girshick, Piotr Dollár, Zhuowen Tu, Kaiming He: Aggregated Residual Transformations for Deep Neural
Networks, 2017, arXiv:1611.05431, section 5.4, as released for Torch (facebookresearch/ResNeXt).

Departures: none from the released code, which activates after the convolutions; the paper's text describes the blocks
as pre-activated, and it is open which form gave the reported errors. `resnext29_8x4d_thin` and `resnext29_8x2d_thin`
are not in the paper: the same network a quarter and an eighth as wide, for demonstrations and first tries on a CPU.
"""

import dataclasses

import keras

from kerascnn import blocks
from kerascnn.applications._build import CIFARFamily
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec:
    """A network of 29 layers: the stem, three stages of three blocks, the dense layer."""

    cardinality: int  # groups of the 3x3 convolution
    base_width: int  # channels of a group in the first stage; doubles from stage to stage
    stem: int = 64  # channels of the first convolution, a quarter of those of the first stage

    def width(self, stage: int) -> int:
        """Channels of the 3x3 convolutions of a stage, counted from 0."""
        return self.cardinality * self.base_width * 2**stage


_DEPTHS = (3, 3, 3)  # blocks per stage

VARIANTS = {  # table 7; the last two are ours
    "resnext29_8x64d": Spec(8, 64),
    "resnext29_16x64d": Spec(16, 64),
    "resnext29_8x4d_thin": Spec(8, 4, stem=16),
    "resnext29_8x2d_thin": Spec(8, 2, stem=8),
}


def branch(x, width, groups, filters, stride, *, name):
    """1x1, BN, ReLU, 3x3/stride in groups, BN, ReLU, 1x1, BN."""
    x = blocks.conv_bn(x, width, 1, name=f"{name}_conv1")
    x = blocks.conv_bn(x, width, 3, stride, groups=groups, name=f"{name}_conv2")
    return blocks.conv_bn(x, filters, 1, relu=False, name=f"{name}_conv3")


def features(x, spec: Spec, *, drop_path_rate: float = 0.0):
    """Stage outputs [b, h, w, c], [b, h/2, w/2, 2c], [b, h/4, w/4, 4c]; c = 4 * stem."""
    x = blocks.conv_bn(x, spec.stem, 3, name="stem_conv")
    rates = blocks.linear_rates(drop_path_rate, _DEPTHS)
    stages = []
    for s, stage_rates in enumerate(rates):
        filters = 4 * spec.stem * 2**s
        for b, rate in enumerate(stage_rates):
            name = f"stage{s + 1}_block{b + 1}"
            stride = 2 if s > 0 and b == 0 else 1
            y = branch(x, spec.width(s), spec.cardinality, filters, stride, name=name)
            y = blocks.drop_path(y, rate, name=f"{name}_drop_path")
            if b == 0:
                x = blocks.conv_bn(x, filters, 1, stride, relu=False, name=f"{name}_shortcut_conv")
            x = keras.layers.Add(name=f"{name}_add")([x, y])
            x = keras.layers.Activation("relu", name=f"{name}_relu")(x)
        stages.append(x)
    return stages


_family = CIFARFamily(
    __name__,
    features=features,
    variants=VARIANTS,
    paper="Xie, Girshick, Dollár, Tu, He: Aggregated Residual Transformations for Deep Neural Networks, 2017, "
    "arXiv:1611.05431",
    min_size=8,
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

ResNeXt29_8x64d = _family("ResNeXt29_8x64d", "resnext29_8x64d", reported="3.65 % (CIFAR-10), 17.77 % (CIFAR-100)")
ResNeXt29_16x64d = _family("ResNeXt29_16x64d", "resnext29_16x64d", reported="3.58 % (CIFAR-10), 17.31 % (CIFAR-100)")
ResNeXt29_8x4dThin = _family("ResNeXt29_8x4dThin", "resnext29_8x4d_thin")
ResNeXt29_8x2dThin = _family("ResNeXt29_8x2dThin", "resnext29_8x2d_thin")
