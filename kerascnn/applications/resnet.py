"""ResNet for ImageNet, versions 1 and 1.5, and the plain networks without shortcuts.

Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun: Deep Residual Learning for Image Recognition, 2015,
arXiv:1512.03385. Version 1.5 is the authors' network as released for Torch (facebookarchive/fb.resnet.torch), which
strides in the 3x3 convolution of a bottleneck; version 1, the paper's, strides in the first 1x1. Basic blocks are the
same in both, so 18 and 34 have one form.

Departures: none. Batch norm and initial values follow the Torch release, where the paper is silent.
"""

import dataclasses

import keras

from kerascnn import blocks
from kerascnn._preprocessing import IMAGENET
from kerascnn.applications._build import Family, Ordered
from kerascnn.applications._images import pixels_and_labels
from kerascnn.applications._names import TORCH_RESNET
from kerascnn.layers.zero_pad_shortcut import ZeroPadShortcut

_WIDTHS = (64, 128, 256, 512)


@dataclasses.dataclass(frozen=True)
class Spec:
    """One column of the paper's table 1."""

    depths: tuple[int, ...]  # blocks per stage
    bottleneck: bool = True  # 1x1, 3x3, 1x1 with four times the width out; False: 3x3, 3x3
    stride_first: bool = False  # bottlenecks stride in the first 1x1 (version 1), not in the 3x3 (version 1.5)
    shortcut: str = "projection"  # projection (option B) | zeros (option A) | none (plain)
    width: float = 1.0  # factor on all widths, rounded to multiples of 8
    multi_grid: tuple[int, ...] = ()  # of DeepLab: factors of the dilations of the last stage's blocks, in turn

    def scaled(self, *, depth: float, width: float, resolution: float):
        """The row with more blocks, rounded up, and wider; of any resolution. See `applications.compound_scale`."""
        depths = tuple(blocks.repeated(count, depth) for count in self.depths)
        return dataclasses.replace(self, depths=depths, width=self.width * width)


VARIANTS = {  # table 1
    "resnet18": Spec((2, 2, 2, 2), bottleneck=False),
    "resnet34": Spec((3, 4, 6, 3), bottleneck=False),
    "resnet50": Spec((3, 4, 6, 3)),
    "resnet101": Spec((3, 4, 23, 3)),
    "resnet152": Spec((3, 8, 36, 3)),
    "resnet50_v1": Spec((3, 4, 6, 3), stride_first=True),
    "resnet101_v1": Spec((3, 4, 23, 3), stride_first=True),
    "resnet152_v1": Spec((3, 8, 36, 3), stride_first=True),
    "resnet34_a": Spec((3, 4, 6, 3), bottleneck=False, shortcut="zeros"),
    "plain18": Spec((2, 2, 2, 2), bottleneck=False, shortcut="none"),
    "plain34": Spec((3, 4, 6, 3), bottleneck=False, shortcut="none"),
}


def basic(x, width, stride, dilations, *, name):
    """3x3/stride, BN, ReLU, 3x3, BN."""
    x = blocks.conv_bn(x, width, 3, stride, dilation=dilations[0], name=f"{name}_conv1")
    return blocks.conv_bn(x, width, 3, dilation=dilations[1], relu=False, name=f"{name}_conv2")


def bottleneck(x, width, stride, dilations, *, name):
    """1x1, BN, ReLU, 3x3/stride, BN, ReLU, 1x1 to 4 * width, BN."""
    x = blocks.conv_bn(x, width, 1, name=f"{name}_conv1")
    x = blocks.conv_bn(x, width, 3, stride, dilation=dilations[0], name=f"{name}_conv2")
    return blocks.conv_bn(x, 4 * width, 1, relu=False, name=f"{name}_conv3")


def bottleneck_v1(x, width, stride, dilations, *, name):
    """1x1/stride, BN, ReLU, 3x3, BN, ReLU, 1x1 to 4 * width, BN."""
    x = blocks.conv_bn(x, width, 1, stride, name=f"{name}_conv1")
    x = blocks.conv_bn(x, width, 3, dilation=dilations[0], name=f"{name}_conv2")
    return blocks.conv_bn(x, 4 * width, 1, relu=False, name=f"{name}_conv3")


def shortcut(x, spec, filters, stride, *, name):
    """What is added to the branch: x itself, or, where the shape changes, 1x1/stride, BN, or x/stride with zeros."""
    if stride == 1 and x.shape[-1] == filters:
        return x
    if spec.shortcut == "zeros":
        return ZeroPadShortcut(filters, stride, name=f"{name}_shortcut")(x)
    return blocks.conv_bn(x, filters, 1, stride, relu=False, name=f"{name}_shortcut_conv")


def features(x, spec: Spec, *, drop_path_rate: float = 0.0, output_stride: int = 32):
    """Stage outputs [b, h/4, w/4, c], [b, h/8, w/8, 2c], [b, h/16, w/16, 4c], [b, h/32, w/32, 8c]; c = 64 or 256."""
    branch = (bottleneck_v1 if spec.stride_first else bottleneck) if spec.bottleneck else basic
    x = blocks.conv_bn(x, blocks.rounded(64 * spec.width), 7, 2, name="stem_conv")
    x = blocks.max_pool(x, name="stem_pool")
    stages, widths = [], [blocks.rounded(width * spec.width) for width in _WIDTHS]
    for at in blocks.places(spec.depths, output_stride=output_stride, drop_path_rate=drop_path_rate):
        width, dilations = widths[at.stage], at.dilations
        if spec.multi_grid and at.stage == len(widths) - 1:
            dilations = (dilations[1] * spec.multi_grid[at.block % len(spec.multi_grid)],) * 2
        y = branch(x, width, at.stride, dilations, name=at.name)
        if spec.shortcut != "none":
            filters = 4 * width if spec.bottleneck else width
            y = blocks.drop_path(y, at.rate, name=f"{at.name}_drop_path")
            y = keras.layers.Add(name=f"{at.name}_add")([shortcut(x, spec, filters, at.stride, name=at.name), y])
        x = keras.layers.Activation("relu", name=f"{at.name}_relu")(y)
        stages += [x] * at.last
    return stages


_keras = (  # counts stages from 2
    (r"conv1_(conv|bn)", "stem_{1}"),
    (r"conv(\d)_block(\d+)_0_(conv|bn)", "stage{1-1}_block{2}_shortcut_{3}"),
    (r"conv(\d)_block(\d+)_(\d)_(conv|bn)", "stage{1-1}_block{2}_{4}{3}"),
    (r"predictions|probs|fc1000", "head"),  # now, and in the files of 2019 and 2016
    (r"conv1", "stem_conv"),  # from here on as in the file of 2016
    (r"bn_conv1", "stem_bn"),
    (r"res(\d)([a-f])_branch1", "stage{1-1}_block{2+1}_shortcut_conv"),
    (r"bn(\d)([a-f])_branch1", "stage{1-1}_block{2+1}_shortcut_bn"),
    (r"res(\d)([a-f])_branch2([abc])", "stage{1-1}_block{2+1}_conv{3+1}"),
    (r"bn(\d)([a-f])_branch2([abc])", "stage{1-1}_block{2+1}_bn{3+1}"),
)
_family = Family(
    __name__,
    recipe="resnet",
    features=features,
    variants=VARIANTS,
    paper="He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, 2015, arXiv:1512.03385",
    preprocessing=IMAGENET,
    names={"torchvision": TORCH_RESNET, "timm": TORCH_RESNET, "keras": Ordered(_keras)},
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

ResNet18 = _family("ResNet18", "resnet18", reported="top-1 30.43, top-5 10.76 % (Torch release, 1 crop)")
ResNet34 = _family("ResNet34", "resnet34", reported="top-1 26.73, top-5 8.74 % (Torch release, 1 crop)")
ResNet50 = _family("ResNet50", "resnet50", reported="top-1 24.01, top-5 7.02 % (Torch release, 1 crop)")
ResNet101 = _family("ResNet101", "resnet101", reported="top-1 22.44, top-5 6.21 % (Torch release, 1 crop)")
ResNet152 = _family("ResNet152", "resnet152", reported="top-1 22.16, top-5 6.16 % (Torch release, 1 crop)")
ResNet50V1 = _family("ResNet50V1", "resnet50_v1", reported="top-1 24.7, top-5 7.8 % (MSRA release, 1 crop)")
ResNet101V1 = _family("ResNet101V1", "resnet101_v1", reported="top-1 23.6, top-5 7.1 % (MSRA release, 1 crop)")
ResNet152V1 = _family("ResNet152V1", "resnet152_v1", reported="top-1 23.0, top-5 6.7 % (MSRA release, 1 crop)")
ResNet34A = _family("ResNet34A", "resnet34_a", reported="top-1 25.03, top-5 7.76 % (paper, 10 crops)")
Plain18 = _family("Plain18", "plain18", reported="top-1 27.94 % (paper, 10 crops)")
Plain34 = _family("Plain34", "plain34", reported="top-1 28.54, top-5 10.02 % (paper, 10 crops)")
