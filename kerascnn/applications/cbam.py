"""CBAM: ResNet, ResNeXt and wide ResNet whose residual branches weigh their channels, then their pixels.

Sanghyun Woo, Jongchan Park, Joon-Young Lee, In So Kweon: CBAM: Convolutional Block Attention Module, 2018,
arXiv:1807.06521.

Departures: bottlenecks stride in the 3x3, as in the authors' code (Jongchan/attention-module); the paper's table of
multiply-adds is that of striding in the first 1x1.
"""

import dataclasses

import keras

from kerascnn import blocks
from kerascnn._preprocessing import IMAGENET
from kerascnn.applications._build import Family
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec:
    """One row of the paper's tables 4 and 5."""

    depths: tuple[int, ...]  # blocks per stage
    bottleneck: bool = True  # 1x1, 3x3, 1x1 with four times the width out; False: 3x3, 3x3
    groups: int = 1  # of the 3x3; above 1 (ResNeXt) it has 4 channels a group in the first stage
    widen: float = 1.0  # factor on all widths but the stem's
    reduction: int = 16  # channels / hidden units of the channel gate


VARIANTS = {
    "cbam_resnet18": Spec((2, 2, 2, 2), bottleneck=False),
    "cbam_resnet34": Spec((3, 4, 6, 3), bottleneck=False),
    "cbam_resnet50": Spec((3, 4, 6, 3)),
    "cbam_resnet101": Spec((3, 4, 23, 3)),
    "cbam_resnext50_32x4d": Spec((3, 4, 6, 3), groups=32),
    "cbam_resnext101_32x4d": Spec((3, 4, 23, 3), groups=32),
    "cbam_wide_resnet18_1_5": Spec((2, 2, 2, 2), bottleneck=False, widen=1.5),
    "cbam_wide_resnet18_2": Spec((2, 2, 2, 2), bottleneck=False, widen=2.0),
}


def basic(x, width, stride, dilations, groups, *, name):
    """3x3/stride, BN, ReLU, 3x3, BN."""
    x = blocks.conv_bn(x, width, 3, stride, dilation=dilations[0], groups=groups, name=f"{name}_conv1")
    return blocks.conv_bn(x, width, 3, dilation=dilations[1], groups=groups, relu=False, name=f"{name}_conv2")


def bottleneck(x, width, stride, dilations, groups, *, name):
    """1x1, BN, ReLU, 3x3/stride, BN, ReLU, 1x1 to 4 * width, BN; with groups both inner widths are doubled."""
    inner = width if groups == 1 else 2 * width
    x = blocks.conv_bn(x, inner, 1, name=f"{name}_conv1")
    x = blocks.conv_bn(x, inner, 3, stride, dilation=dilations[0], groups=groups, name=f"{name}_conv2")
    return blocks.conv_bn(x, 4 * width, 1, relu=False, name=f"{name}_conv3")


def features(x, spec: Spec, *, drop_path_rate: float = 0.0, output_stride: int = 32):
    """Stage outputs [b, h/4, w/4, c], [b, h/8, w/8, 2c], [b, h/16, w/16, 4c], [b, h/32, w/32, 8c]; c = 64 k or 256."""
    branch = bottleneck if spec.bottleneck else basic
    x = blocks.conv_bn(x, 64, 7, 2, name="stem_conv")
    x = blocks.max_pool(x, name="stem_pool")
    stages = []
    for at in blocks.places(spec.depths, output_stride=output_stride, drop_path_rate=drop_path_rate):
        width = int(64 * 2**at.stage * spec.widen)
        filters = 4 * width if spec.bottleneck else width
        y = branch(x, width, at.stride, at.dilations, spec.groups, name=at.name)
        y = blocks.channel_gate(y, spec.reduction, name=f"{at.name}_channel")
        y = blocks.spatial_gate(y, name=f"{at.name}_spatial")
        y = blocks.drop_path(y, at.rate, name=f"{at.name}_drop_path")
        if at.stride > 1 or x.shape[-1] != filters:
            x = blocks.conv_bn(x, filters, 1, at.stride, relu=False, name=f"{at.name}_shortcut_conv")
        x = keras.layers.Add(name=f"{at.name}_add")([x, y])
        x = keras.layers.Activation("relu", name=f"{at.name}_relu")(x)
        stages += [x] * at.last
    return stages


_family = Family(
    __name__,
    features=features,
    variants=VARIANTS,
    paper="Woo, Park, Lee, Kweon: CBAM: Convolutional Block Attention Module, 2018, arXiv:1807.06521",
    preprocessing=IMAGENET,
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

CBAMResNet18 = _family("CBAMResNet18", "cbam_resnet18", reported="top-1 29.27, top-5 10.09 % (paper)")
CBAMResNet34 = _family("CBAMResNet34", "cbam_resnet34", reported="top-1 25.99, top-5 8.24 % (paper)")
CBAMResNet50 = _family("CBAMResNet50", "cbam_resnet50", reported="top-1 22.66, top-5 6.31 % (paper)")
CBAMResNet101 = _family("CBAMResNet101", "cbam_resnet101", reported="top-1 21.51, top-5 5.69 % (paper)")
CBAMResNeXt50 = _family("CBAMResNeXt50", "cbam_resnext50_32x4d", reported="top-1 21.92, top-5 5.91 % (paper)")
CBAMResNeXt101 = _family("CBAMResNeXt101", "cbam_resnext101_32x4d", reported="top-1 21.07, top-5 5.59 % (paper)")
CBAMWideResNet18_1_5 = _family(
    "CBAMWideResNet18_1_5", "cbam_wide_resnet18_1_5", reported="top-1 26.10, top-5 8.43 % (paper)"
)
CBAMWideResNet18_2 = _family("CBAMWideResNet18_2", "cbam_wide_resnet18_2", reported="top-1 24.84, top-5 7.63 % (paper)")
