"""Wide ResNet: pre-activation networks for CIFAR, wide bottlenecks and wide basic blocks for ImageNet.

Sergey Zagoruyko, Nikos Komodakis: Wide Residual Networks, 2016, arXiv:1605.07146. The ImageNet networks with basic
blocks are those that Sanghyun Woo, Jongchan Park, Joon-Young Lee, In So Kweon: CBAM, 2018, arXiv:1807.06521, compare
with.

Departures: the scales of batch norm start at 1, where the authors' Torch code leaves Torch's U(0, 1) of that time.
"""

import dataclasses

import keras

from kerascnn import blocks, layers
from kerascnn._preprocessing import IMAGENET
from kerascnn.applications._build import CIFARFamily, Family, pooled_head
from kerascnn.applications._images import pixels_and_labels
from kerascnn.applications._names import TORCH_RESNET


@dataclasses.dataclass(frozen=True)
class Spec:
    """Depth and width."""

    depths: tuple[int, ...]  # blocks per stage
    widen: float  # factor on the widths; in bottlenecks on the inner width alone


def _cifar(depth, widen):
    """Table 1: three groups of n units, depth = 6n + 4."""
    return Spec(((depth - 4) // 6,) * 3, widen)


VARIANTS = {
    "wrn16_4": _cifar(16, 4),  # table 6, on SVHN
    "wrn16_8": _cifar(16, 8),  # table 4
    "wrn16_10": _cifar(16, 10),
    "wrn22_8": _cifar(22, 8),
    "wrn28_10": _cifar(28, 10),
    "wrn28_12": _cifar(28, 12),
    "wrn40_1": _cifar(40, 1),
    "wrn40_2": _cifar(40, 2),
    "wrn40_4": _cifar(40, 4),
    "wrn40_8": _cifar(40, 8),
    "wide_resnet50_2": Spec((3, 4, 6, 3), 2),  # table 8
    "wide_resnet101_2": Spec((3, 4, 23, 3), 2),
    "wide_resnet18_1_5": Spec((2, 2, 2, 2), 1.5),  # CBAM, table 4
    "wide_resnet18_2": Spec((2, 2, 2, 2), 2),
}


def conv(x, filters, size, stride=1, *, name):
    """Convolution without bias, weights N(0, 2 / fan-in)."""
    he = keras.initializers.VarianceScaling(2.0, mode="fan_in", distribution="untruncated_normal")
    return layers.Conv2D(filters, size, stride, size // 2, use_bias=False, kernel_initializer=he, name=name)(x)


def unit(x, filters, stride, dropout_rate, *, name):
    """BN, ReLU, 3x3/stride, BN, ReLU, dropout, 3x3; plus x, or where the width changes 1x1/stride of the first ReLU."""
    y = blocks.bn_relu(x, name=f"{name}_bn1")
    if x.shape[-1] != filters or stride > 1:
        x = conv(y, filters, 1, stride, name=f"{name}_shortcut_conv")
    y = conv(y, filters, 3, stride, name=f"{name}_conv1")
    y = blocks.bn_relu(y, name=f"{name}_bn2")
    if dropout_rate:
        y = keras.layers.Dropout(dropout_rate, name=f"{name}_dropout")(y)
    return keras.layers.Add(name=f"{name}_add")([x, conv(y, filters, 3, name=f"{name}_conv2")])


def features(x, spec: Spec, *, dropout_rate: float = 0.0):
    """Stage outputs [b, h, w, 16k], [b, h/2, w/2, 32k], [b, h/4, w/4, 64k]; the last one after BN, ReLU."""
    x = conv(x, 16, 3, name="stem_conv")
    stages = []
    for s, depth in enumerate(spec.depths):
        for b in range(depth):
            stride = 2 if s > 0 and b == 0 else 1
            x = unit(x, int(spec.widen * 16 * 2**s), stride, dropout_rate, name=f"stage{s + 1}_block{b + 1}")
        stages.append(x)
    stages[-1] = blocks.bn_relu(x, name="final_bn")
    return stages


def bottleneck(x, width, filters, stride, dilations, *, name):
    """1x1, BN, ReLU, 3x3/stride, BN, ReLU, 1x1, BN."""
    x = blocks.conv_bn(x, width, 1, name=f"{name}_conv1")
    x = blocks.conv_bn(x, width, 3, stride, dilation=dilations[0], name=f"{name}_conv2")
    return blocks.conv_bn(x, filters, 1, relu=False, name=f"{name}_conv3")


def basic(x, width, filters, stride, dilations, *, name):
    """3x3/stride, BN, ReLU, 3x3, BN; here both widths are the same."""
    x = blocks.conv_bn(x, width, 3, stride, dilation=dilations[0], name=f"{name}_conv1")
    return blocks.conv_bn(x, filters, 3, dilation=dilations[1], relu=False, name=f"{name}_conv2")


def _imagenet_stages(x, spec, branch, expansion, drop_path_rate, output_stride):
    """7x7/2 BN ReLU, max pool, four stages of branch + shortcut, ReLU; out = expansion * 64, 128, 256, 512."""
    x = blocks.conv_bn(x, 64, 7, 2, name="stem_conv")
    x = blocks.max_pool(x, name="stem_pool")
    stages = []
    for at in blocks.places(spec.depths, output_stride=output_stride, drop_path_rate=drop_path_rate):
        width, filters = int(64 * 2**at.stage * spec.widen), int(64 * 2**at.stage * expansion)
        y = branch(x, width, filters, at.stride, at.dilations, name=at.name)
        y = blocks.drop_path(y, at.rate, name=f"{at.name}_drop_path")
        if at.stride > 1 or x.shape[-1] != filters:
            x = blocks.conv_bn(x, filters, 1, at.stride, relu=False, name=f"{at.name}_shortcut_conv")
        x = keras.layers.Add(name=f"{at.name}_add")([x, y])
        x = keras.layers.Activation("relu", name=f"{at.name}_relu")(x)
        stages += [x] * at.last
    return stages


def features_bottleneck(x, spec: Spec, *, drop_path_rate: float = 0.0, output_stride: int = 32):
    """Stage outputs [b, h/4, w/4, 256], [b, h/8, w/8, 512], [b, h/16, w/16, 1024], [b, h/32, w/32, 2048]."""
    return _imagenet_stages(x, spec, bottleneck, 4, drop_path_rate, output_stride)


def features_basic(x, spec: Spec, *, drop_path_rate: float = 0.0, output_stride: int = 32):
    """Stage outputs [b, h/4, w/4, 64k], [b, h/8, w/8, 128k], [b, h/16, w/16, 256k], [b, h/32, w/32, 512k]."""
    return _imagenet_stages(x, spec, basic, spec.widen, drop_path_rate, output_stride)


def head(x, classes, activation):
    """Global average pool, dense; `dropout_rate` is the units' alone."""
    return pooled_head(x, classes, activation)


_paper = "Zagoruyko, Komodakis: Wide Residual Networks, 2016, arXiv:1605.07146"
_family = CIFARFamily(
    __name__,
    recipe="wrn",
    features=features,
    head=head,
    variants=VARIANTS,
    paper=_paper,
    min_size=8,
)
_bottleneck = Family(
    __name__,
    features=features_bottleneck,
    variants=VARIANTS,
    paper=_paper,
    preprocessing=IMAGENET,
    names={"torchvision": TORCH_RESNET, "timm": TORCH_RESNET},
)
_basic = Family(
    __name__,
    features=features_basic,
    variants=VARIANTS,
    paper="Woo, Park, Lee, Kweon: CBAM: Convolutional Block Attention Module, 2018, arXiv:1807.06521",
    preprocessing=IMAGENET,
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

WRN16_4 = _family("WRN16_4", "wrn16_4", reported="SVHN 1.64 %, with dropout (paper)")
WRN16_8 = _family("WRN16_8", "wrn16_8", reported="CIFAR-10 4.27, CIFAR-100 20.43 % (paper)")
WRN16_10 = _family("WRN16_10", "wrn16_10", reported="CIFAR-10 2.93 % (pytorchcv, longer recipe)")
WRN22_8 = _family("WRN22_8", "wrn22_8", reported="CIFAR-10 4.38, CIFAR-100 21.22 % (paper)")
WRN28_10 = _family("WRN28_10", "wrn28_10", reported="CIFAR-10 4.00, with dropout 3.89 % (paper)")
WRN28_12 = _family("WRN28_12", "wrn28_12", reported="CIFAR-10 4.33, CIFAR-100 20.43 % (paper, version 1)")
WRN40_1 = _family("WRN40_1", "wrn40_1", reported="CIFAR-10 6.85, CIFAR-100 30.89 % (paper)")
WRN40_2 = _family("WRN40_2", "wrn40_2", reported="CIFAR-10 5.33, CIFAR-100 26.04 % (paper)")
WRN40_4 = _family("WRN40_4", "wrn40_4", reported="CIFAR-10 4.53, CIFAR-100 21.18 % (paper)")
WRN40_8 = _family("WRN40_8", "wrn40_8", reported="CIFAR-10 4.66 % (paper)")
WideResNet50_2 = _bottleneck("WideResNet50_2", "wide_resnet50_2", reported="top-1 21.9, top-5 6.03 % (paper)")
WideResNet101_2 = _bottleneck("WideResNet101_2", "wide_resnet101_2", reported="top-1 21.15, top-5 5.72 % (torchvision)")
WideResNet18_1_5 = _basic("WideResNet18_1_5", "wide_resnet18_1_5", reported="top-1 26.85, top-5 8.88 % (CBAM)")
WideResNet18_2 = _basic("WideResNet18_2", "wide_resnet18_2", reported="top-1 25.63, top-5 8.20 % (CBAM)")
