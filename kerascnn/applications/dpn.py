"""Dual path networks: channels that are added to, as in ResNeXt, beside channels that are appended, as in DenseNet.

Yunpeng Chen, Jianan Li, Huaxin Xiao, Xiaojie Jin, Shuicheng Yan, Jiashi Feng: Dual Path Networks, 2017,
arXiv:1707.01629.

Departures: none from the authors' release (cypw/DPNs); of it, `dpn68b` convolves to the two paths separately, which
changes the initial weights alone. The paper names no initial weights; they are He's.
"""

import dataclasses

import keras

from kerascnn import blocks, layers
from kerascnn._preprocessing import Preprocessing
from kerascnn.applications._build import Family, Ranked
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec:
    """One column of the paper's table 1."""

    depths: tuple[int, ...]  # blocks per stage
    growth: tuple[int, ...]  # channels that a block appends, by stage
    groups: int  # of the 3x3
    width: int  # of the 1x1 and 3x3 in stage 1; doubles in each
    residual: int = 256  # channels that are added to in stage 1; doubles in each
    stem: int = 64  # filters of the first convolution
    stem_size: int = 7  # its kernel
    split: bool = False  # two convolutions for the two paths instead of one


VARIANTS = {
    "dpn68": Spec((3, 4, 12, 3), (16, 32, 32, 64), 32, 128, residual=64, stem=10, stem_size=3),
    "dpn68b": Spec((3, 4, 12, 3), (16, 32, 32, 64), 32, 128, residual=64, stem=10, stem_size=3, split=True),
    "dpn92": Spec((3, 4, 20, 3), (16, 32, 24, 128), 32, 96),
    "dpn98": Spec((3, 6, 20, 3), (16, 32, 32, 128), 40, 160, stem=96),
    "dpn107": Spec((4, 8, 20, 3), (20, 64, 64, 128), 50, 200, stem=128),
    "dpn131": Spec((4, 8, 28, 3), (16, 32, 32, 128), 40, 160, stem=128),
}


def bn_relu(x, *, name):
    """Batch norm with MXNet's constants, ReLU."""
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name=name)(x)
    return keras.layers.Activation("relu", name=name.replace("bn", "relu"))(x)


def bn_conv(x, filters, size, stride=1, *, groups=1, name):
    """BN, ReLU, convolution; `name` contains "conv"."""
    x = bn_relu(x, name=name.replace("conv", "bn"))
    return blocks.conv(x, filters, size, stride, groups=groups, name=name)


def halves(x, first, *, name):
    """The first channels, and the others."""
    added = layers.ChannelSlice(0, first, name=f"{name}_residual")
    return added(x), layers.ChannelSlice(first, name=f"{name}_dense")(x)


def block(paths, residual, growth, width, stride, spec, *, name):
    """1x1, grouped 3x3/stride, 1x1, each after BN and ReLU; its output is added to one path and appended to the other.

    Args:
        paths: [added to, appended to]; for the first block of a stage a map, which a 1x1/stride turns into the two.
        residual: channels of the first path.
        growth: channels that are appended to the second.
        width: of the inner convolutions.
        stride: of the 3x3.
        spec: groups and split.
        name: of the block.

    Returns:
        The two paths.
    """
    if isinstance(paths, list):
        x = keras.layers.Concatenate(name=f"{name}_input")(paths)
    else:
        x = paths
        shortcut = bn_conv(x, residual + 2 * growth, 1, stride, name=f"{name}_shortcut_conv")
        paths = halves(shortcut, residual, name=f"{name}_shortcut")
    y = bn_conv(x, width, 1, name=f"{name}_conv1")
    y = bn_conv(y, width, 3, stride, groups=spec.groups, name=f"{name}_conv2")
    if spec.split:
        y = bn_relu(y, name=f"{name}_bn3")
        added = blocks.conv(y, residual, 1, name=f"{name}_conv3_residual")
        appended = blocks.conv(y, growth, 1, name=f"{name}_conv3_dense")
    else:
        y = bn_conv(y, residual + growth, 1, name=f"{name}_conv3")
        added, appended = halves(y, residual, name=name)
    added = keras.layers.Add(name=f"{name}_add")([paths[0], added])
    return [added, keras.layers.Concatenate(name=f"{name}_append")([paths[1], appended])]


def features(x, spec: Spec):
    """Stage outputs [b, h/4, w/4, c1], [b, h/8, w/8, c2], [b, h/16, w/16, c3], [b, h/32, w/32, c4].

    c = residual * 2**s + growth * (depth + 2), both paths; the last output is after BN, ReLU.
    """
    x = bn_relu(blocks.conv(x, spec.stem, spec.stem_size, 2, name="stem_conv"), name="stem_bn")
    x = blocks.max_pool(x, name="stem_pool")
    stages = []
    for s, (depth, growth) in enumerate(zip(spec.depths, spec.growth, strict=True)):
        for b in range(depth):
            stride = 2 if s > 0 and b == 0 else 1
            name = f"stage{s + 1}_block{b + 1}"
            x = block(x, spec.residual * 2**s, growth, spec.width * 2**s, stride, spec, name=name)
        x = keras.layers.Concatenate(name=f"stage{s + 1}_concat")(x)
        stages.append(x)
    return [*stages[:-1], bn_relu(x, name="final_bn")]


# timm counts the stages from 2.
_TIMM = (
    (r"features\.conv1_1\.(conv|bn)", "stem_{1}"),
    (r"features\.conv(2)_(\d+)\.c1x1_w_s1\.(conv|bn)", "stage1_block{2}_shortcut_{3}"),
    (r"features\.conv([345])_(\d+)\.c1x1_w_s2\.(conv|bn)", "stage{1-1}_block{2}_shortcut_{3}"),
    (r"features\.conv(\d)_(\d+)\.c1x1_a\.(conv|bn)", "stage{1-1}_block{2}_{3}1"),
    (r"features\.conv(\d)_(\d+)\.c3x3_b\.(conv|bn)", "stage{1-1}_block{2}_{3}2"),
    (r"features\.conv(\d)_(\d+)\.c1x1_c\.(conv|bn)", "stage{1-1}_block{2}_{3}3"),
    (r"features\.conv(\d)_(\d+)\.c1x1_c1", "stage{1-1}_block{2}_conv3_residual"),
    (r"features\.conv(\d)_(\d+)\.c1x1_c2", "stage{1-1}_block{2}_conv3_dense"),
    (r"features\.conv5_bn_ac\.bn", "final_bn"),
    (r"classifier", "head"),
)

# (pixel - (124, 117, 104)) * 0.0167, the authors' README.
_PIXELS = Preprocessing(mean=(124 / 255, 117 / 255, 104 / 255), std=(1 / (0.0167 * 255),) * 3, interpolation="bicubic")
_family = Family(
    __name__,
    features=features,
    variants=VARIANTS,
    paper="Chen, Li, Xiao, Jin, Yan, Feng: Dual Path Networks, 2017, arXiv:1707.01629",
    preprocessing=_PIXELS,
    names={"timm": Ranked(_TIMM)},
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

DPN68 = _family("DPN68", "dpn68", reported="top-1 23.57, top-5 6.93 % (authors' release)")
DPN68b = _family("DPN68b", "dpn68b", reported="top-1 22.45, top-5 6.09 % (authors' release, ImageNet-5k first)")
DPN92 = _family("DPN92", "dpn92", reported="top-1 20.73, top-5 5.37 % (authors' release)")
DPN98 = _family("DPN98", "dpn98", reported="top-1 20.15, top-5 5.15 % (authors' release)")
DPN107 = _family("DPN107", "dpn107", reported="top-1 19.75, top-5 4.94 % (authors' release, ImageNet-5k first)")
DPN131 = _family("DPN131", "dpn131", reported="top-1 19.93, top-5 5.12 % (authors' release)")
