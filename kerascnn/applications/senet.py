"""SE networks: ResNet, ResNeXt and wide ResNet whose residual branches weigh their channels.

Jie Hu, Li Shen, Samuel Albanie, Gang Sun, Enhua Wu: Squeeze-and-Excitation Networks, 2017, arXiv:1709.01507. The 18-
and 34-layer and the wide forms are those that Sanghyun Woo, Jongchan Park, Joon-Young Lee, In So Kweon: CBAM, 2018,
arXiv:1807.06521, compare with.

Departures: none from the authors' release (hujie-frank/SENet): it strides in the first 1x1 of a bottleneck except in
SE-ResNeXt, and its first pool rounds sizes up without padding. The wide forms share that pool, where CBAM's code pads.
Basic blocks have no ReLU between the last batch norm and the gate, as in CBAM's code; timm's legacy_seresnet18, 34 do.
Those that end in _timm are the present ones of timm, its ResNets with gates: stride in the 3x3, and a first pool that
pads. timm calls those without it legacy.
"""

import dataclasses

import keras

from kerascnn import blocks
from kerascnn._preprocessing import IMAGENET
from kerascnn.applications._build import Family
from kerascnn.applications._images import pixels_and_labels
from kerascnn.applications._names import TIMM_LEGACY_SE, TIMM_SE


@dataclasses.dataclass(frozen=True)
class Spec:
    """One column of the paper's table 1."""

    depths: tuple[int, ...]  # blocks per stage
    bottleneck: bool = True  # 1x1, 3x3, 1x1 with four times the width out; False: 3x3, 3x3
    groups: int = 1  # of the 3x3; above 1 (ResNeXt) it has 4 channels a group and strides, else the first 1x1 strides
    widen: float = 1.0  # factor on all widths but the stem's
    reduction: int = 16  # channels / hidden units of the gate
    padded: bool = False  # the first pool pads, and every bottleneck strides in its 3x3, as in timm's present form


VARIANTS = {
    "seresnet18": Spec((2, 2, 2, 2), bottleneck=False),
    "seresnet34": Spec((3, 4, 6, 3), bottleneck=False),
    "seresnet50": Spec((3, 4, 6, 3)),
    "seresnet101": Spec((3, 4, 23, 3)),
    "seresnet152": Spec((3, 8, 36, 3)),
    "seresnext50_32x4d": Spec((3, 4, 6, 3), groups=32),
    "seresnext101_32x4d": Spec((3, 4, 23, 3), groups=32),
    "seresnet50_timm": Spec((3, 4, 6, 3), padded=True),
    "seresnet101_timm": Spec((3, 4, 23, 3), padded=True),
    "seresnet152_timm": Spec((3, 8, 36, 3), padded=True),
    "seresnext50_32x4d_timm": Spec((3, 4, 6, 3), groups=32, padded=True),
    "seresnext101_32x4d_timm": Spec((3, 4, 23, 3), groups=32, padded=True),
    "se_wide_resnet18_1_5": Spec((2, 2, 2, 2), bottleneck=False, widen=1.5),
    "se_wide_resnet18_2": Spec((2, 2, 2, 2), bottleneck=False, widen=2.0),
}


def basic(x, width, stride, dilations, groups, *, name):
    """3x3/stride, BN, ReLU, 3x3, BN."""
    x = blocks.conv_bn(x, width, 3, stride, dilation=dilations[0], groups=groups, name=f"{name}_conv1")
    return blocks.conv_bn(x, width, 3, dilation=dilations[1], groups=groups, relu=False, name=f"{name}_conv2")


def bottleneck(x, width, stride, dilations, groups, *, name):
    """1x1/stride, BN, ReLU, 3x3, BN, ReLU, 1x1 to 4 * width, BN."""
    x = blocks.conv_bn(x, width, 1, stride, name=f"{name}_conv1")
    x = blocks.conv_bn(x, width, 3, dilation=dilations[0], name=f"{name}_conv2")
    return blocks.conv_bn(x, 4 * width, 1, relu=False, name=f"{name}_conv3")


def late_bottleneck(x, width, stride, dilations, groups, *, name):
    """1x1, BN, ReLU, 3x3/stride, BN, ReLU, 1x1 to 4 * width, BN; the 3x3 in groups has twice the width."""
    inner = width if groups == 1 else 2 * width
    x = blocks.conv_bn(x, inner, 1, name=f"{name}_conv1")
    x = blocks.conv_bn(x, inner, 3, stride, dilation=dilations[0], groups=groups, name=f"{name}_conv2")
    return blocks.conv_bn(x, 4 * width, 1, relu=False, name=f"{name}_conv3")


def features(x, spec: Spec, *, drop_path_rate: float = 0.0, output_stride: int = 32):
    """Stage outputs [b, h/4, w/4, c], [b, h/8, w/8, 2c], [b, h/16, w/16, 4c], [b, h/32, w/32, 8c]; c = 64 k or 256."""
    late = spec.groups > 1 or spec.padded
    branch = (late_bottleneck if late else bottleneck) if spec.bottleneck else basic
    x = blocks.conv_bn(x, 64, 7, 2, name="stem_conv")
    # One row and column of zeros make a window that starts inside the image always fit: the size is rounded up.
    x = blocks.max_pool(x, padding=1 if spec.padded else ((0, 1), (0, 1)), name="stem_pool")
    stages = []
    for at in blocks.places(spec.depths, output_stride=output_stride, drop_path_rate=drop_path_rate):
        width = int(64 * 2**at.stage * spec.widen)
        filters = 4 * width if spec.bottleneck else width
        y = branch(x, width, at.stride, at.dilations, spec.groups, name=at.name)
        y = blocks.squeeze_excite(y, spec.reduction, name=f"{at.name}_se")
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
    paper="Hu, Shen, Albanie, Sun, Wu: Squeeze-and-Excitation Networks, 2017, arXiv:1709.01507",
    preprocessing=IMAGENET,
    names={"timm": lambda spec: TIMM_SE if spec.padded else TIMM_LEGACY_SE},
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

# As the networks of these names in timm.
_PIXELS_NEXT = dataclasses.replace(IMAGENET, interpolation="bicubic")
_PIXELS_50 = dataclasses.replace(_PIXELS_NEXT, crop_fraction=0.95)
SEResNet18 = _family("SEResNet18", "seresnet18", reported="top-1 29.41, top-5 10.22 % (CBAM)")
SEResNet34 = _family("SEResNet34", "seresnet34", reported="top-1 26.13, top-5 8.35 % (CBAM)")
SEResNet50 = _family("SEResNet50", "seresnet50", preprocessing=_PIXELS_50, reported="top-1 23.29, top-5 6.62 % (paper)")
SEResNet101 = _family("SEResNet101", "seresnet101", reported="top-1 22.38, top-5 6.07 % (paper)")
SEResNet152 = _family("SEResNet152", "seresnet152", reported="top-1 21.57, top-5 5.73 % (paper)")
SEResNeXt50 = _family(
    "SEResNeXt50", "seresnext50_32x4d", preprocessing=_PIXELS_NEXT, reported="top-1 21.10, top-5 5.49 % (paper)"
)
SEResNeXt101 = _family(
    "SEResNeXt101", "seresnext101_32x4d", preprocessing=_PIXELS_NEXT, reported="top-1 20.70, top-5 5.01 % (paper)"
)
SEResNet50Timm = _family(
    "SEResNet50Timm",
    "seresnet50_timm",
    preprocessing=_PIXELS_50,
    reported="top-1 19.740, top-5 4.932 % (timm, 224x224)",
)
SEResNet101Timm = _family("SEResNet101Timm", "seresnet101_timm")
SEResNet152Timm = _family("SEResNet152Timm", "seresnet152_timm")
SEResNeXt50Timm = _family(
    "SEResNeXt50Timm", "seresnext50_32x4d_timm", preprocessing=_PIXELS_NEXT,
    reported="top-1 18.732, top-5 4.376 % (timm, 224x224)",
)  # fmt: skip
SEResNeXt101Timm = _family(
    "SEResNeXt101Timm", "seresnext101_32x4d_timm", preprocessing=_PIXELS_NEXT,
    reported="top-1 19.114, top-5 4.732 % (timm, 224x224)",
)  # fmt: skip
SEWideResNet18_1_5 = _family("SEWideResNet18_1_5", "se_wide_resnet18_1_5", reported="top-1 26.21, top-5 8.47 % (CBAM)")
SEWideResNet18_2 = _family("SEWideResNet18_2", "se_wide_resnet18_2", reported="top-1 24.93, top-5 7.65 % (CBAM)")
