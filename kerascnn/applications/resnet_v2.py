"""ResNet for ImageNet, version 2: batch norm and ReLU before each convolution, nothing after the addition.

Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun: Identity Mappings in Deep Residual Networks, 2016, arXiv:1603.05027;
stem and first block as released for Torch (facebookarchive/fb.resnet.torch, preresnet).

Departures: bottlenecks stride in the 3x3 convolution, as timm's do; the paper leaves the place open and the authors'
CIFAR code uses the first 1x1. Stem and first unit follow the Torch release: BN, ReLU, pooling, then a unit without BN
and ReLU of its own. timm pools before them, which for bottlenecks gives the same at inference (and scales above 0; in
training its statistics are those of the pooled maps), but in its 18 and 34 the first unit adds what came before the BN.
"""

import dataclasses

import keras

from kerascnn import blocks
from kerascnn._preprocessing import INCEPTION
from kerascnn.applications._build import Family, Ranked
from kerascnn.applications._images import pixels_and_labels

_WIDTHS = (64, 128, 256, 512)


@dataclasses.dataclass(frozen=True)
class Spec:
    """One depth."""

    depths: tuple[int, ...]  # units per stage
    bottleneck: bool = True  # 1x1, 3x3, 1x1 with four times the width out; False: 3x3, 3x3


VARIANTS = {  # table 1 of arXiv:1512.03385; 200 from section 4 of arXiv:1603.05027
    "resnetv2_18": Spec((2, 2, 2, 2), bottleneck=False),
    "resnetv2_34": Spec((3, 4, 6, 3), bottleneck=False),
    "resnetv2_50": Spec((3, 4, 6, 3)),
    "resnetv2_101": Spec((3, 4, 23, 3)),
    "resnetv2_152": Spec((3, 8, 36, 3)),
    "resnetv2_200": Spec((3, 24, 36, 3)),
}


def basic(x, width, stride, dilations, *, name):
    """3x3/stride, BN, ReLU, 3x3; the BN and ReLU before it are the unit's."""
    x = blocks.conv(x, width, 3, stride, dilation=dilations[0], name=f"{name}_conv1")
    x = blocks.bn_relu(x, name=f"{name}_bn2")
    return blocks.conv(x, width, 3, dilation=dilations[1], name=f"{name}_conv2")


def bottleneck(x, width, stride, dilations, *, name):
    """1x1, BN, ReLU, 3x3/stride, BN, ReLU, 1x1 to 4 * width; the BN and ReLU before it are the unit's."""
    x = blocks.conv(x, width, 1, name=f"{name}_conv1")
    x = blocks.bn_relu(x, name=f"{name}_bn2")
    x = blocks.conv(x, width, 3, stride, dilation=dilations[0], name=f"{name}_conv2")
    x = blocks.bn_relu(x, name=f"{name}_bn3")
    return blocks.conv(x, 4 * width, 1, name=f"{name}_conv3")


def unit(x, spec, width, stride, dilations, rate, *, first, name):
    """BN, ReLU, branch, plus x; where the shape changes, plus 1x1/stride of what the branch sees.

    The network's first unit has no BN and ReLU of its own, since the stem ends with them.
    """
    filters = 4 * width if spec.bottleneck else width
    pre = x if first else blocks.bn_relu(x, name=f"{name}_bn1")
    if stride != 1 or x.shape[-1] != filters:
        x = blocks.conv(pre, filters, 1, stride, name=f"{name}_shortcut_conv")
    y = (bottleneck if spec.bottleneck else basic)(pre, width, stride, dilations, name=name)
    return keras.layers.Add(name=f"{name}_add")([x, blocks.drop_path(y, rate, name=f"{name}_drop_path")])


def features(x, spec: Spec, *, drop_path_rate: float = 0.0, output_stride: int = 32):
    """Stage outputs [b, h/4, w/4, c], [b, h/8, w/8, 2c], [b, h/16, w/16, 4c], [b, h/32, w/32, 8c]; c = 64 or 256.

    They are sums without activation, but the last, which has passed the final BN and ReLU.
    """
    x = blocks.conv_bn(x, 64, 7, 2, name="stem_conv")
    x = blocks.max_pool(x, name="stem_pool")
    stages = []
    for at in blocks.places(spec.depths, output_stride=output_stride, drop_path_rate=drop_path_rate):
        first = at.stage == at.block == 0
        x = unit(x, spec, _WIDTHS[at.stage], at.stride, at.dilations, at.rate, first=first, name=at.name)
        stages += [x] * at.last
    return [*stages[:-1], blocks.bn_relu(x, name="final_bn")]


_timm = (  # its first unit holds the batch norm that ours has in the stem
    (r"stem\.conv", "stem_conv"),
    (r"stages\.0\.blocks\.0\.norm1", "stem_bn"),
    (r"stages\.(\d)\.blocks\.(\d+)\.conv(\d)", "stage{1+1}_block{2+1}_conv{3}"),
    (r"stages\.(\d)\.blocks\.(\d+)\.norm(\d)", "stage{1+1}_block{2+1}_bn{3}"),
    (r"stages\.(\d)\.blocks\.(\d+)\.downsample\.conv", "stage{1+1}_block{2+1}_shortcut_conv"),
    (r"norm", "final_bn"),
    (r"head\.fc", "head"),
)
_TIMM_PIXELS = dataclasses.replace(INCEPTION, crop_fraction=1.0, interpolation="bicubic")  # of its weights
_family = Family(
    __name__,
    features=features,
    variants=VARIANTS,
    paper="He, Zhang, Ren, Sun: Identity Mappings in Deep Residual Networks, 2016, arXiv:1603.05027",
    preprocessing=_TIMM_PIXELS,
    names={"timm": Ranked(_timm)},
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

ResNet18V2 = _family("ResNet18V2", "resnetv2_18")
ResNet34V2 = _family("ResNet34V2", "resnetv2_34")
ResNet50V2 = _family("ResNet50V2", "resnetv2_50")
ResNet101V2 = _family("ResNet101V2", "resnetv2_101")
ResNet152V2 = _family("ResNet152V2", "resnetv2_152", reported="top-1 21.1, top-5 5.5 % (paper, 320 crop)")
ResNet200V2 = _family("ResNet200V2", "resnetv2_200", reported="top-1 20.7, top-5 5.3 % (paper, 320 crop)")
