"""DenseNet for ImageNet: every layer sees the concatenated outputs of all before it in its block.

Gao Huang, Zhuang Liu, Laurens van der Maaten, Kilian Weinberger: Densely Connected Convolutional Networks, 2016,
arXiv:1608.06993, table 1: the BC form, whose layers have bottlenecks of four times the growth and whose transitions
halve the channels. `densenet161`, growth 48, is from the authors' release (liuzhuang13/DenseNet); timm's `densenet264`
has that growth too, and is not the paper's.

Departures: none. Stem, batch norm and initial values follow the release.
"""

import dataclasses

import keras

from kerascnn import blocks
from kerascnn._preprocessing import IMAGENET
from kerascnn.applications._build import Family, Ordered, pooled_head
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec:
    """One column of the paper's table 1."""

    depths: tuple[int, ...]  # layers per dense block
    growth: int = 32  # channels that a layer adds; the stem has twice as many


VARIANTS = {
    "densenet121": Spec((6, 12, 24, 16)),
    "densenet161": Spec((6, 12, 36, 24), growth=48),
    "densenet169": Spec((6, 12, 32, 32)),
    "densenet201": Spec((6, 12, 48, 32)),
    "densenet264": Spec((6, 12, 64, 48)),
}


def dropout(x, rate, *, name):
    """Dropout, or x where the rate is 0."""
    return keras.layers.Dropout(rate, name=name)(x) if rate else x


def layer(x, growth, dropout_rate, *, name):
    """BN, ReLU, 1x1 to 4 * growth, BN, ReLU, 3x3 to growth, each with dropout; concatenated to x."""
    y = blocks.bn_relu(x, name=f"{name}_bn1")
    y = dropout(blocks.conv(y, 4 * growth, 1, name=f"{name}_conv1"), dropout_rate, name=f"{name}_dropout1")
    y = blocks.bn_relu(y, name=f"{name}_bn2")
    y = dropout(blocks.conv(y, growth, 3, name=f"{name}_conv2"), dropout_rate, name=f"{name}_dropout2")
    return keras.layers.Concatenate(name=f"{name}_concat")([x, y])


def transition(x, dropout_rate, *, name):
    """BN, ReLU, 1x1 to half the channels, dropout, average of 2x2."""
    x = blocks.bn_relu(x, name=f"{name}_bn")
    x = dropout(blocks.conv(x, x.shape[-1] // 2, 1, name=f"{name}_conv"), dropout_rate, name=f"{name}_dropout")
    return keras.layers.AveragePooling2D(2, name=f"{name}_pool")(x)


def features(x, spec: Spec, *, dropout_rate: float = 0.0):
    """Outputs of the dense blocks, [b, h/4, w/4, c1], [b, h/8, w/8, c2], [b, h/16, w/16, c3], [b, h/32, w/32, c4].

    They are concatenations without activation, but the last, which has passed the final BN and ReLU.
    """
    x = blocks.conv_bn(x, 2 * spec.growth, 7, 2, name="stem_conv")
    x = blocks.max_pool(x, name="stem_pool")
    stages = []
    for s, depth in enumerate(spec.depths, 1):
        if s > 1:
            x = transition(x, dropout_rate, name=f"transition{s - 1}")
        for b in range(depth):
            x = layer(x, spec.growth, dropout_rate, name=f"stage{s}_block{b + 1}")
        stages.append(x)
    return [*stages[:-1], blocks.bn_relu(x, name="final_bn")]


def head(x, classes, activation):
    """Global average pool, dense; `dropout_rate` is the convolutions' alone."""
    return pooled_head(x, classes, activation)


_TORCH = (
    (r"features\.conv0", "stem_conv"),
    (r"features\.norm0", "stem_bn"),
    (r"features\.denseblock(\d)\.denselayer(\d+)\.conv(\d)", "stage{1}_block{2}_conv{3}"),
    (r"features\.denseblock(\d)\.denselayer(\d+)\.norm(\d)", "stage{1}_block{2}_bn{3}"),
    (r"features\.transition(\d)\.conv", "transition{1}_conv"),
    (r"features\.transition(\d)\.norm", "transition{1}_bn"),
    (r"features\.norm5", "final_bn"),
    (r"classifier", "head"),
)
_KERAS = (
    (r"conv1[_/](conv|bn)", "stem_{1}"),  # the files of 2018 have a slash
    (r"conv(\d)_block(\d+)_([12])_conv", "stage{1-1}_block{2}_conv{3}"),
    (r"conv(\d)_block(\d+)_([01])_bn", "stage{1-1}_block{2}_bn{3+1}"),
    (r"pool(\d)_(conv|bn)", "transition{1-1}_{2}"),
    (r"bn", "final_bn"),
    (r"predictions|fc1000", "head"),
)
_family = Family(
    __name__,
    recipe="densenet_imagenet",
    features=features,
    head=head,
    variants=VARIANTS,
    paper="Huang, Liu, van der Maaten, Weinberger: Densely Connected Convolutional Networks, 2016, arXiv:1608.06993",
    preprocessing=IMAGENET,
    min_size=29,
    weight_decay=1e-4,
    names={"torchvision": _TORCH, "timm": _TORCH, "keras": Ordered(_KERAS)},
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

DenseNet121 = _family("DenseNet121", "densenet121", reported="top-1 25.02, top-5 7.71 % (paper, 1 crop)")
DenseNet161 = _family("DenseNet161", "densenet161", reported="top-1 22.2 % (release, 1 crop)")
DenseNet169 = _family("DenseNet169", "densenet169", reported="top-1 23.80, top-5 6.85 % (paper, 1 crop)")
DenseNet201 = _family("DenseNet201", "densenet201", reported="top-1 22.58, top-5 6.34 % (paper, 1 crop)")
DenseNet264 = _family("DenseNet264", "densenet264", reported="top-1 22.15, top-5 6.12 % (paper, 1 crop)")
