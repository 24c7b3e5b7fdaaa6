"""ResNeXt for ImageNet: bottlenecks whose 3x3 convolution is split into groups.

Saining Xie, Ross Girshick, Piotr Dollár, Zhuowen Tu, Kaiming He: Aggregated Residual Transformations for Deep Neural
Networks, 2017, arXiv:1611.05431; form (c) of figure 3, as released for Torch (facebookresearch/ResNeXt).

Departures: none. The paper has no 152-layer network; its depths are ResNet-152's. 101 32x8d is torchvision's choice
of width.
"""

import dataclasses

import keras

from kerascnn import blocks
from kerascnn._preprocessing import IMAGENET
from kerascnn.applications._build import Family
from kerascnn.applications._images import pixels_and_labels
from kerascnn.applications._names import TORCH_RESNET


@dataclasses.dataclass(frozen=True)
class Spec:
    """One column of the paper's tables 1 and 3."""

    depths: tuple[int, ...]  # blocks per stage
    cardinality: int  # groups of the 3x3 convolution
    base_width: int  # channels of a group in the first stage; doubles from stage to stage

    def width(self, stage: int) -> int:
        """Channels of the 3x3 convolutions of a stage, counted from 0."""
        return self.cardinality * self.base_width * 2**stage


VARIANTS = {  # tables 1, 3 and 4
    "resnext50_32x4d": Spec((3, 4, 6, 3), 32, 4),
    "resnext101_32x4d": Spec((3, 4, 23, 3), 32, 4),
    "resnext101_32x8d": Spec((3, 4, 23, 3), 32, 8),
    "resnext101_64x4d": Spec((3, 4, 23, 3), 64, 4),
    "resnext152_32x4d": Spec((3, 8, 36, 3), 32, 4),
}


def branch(x, width, groups, filters, stride, dilation, *, name):
    """1x1, BN, ReLU, 3x3/stride in groups, BN, ReLU, 1x1, BN."""
    x = blocks.conv_bn(x, width, 1, name=f"{name}_conv1")
    x = blocks.conv_bn(x, width, 3, stride, groups=groups, dilation=dilation, name=f"{name}_conv2")
    return blocks.conv_bn(x, filters, 1, relu=False, name=f"{name}_conv3")


def features(x, spec: Spec, *, drop_path_rate: float = 0.0, output_stride: int = 32):
    """Stage outputs [b, h/4, w/4, 256], [b, h/8, w/8, 512], [b, h/16, w/16, 1024], [b, h/32, w/32, 2048]."""
    x = blocks.conv_bn(x, 64, 7, 2, name="stem_conv")
    x = blocks.max_pool(x, name="stem_pool")
    stages = []
    for at in blocks.places(spec.depths, output_stride=output_stride, drop_path_rate=drop_path_rate):
        filters = 256 * 2**at.stage
        y = branch(x, spec.width(at.stage), spec.cardinality, filters, at.stride, at.dilations[0], name=at.name)
        y = blocks.drop_path(y, at.rate, name=f"{at.name}_drop_path")
        if at.block == 0:
            x = blocks.conv_bn(x, filters, 1, at.stride, relu=False, name=f"{at.name}_shortcut_conv")
        x = keras.layers.Add(name=f"{at.name}_add")([x, y])
        x = keras.layers.Activation("relu", name=f"{at.name}_relu")(x)
        stages += [x] * at.last
    return stages


_family = Family(
    __name__,
    features=features,
    variants=VARIANTS,
    paper="Xie, Girshick, Dollár, Tu, He: Aggregated Residual Transformations for Deep Neural Networks, 2017, "
    "arXiv:1611.05431",
    preprocessing=IMAGENET,
    names={"torchvision": TORCH_RESNET, "timm": TORCH_RESNET},
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

ResNeXt50 = _family("ResNeXt50", "resnext50_32x4d", reported="top-1 22.2 % (paper, 224 crop)")
ResNeXt101 = _family("ResNeXt101", "resnext101_32x4d", reported="top-1 21.2 % (paper, 224 crop)")
ResNeXt101_32x8d = _family("ResNeXt101_32x8d", "resnext101_32x8d", reported="top-1 20.688 % (torchvision V1, 224 crop)")
ResNeXt101_64x4d = _family("ResNeXt101_64x4d", "resnext101_64x4d", reported="top-1 20.4 % (paper, 224 crop)")
ResNeXt152 = _family("ResNeXt152", "resnext152_32x4d")
