"""ResNet for CIFAR-10, with parameter-free shortcuts, and the plain networks without shortcuts.

Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun: Deep Residual Learning for Image Recognition, 2015,
arXiv:1512.03385, section 4.2.

Departures: none. The zero channels of a shortcut come after the features, as in the authors' Torch release.
"""

import dataclasses

import keras

from kerascnn import blocks
from kerascnn.applications._build import CIFARFamily
from kerascnn.applications._images import pixels_and_labels
from kerascnn.layers.zero_pad_shortcut import ZeroPadShortcut


@dataclasses.dataclass(frozen=True)
class Spec:
    """A network of 6 * blocks + 2 layers."""

    blocks: int  # per stage
    residual: bool = True  # False: plain, without shortcuts
    widths: tuple[int, ...] = (16, 32, 64)  # of the stages

    def scaled(self, *, depth: float, width: float, resolution: float):
        """The row with more blocks, rounded up, and wider; of any resolution. See `applications.compound_scale`."""
        widths = tuple(blocks.rounded(each * width) for each in self.widths)
        return dataclasses.replace(self, blocks=blocks.repeated(self.blocks, depth), widths=widths)


VARIANTS = {  # table 6; the plain networks from figure 6
    "resnet20": Spec(3),
    "resnet32": Spec(5),
    "resnet44": Spec(7),
    "resnet56": Spec(9),
    "resnet110": Spec(18),
    "resnet1202": Spec(200),
    "plain20": Spec(3, residual=False),
    "plain56": Spec(9, residual=False),
}


def branch(x, width, stride, *, name):
    """3x3/stride, BN, ReLU, 3x3, BN."""
    x = blocks.conv_bn(x, width, 3, stride, name=f"{name}_conv1")
    return blocks.conv_bn(x, width, 3, relu=False, name=f"{name}_conv2")


def residual(x, width, stride, rate, *, name):
    """Branch, plus x or, where the shape changes, x/stride with zero channels."""
    y = blocks.drop_path(branch(x, width, stride, name=name), rate, name=f"{name}_drop_path")
    if stride != 1 or x.shape[-1] != width:
        x = ZeroPadShortcut(width, stride, name=f"{name}_shortcut")(x)
    return keras.layers.Add(name=f"{name}_add")([x, y])


def features(x, spec: Spec, *, drop_path_rate: float = 0.0):
    """Stage outputs [b, h, w, 16], [b, h/2, w/2, 32], [b, h/4, w/4, 64]."""
    x = blocks.conv_bn(x, spec.widths[0], 3, name="stem_conv")
    rates = blocks.linear_rates(drop_path_rate, (spec.blocks,) * len(spec.widths))
    stages = []
    for s, width in enumerate(spec.widths):
        for b in range(spec.blocks):
            stride = 2 if s > 0 and b == 0 else 1
            name = f"stage{s + 1}_block{b + 1}"
            y = (
                residual(x, width, stride, rates[s][b], name=name)
                if spec.residual
                else branch(x, width, stride, name=name)
            )
            x = keras.layers.Activation("relu", name=f"{name}_relu")(y)
        stages.append(x)
    return stages


_family = CIFARFamily(
    __name__,
    recipe="resnet_cifar",
    features=features,
    variants=VARIANTS,
    paper="He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, 2015, arXiv:1512.03385",
    weight_decay=1e-4,
    min_size=8,
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

ResNet20 = _family("ResNet20", "resnet20", reported="8.75 % (CIFAR-10)")
ResNet32 = _family("ResNet32", "resnet32", reported="7.51 % (CIFAR-10)")
ResNet44 = _family("ResNet44", "resnet44", reported="7.17 % (CIFAR-10)")
ResNet56 = _family("ResNet56", "resnet56", reported="6.97 % (CIFAR-10)")
ResNet110 = _family("ResNet110", "resnet110", reported="6.43 % (CIFAR-10, best of five; 6.61 +- 0.16)")
ResNet1202 = _family("ResNet1202", "resnet1202", reported="7.93 % (CIFAR-10)")
Plain20 = _family("Plain20", "plain20")
Plain56 = _family("Plain56", "plain56")
