"""LeNet-5, as published in 1998 and as it is usually built today.

Yann LeCun, Leon Bottou, Yoshua Bengio, Patrick Haffner: Gradient-Based Learning Applied to Document Recognition,
Proc. IEEE 86(11), 1998, doi.org/10.1109/5.726791.

Departures, `lenet5_1998`: the network ends in a softmax over the negative squared distances to the codes, which is the
paper's criterion (equation 9) without its constant for rubbish; `classifier_activation=None` gives the distances. The
digits' codes are drawn anew in the paper's 7x12 format, since its figure 3 was not at hand; numbers of classes other
than 10, for which it shows none, get random codes from a fixed seed. `lenet5`: full connections in C3, average pools
without parameters, ReLU and a dense softmax, as in most current code; none of this is the paper's.
"""

import dataclasses
import random

import keras

from kerascnn import layers
from kerascnn._preprocessing import LENET
from kerascnn.applications._build import Family, dense_head
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec:
    """Widths of figure 2."""

    maps: tuple[int, int, int] = (6, 16, 120)  # of C1, C3 and C5
    table: tuple[tuple[int, ...], ...] = ()  # for each map of C3 the maps of S2 that it sees; empty: all


VARIANTS = {
    "lenet5": Spec(),
    "lenet5_1998": Spec(
        table=(  # table I: three neighbors, four neighbors, four of which two and two are neighbors, all
            *(tuple(sorted((i + j) % 6 for j in range(3))) for i in range(6)),
            *(tuple(sorted((i + j) % 6 for j in range(4))) for i in range(6)),
            *(tuple(sorted((i + j) % 6 for j in (0, 1, 3, 4))) for i in range(3)),
            tuple(range(6)),
        )
    ),
}

_DIGITS = (  # 0 to 9 side by side, # is +1 and . is -1
    "....... ....... ....... ....... ....... ....... ....... ....... ....... .......",
    "..###.. ...##.. .#####. .#####. ....##. ####### ..####. ####### .#####. .#####.",
    ".##.##. ..###.. ##...## ##...## ...###. ##..... .##.... ##...## ##...## ##...##",
    "##...## .####.. .....## .....## ..####. ##..... ##..... .....## ##...## ##...##",
    "##...## ...##.. .....## .....## .##.##. ######. ##..... ....##. ##...## ##...##",
    "##...## ...##.. ....##. ..####. ##..##. ##...## ######. ....##. .#####. .######",
    "##...## ...##.. ...##.. .....## ##..##. .....## ##...## ...##.. ##...## .....##",
    "##...## ...##.. ..##... .....## ####### .....## ##...## ...##.. ##...## .....##",
    "##...## ...##.. .##.... .....## ....##. .....## ##...## ..##... ##...## ....##.",
    ".##.##. ...##.. ##..... ##...## ....##. ##...## ##...## ..##... ##...## ...##..",
    "..###.. .###### ####### .#####. ....##. .#####. .#####. ..##... .#####. .###...",
    "....... ....... ....... ....... ....... ....... ....... ....... ....... .......",
)
_CODE_LENGTH = 84  # units of F6 = pixels of a code


def codes(classes: int) -> list[list[int]]:
    """[classes, 84] of +1 and -1: pictures of the digits for 10 classes, else random with a fixed seed."""
    if classes == 10:
        pictures = zip(*(row.split() for row in _DIGITS), strict=True)
        return [[1 if pixel == "#" else -1 for row in picture for pixel in row] for picture in pictures]
    rng = random.Random(classes)
    return [[1 if rng.random() < 0.5 else -1 for _ in range(_CODE_LENGTH)] for _ in range(classes)]


def squash(x, *, name):
    """The squashing function of every unit up to F6."""
    return keras.layers.Activation(layers.scaled_tanh, name=name)(x)


def uniform(fan_in):
    """Initial weights of the paper, section III.B: uniform between -2.4/F and 2.4/F for fan-in F."""
    return keras.initializers.RandomUniform(-2.4 / fan_in, 2.4 / fan_in)


def features(x, spec: Spec):
    """Outputs of S2 [b, 14, 14, 6], S4 [b, 5, 5, 16] and C5 [b, 1, 1, 120] for 32x32."""
    stages = []
    for i, filters in enumerate(spec.maps):
        name = f"c{2 * i + 1}"
        x = layers.PlainConv2D(filters, 5, activation="relu", kernel_initializer="he_normal", name=name)(x)
        if i < 2:
            x = keras.layers.AveragePooling2D(2, name=f"s{2 * i + 2}")(x)
        stages.append(x)
    return stages


def features_1998(x, spec: Spec):
    """Outputs of S2 [b, 14, 14, 6], S4 [b, 5, 5, 16] and C5 [b, 1, 1, 120] for 32x32."""
    c1, c3, c5 = spec.maps
    x = layers.PlainConv2D(c1, 5, kernel_initializer=uniform(25 * x.shape[-1]), name="c1")(x)
    x = layers.Subsampling2D(name="s2")(squash(x, name="c1_squash"))
    s2 = squash(x, name="s2_squash")
    x = layers.ConnectionTableConv2D(spec.table, 5, name="c3")(s2)
    x = layers.Subsampling2D(name="s4")(squash(x, name="c3_squash"))
    s4 = squash(x, name="s4_squash")
    x = layers.PlainConv2D(c5, 5, kernel_initializer=uniform(25 * c3), name="c5")(s4)
    return [s2, s4, squash(x, name="c5_squash")]


def head(x, classes, activation):
    """Dense 84, ReLU, dense."""
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(84, activation="relu", kernel_initializer="he_normal", name="f6")(x)
    return dense_head(x, classes, activation)


def head_1998(x, classes, activation):
    """Dense 84, scaled tanh, negative squared distances to the codes; float32 under mixed precision."""
    dtype = keras.config.dtype_policy().variable_dtype
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(_CODE_LENGTH, kernel_initializer=uniform(x.shape[-1]), name="f6")(x)
    x = layers.RBFCodes(codes(classes), dtype=dtype, name="head")(squash(x, name="f6_squash"))
    return keras.layers.Activation(activation, dtype=dtype, name="probabilities")(x)


_shared = {
    "variants": VARIANTS,
    "paper": "LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document Recognition, "
    "Proc. IEEE 86(11), 1998",
    "preprocessing": LENET,
    "recipe": "lenet",
    "input_shape": (32, 32, 1),
    "classes": 10,
    "fixed_size": True,
}
_family = Family(__name__, features=features, head=head, **_shared)
_family_1998 = Family(__name__, features=features_1998, head=head_1998, **{**_shared, "recipe": "lenet_1998"})
preprocess_input, decode_predictions = pixels_and_labels(__name__)

LeNet5 = _family("LeNet5", "lenet5", reported="MNIST 0.9-1.0 % (tutorials)")
LeNet5_1998 = _family_1998(
    "LeNet5_1998", "lenet5_1998", reported="MNIST 0.95 %, with distortions 0.8 % (paper)", reconstructed=True
)
