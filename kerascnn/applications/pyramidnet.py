"""PyramidNet: residual networks whose width grows by the same amount in every unit.

Dongyoon Han, Jiwhan Kim, Junmo Kim: Deep Pyramidal Residual Networks, 2016, arXiv:1610.02915, the additive form for
CIFAR (basic units and bottlenecks) and ImageNet (alpha 300 and 450), as released (jhkim89/PyramidNet): the first ReLU
of a unit is gone, a batch norm ends it, and the shortcut is x (averaged over 2x2 where the unit strides) with zero
channels appended.

Departures: the widths are rounded to the nearest number, as in the release; the paper's formula rounds down, to counts
that are up to 2 % lower. Neither gives all of its figures: they are 0.1 to 0.9 % below ours, also for alpha 270, where
no width needs rounding. An odd image is averaged with its last row and column alone, where the release stops.
"""

import dataclasses
import math

import keras

from kerascnn import blocks, layers
from kerascnn._preprocessing import IMAGENET
from kerascnn.applications._build import CIFARFamily, Family
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec:
    """Depth and growth of the width."""

    depths: tuple[int, ...]  # units per stage
    alpha: int  # what the units together add to the width of the stem
    bottleneck: bool = True  # 1x1, 3x3, 1x1 with four times the width out; False: 3x3, 3x3


VARIANTS = {
    "pyramidnet110_a48": Spec((18,) * 3, 48, bottleneck=False),  # table 4
    "pyramidnet110_a84": Spec((18,) * 3, 84, bottleneck=False),
    "pyramidnet110_a270": Spec((18,) * 3, 270, bottleneck=False),
    "pyramidnet164_a48": Spec((18,) * 3, 48),
    "pyramidnet164_a84": Spec((18,) * 3, 84),
    "pyramidnet164_a270": Spec((18,) * 3, 270),
    "pyramidnet200_a240": Spec((22,) * 3, 240),
    "pyramidnet236_a220": Spec((26,) * 3, 220),
    "pyramidnet272_a200": Spec((30,) * 3, 200),
    "pyramidnet200_a300": Spec((3, 24, 36, 3), 300),  # ImageNet, table 5
    "pyramidnet200_a450": Spec((3, 24, 36, 3), 450),
}


def bn(x, *, name):
    """Batch norm."""
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)


def basic(x, width, stride, *, name):
    """BN, 3x3/stride, BN, ReLU, 3x3, BN."""
    x = blocks.conv(bn(x, name=f"{name}_bn1"), width, 3, stride, name=f"{name}_conv1")
    x = blocks.conv(blocks.bn_relu(x, name=f"{name}_bn2"), width, 3, name=f"{name}_conv2")
    return bn(x, name=f"{name}_bn3")


def bottleneck(x, width, stride, *, name):
    """BN, 1x1, BN, ReLU, 3x3/stride, BN, ReLU, 1x1 to 4 * width, BN."""
    x = blocks.conv(bn(x, name=f"{name}_bn1"), width, 1, name=f"{name}_conv1")
    x = blocks.conv(blocks.bn_relu(x, name=f"{name}_bn2"), width, 3, stride, name=f"{name}_conv2")
    x = blocks.conv(blocks.bn_relu(x, name=f"{name}_bn3"), 4 * width, 1, name=f"{name}_conv3")
    return bn(x, name=f"{name}_bn4")


def unit(x, width, stride, rate, *, branch, name):
    """Branch, plus x (averaged over 2x2 if it strides) with zero channels; nothing after the addition."""
    y = blocks.drop_path(branch(x, width, stride, name=name), rate, name=f"{name}_drop_path")
    if stride > 1:
        x = keras.layers.AveragePooling2D(2, padding="same", name=f"{name}_shortcut_pool")(x)
    if x.shape[-1] != y.shape[-1]:
        x = layers.ZeroPadShortcut(y.shape[-1], name=f"{name}_shortcut")(x)
    return keras.layers.Add(name=f"{name}_add")([x, y])


def pyramid(x, spec: Spec, drop_path_rate: float):
    """The stages, of which all but the first halve the size; the last output has passed the final BN and ReLU."""
    start, total, n = x.shape[-1], sum(spec.depths), 0
    rates = blocks.linear_rates(drop_path_rate, spec.depths)
    stages = []
    for s, depth in enumerate(spec.depths):
        for b in range(depth):
            n += 1
            width = math.floor(start + spec.alpha * n / total + 0.5)
            stride = 2 if s > 0 and b == 0 else 1
            branch, name = bottleneck if spec.bottleneck else basic, f"stage{s + 1}_block{b + 1}"
            x = unit(x, width, stride, rates[s][b], branch=branch, name=name)
        stages.append(x)
    return [*stages[:-1], blocks.bn_relu(x, name="final_bn")]


def features(x, spec: Spec, *, drop_path_rate: float = 0.0):
    """Stage outputs [b, h, w, c1], [b, h/2, w/2, c2], [b, h/4, w/4, c3]; c3 = 16 + alpha, times 4 with bottlenecks."""
    x = blocks.conv_bn(x, 16, 3, relu=False, name="stem_conv")
    return pyramid(x, spec, drop_path_rate)


def features_imagenet(x, spec: Spec, *, drop_path_rate: float = 0.0):
    """Stage outputs [b, h/4, w/4, c1], [b, h/8, w/8, c2], [b, h/16, w/16, c3], [b, h/32, w/32, 4 * (64 + alpha)]."""
    x = blocks.conv_bn(x, 64, 7, 2, name="stem_conv")
    x = blocks.max_pool(x, name="stem_pool")
    return pyramid(x, spec, drop_path_rate)


_paper = "Han, Kim, Kim: Deep Pyramidal Residual Networks, 2016, arXiv:1610.02915"
_family = CIFARFamily(
    __name__,
    recipe="pyramidnet",
    features=features,
    variants=VARIANTS,
    paper=_paper,
    min_size=8,
    weight_decay=1e-4,
)
_imagenet = Family(
    __name__,
    features=features_imagenet,
    variants=VARIANTS,
    paper=_paper,
    preprocessing=IMAGENET,
    weight_decay=1e-4,
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

PyramidNet110A48 = _family("PyramidNet110A48", "pyramidnet110_a48", reported="CIFAR-10 4.62, CIFAR-100 23.31 %")
PyramidNet110A84 = _family("PyramidNet110A84", "pyramidnet110_a84", reported="CIFAR-10 4.27, CIFAR-100 20.21 %")
PyramidNet110A270 = _family("PyramidNet110A270", "pyramidnet110_a270", reported="CIFAR-10 3.73, CIFAR-100 18.25 %")
PyramidNet164A48 = _family("PyramidNet164A48", "pyramidnet164_a48", reported="CIFAR-10 4.21, CIFAR-100 19.52 %")
PyramidNet164A84 = _family("PyramidNet164A84", "pyramidnet164_a84", reported="CIFAR-10 3.96, CIFAR-100 18.32 %")
PyramidNet164A270 = _family("PyramidNet164A270", "pyramidnet164_a270", reported="CIFAR-10 3.48, CIFAR-100 17.01 %")
PyramidNet200A240 = _family("PyramidNet200A240", "pyramidnet200_a240", reported="CIFAR-10 3.44, CIFAR-100 16.51 %")
PyramidNet236A220 = _family("PyramidNet236A220", "pyramidnet236_a220", reported="CIFAR-10 3.40, CIFAR-100 16.37 %")
PyramidNet272A200 = _family("PyramidNet272A200", "pyramidnet272_a200", reported="CIFAR-10 3.31, CIFAR-100 16.35 %")
PyramidNet200A300 = _imagenet(
    "PyramidNet200A300", "pyramidnet200_a300", reported="ImageNet top-1 20.5, top-5 5.3 % (320 crop)"
)
PyramidNet200A450 = _imagenet(
    "PyramidNet200A450",
    "pyramidnet200_a450",
    reported="ImageNet top-1 20.1, top-5 5.4 % (320 crop)",
    dropout_rate=0.5,
)
