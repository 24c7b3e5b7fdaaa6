"""DenseNet for CIFAR: three dense blocks, with or without bottlenecks and compression (BC).

Gao Huang, Zhuang Liu, Laurens van der Maaten, Kilian Weinberger: Densely Connected Convolutional Networks, 2016,
arXiv:1608.06993, table 2.

The stem has 16 channels, in BC twice the growth: section 3 says so, and only then do the counts round to the paper's
1.0M, 7.0M and 27.2M. The authors' release (liuzhuang13/DenseNet) gives every network twice the growth: 1,059,298,
7,083,538 and 28,071,706 parameters, networks of another width that are not built here. DenseNet-BC-190 with growth 40
appears in some lists as L = 100. `densenet40_k12_bc` is not in the paper: BC at the depth and growth of its smallest
network, as pytorchcv has it, for first tries on a CPU.

Departures: none. Batch norm and initial values follow the release. Dropout (0.2 in the paper) is for training without
augmentation, and is off unless `dropout_rate` says otherwise.
"""

import dataclasses

import keras

from kerascnn import blocks
from kerascnn.applications._build import CIFARFamily, pooled_head
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec:
    """One row of the paper's table 2."""

    depth: int  # L, layers with weights
    growth: int  # k, channels that a layer adds
    bottleneck: bool = False  # a 1x1 to 4k before each 3x3, and transitions that halve the channels


VARIANTS = {
    "densenet40_k12": Spec(40, 12),
    "densenet40_k12_bc": Spec(40, 12, bottleneck=True),
    "densenet100_k12": Spec(100, 12),
    "densenet100_k24": Spec(100, 24),
    "densenet100_k12_bc": Spec(100, 12, bottleneck=True),
    "densenet250_k24_bc": Spec(250, 24, bottleneck=True),
    "densenet190_k40_bc": Spec(190, 40, bottleneck=True),
}


def bn_relu_conv(x, filters, size, dropout_rate, *, name):
    """BN, ReLU, convolution, dropout."""
    x = blocks.bn_relu(x, name=name.replace("conv", "bn"))
    x = blocks.conv(x, filters, size, name=name)
    return keras.layers.Dropout(dropout_rate, name=name.replace("conv", "dropout"))(x) if dropout_rate else x


def layer(x, spec, dropout_rate, *, name):
    """BN, ReLU, 3x3 to k, before it in BC BN, ReLU, 1x1 to 4k; concatenated to x."""
    y, last = x, 1
    if spec.bottleneck:
        y, last = bn_relu_conv(y, 4 * spec.growth, 1, dropout_rate, name=f"{name}_conv1"), 2
    y = bn_relu_conv(y, spec.growth, 3, dropout_rate, name=f"{name}_conv{last}")
    return keras.layers.Concatenate(name=f"{name}_concat")([x, y])


def features(x, spec: Spec, *, dropout_rate: float = 0.0):
    """Outputs of the dense blocks, [b, h, w, c1], [b, h/2, w/2, c2], [b, h/4, w/4, c3]; the last after BN, ReLU."""
    depth = (spec.depth - 4) // (6 if spec.bottleneck else 3)
    x = blocks.conv(x, 2 * spec.growth if spec.bottleneck else 16, 3, name="stem_conv")
    stages = []
    for s in range(1, 4):
        if s > 1:
            filters = x.shape[-1] // 2 if spec.bottleneck else x.shape[-1]
            x = bn_relu_conv(x, filters, 1, dropout_rate, name=f"transition{s - 1}_conv")
            x = keras.layers.AveragePooling2D(2, name=f"transition{s - 1}_pool")(x)
        for b in range(depth):
            x = layer(x, spec, dropout_rate, name=f"stage{s}_block{b + 1}")
        stages.append(x)
    return [*stages[:-1], blocks.bn_relu(x, name="final_bn")]


def head(x, classes, activation):
    """Global average pool, dense; `dropout_rate` is the convolutions' alone."""
    return pooled_head(x, classes, activation)


_family = CIFARFamily(
    __name__,
    recipe="densenet",
    features=features,
    head=head,
    variants=VARIANTS,
    paper="Huang, Liu, van der Maaten, Weinberger: Densely Connected Convolutional Networks, 2016, arXiv:1608.06993",
    min_size=4,
    weight_decay=1e-4,
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

_C10 = "CIFAR-10, augmented"
DenseNet40K12 = _family("DenseNet40K12", "densenet40_k12", reported=f"5.24 % ({_C10})")
DenseNetBC40K12 = _family("DenseNetBC40K12", "densenet40_k12_bc")
DenseNet100K12 = _family("DenseNet100K12", "densenet100_k12", reported=f"4.10 % ({_C10})")
DenseNet100K24 = _family("DenseNet100K24", "densenet100_k24", reported=f"3.74 % ({_C10})")
DenseNetBC100K12 = _family("DenseNetBC100K12", "densenet100_k12_bc", reported=f"4.51 % ({_C10})")
DenseNetBC250K24 = _family("DenseNetBC250K24", "densenet250_k24_bc", reported=f"3.62 % ({_C10})")
DenseNetBC190K40 = _family("DenseNetBC190K40", "densenet190_k40_bc", reported=f"3.46 % ({_C10})")
