"""FractalNet: no shortcuts; columns of one, two and four convolutions that start and join together, and drop-path.

Gustav Larsson, Michael Maire, Gregory Shakhnarovich: FractalNet: Ultra-Deep Neural Networks without Residuals, 2016,
arXiv:1605.07648, the network of 5 blocks of 3 columns for CIFAR, as released (gustavla/fractalnet): convolutions have
biases, Caffe's Xavier weights and batch norm without scale and shift; dropout, between the two, grows from block to
block; the columns are pooled before a block's last join.

Departures: reconstructed. The paper prints 38.6M parameters, which nothing published explains; these widths, the
release's, give 33.7M. Drop-path is local or global by the toss of a coin for each mini-batch, as the paper says, where
the release shares the weights of separate columns. An odd image's last row and column are pooled alone, as in Caffe.
"""

import dataclasses
import itertools

import keras

from kerascnn import blocks, layers
from kerascnn.applications._build import CIFARFamily, pooled_head
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec:
    """Section 4.1; the deepest column of a block has 2 ** (columns - 1) convolutions."""

    columns: int  # C
    widths: tuple[int, ...]  # filters of each block


VARIANTS = {"fractalnet21": Spec(3, (64, 128, 256, 512, 512))}


def conv(x, filters, dropout_rate, *, name):
    """3x3, dropout, BN without scale and shift, ReLU."""
    xavier = keras.initializers.VarianceScaling(1.0, mode="fan_in", distribution="uniform")
    x = layers.PlainConv2D(filters, 3, padding="same", kernel_initializer=xavier, name=name)(x)
    if dropout_rate:
        x = keras.layers.Dropout(dropout_rate, name=name.replace("conv", "dropout"))(x)
    bn, relu = (name.replace("conv", part) for part in ("bn", "relu"))
    x = layers.BatchNormalization(momentum=0.999, epsilon=1e-5, center=False, scale=False, name=bn)(x)
    return keras.layers.Activation("relu", name=relu)(x)


def fractal(x, count, make_conv, make_join):
    """The rule f_1 = conv, f_n = join(conv, f_(n-1) of f_(n-1)), without the last join: a list of `count` columns."""
    if count == 1:
        return [make_conv(x, 1)]
    half = make_join(fractal(x, count - 1, make_conv, make_join))
    deeper = fractal(half, count - 1, make_conv, make_join)
    return [make_conv(x, count), *deeper]


def block(x, spec, filters, choice, dropout_rate, drop_path_rate, *, name):
    """All columns, the shallowest first, each pooled 2x2, joined."""
    numbers, joins = [itertools.count(1) for _ in range(spec.columns)], itertools.count(1)

    def make_conv(x, level):
        column = spec.columns - level + 1
        number = next(numbers[column - 1])
        return conv(x, filters, dropout_rate, name=f"{name}_column{column}_conv{number}")

    def make_join(columns):
        if len(columns) == 1:
            return columns[0]
        return layers.FractalJoin(drop_path_rate, name=f"{name}_join{next(joins)}")([choice, *columns])

    columns = fractal(x, spec.columns, make_conv, make_join)
    pools = [keras.layers.MaxPooling2D(2, padding="same", name=f"{name}_pool{i + 1}") for i in range(spec.columns)]
    return make_join([pool(column) for pool, column in zip(pools, columns, strict=True)])


def features(x, spec: Spec, *, drop_path_rate: float = 0.15, dropout_rate: float = 0.4):
    """Block outputs [b, h/2, w/2, c1], [b, h/4, w/4, c2], ...; `dropout_rate` is the last block's, the first has 0."""
    choice = layers.FractalPath(spec.columns, 0.5 if drop_path_rate else 0.0, name="path")(x)
    dropout_rates = blocks.linear_rates(dropout_rate, (1,) * len(spec.widths))
    stages = []
    for s, (filters, (rate,)) in enumerate(zip(spec.widths, dropout_rates, strict=True), 1):
        x = block(x, spec, filters, choice, rate, drop_path_rate, name=f"stage{s}")
        stages.append(x)
    return stages


def head(x, classes, activation):
    """Global average pool, which does nothing to the 1x1 map of a CIFAR image, dense."""
    return pooled_head(x, classes, activation)


_family = CIFARFamily(
    __name__,
    recipe="fractalnet",
    features=features,
    head=head,
    variants=VARIANTS,
    paper="Larsson, Maire, Shakhnarovich: FractalNet: Ultra-Deep Neural Networks without Residuals, 2016, "
    "arXiv:1605.07648",
    min_size=8,
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

FractalNet21 = _family(
    "FractalNet21",
    "fractalnet21",
    reported="CIFAR-10 4.60, without augmentation 7.33 %; CIFAR-100 23.30 % (paper, 38.6M parameters)",
    reconstructed=True,
)
