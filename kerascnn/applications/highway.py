"""Highway networks: each convolution is weighed against its input by a gate; for CIFAR.

Rupesh Kumar Srivastava, Klaus Greff, Jürgen Schmidhuber: Highway Networks, 2015, arXiv:1505.00387; Training Very Deep
Networks, 2015, arXiv:1507.06228. Their thin and deep plain models: Adriana Romero, Nicolas Ballas, Samira Ebrahimi
Kahou, Antoine Chassang, Carlo Gatta, Yoshua Bengio: FitNets, 2014, arXiv:1412.6550.

Departures: none for `highway_gap`, table 3 of the paper, which is the authors' release (flukeskywalker/
highway-networks). Of A, B and C (table 2) the layers were not published. Reconstructed: as in the release one width a
stage, whose first convolution is plain, gates that start at -2, dropout of 0.2, but a dense layer in place of the 1x1
convolution (section 3.3.2 says that only these differ). It has 250 units, which give A the published 236K parameters
(236,328) and B 2.3M (2,277,688). C alternates 3x3 and 1x1, as published; its 30 convolutions have widths that give
1.25M. `highway_b_fitnet4` is another reading of B, with all of FitNet 4's widths and its 500 units (2,342,406). The
first convolution starts as the others do, where the release's file asks for a Gaussian but misnames its deviation.
"""

import dataclasses

import keras

from kerascnn._preprocessing import CIFAR
from kerascnn.applications._build import Family, dense_head, pooled_head
from kerascnn.applications._images import pixels_and_labels
from kerascnn.layers.plain_conv2d import PlainConv2D


@dataclasses.dataclass(frozen=True)
class Spec:
    """Three stages; a convolution that changes the width is plain, the others are highway layers."""

    widths: tuple[tuple[int, ...], ...]  # per stage, of each convolution
    alternating: bool = False  # every second convolution is 1x1, else all are 3x3


VARIANTS = {
    "highway_a": Spec(((16,) * 3, (32,) * 3, (64,) * 3)),
    "highway_b": Spec(((32,) * 5, (80,) * 6, (128,) * 6)),
    "highway_b_fitnet4": Spec(((32, 32, 32, 48, 48), (80,) * 6, (128,) * 6)),
    "highway_c": Spec(((32,) * 10, (48,) * 10, (104,) * 10), alternating=True),
    "highway_gap": Spec(((32,) * 5, (80,) * 6, (128,) * 6)),
}


def conv(x, filters, size, activation="relu", bias=0.0, *, name):
    """Convolution that keeps the size; Caffe's "xavier", U(±sqrt(3 / fan-in))."""
    options = {
        "activation": activation,
        "kernel_initializer": keras.initializers.VarianceScaling(1.0, mode="fan_in", distribution="uniform"),
        "bias_initializer": keras.initializers.Constant(bias),
    }
    return PlainConv2D(filters, size, padding="same", name=name, **options)(x)


def highway(x, size, *, name):
    """x + T(x) * (H(x) - x), that is H * T + x * (1 - T): H convolution, ReLU; T convolution, sigmoid, from bias -2."""
    h = conv(x, x.shape[-1], size, name=f"{name}_transform")
    t = conv(x, x.shape[-1], size, "sigmoid", -2.0, name=f"{name}_gate")
    change = keras.layers.Subtract(name=f"{name}_subtract")([h, x])
    change = keras.layers.Multiply(name=f"{name}_scale")([change, t])
    return keras.layers.Add(name=f"{name}_add")([x, change])


def features(x, spec: Spec, *, dropout_rate: float = 0.2):
    """Before each pool and the head [b, h, w, c1], [b, h/2, w/2, c2], [b, h/4, w/4, c3]."""
    stages, count = [], 0
    for s, widths in enumerate(spec.widths, 1):
        if s > 1:
            x = keras.layers.MaxPooling2D(2, name=f"stage{s - 1}_pool")(x)
        if dropout_rate:
            x = keras.layers.Dropout(dropout_rate, name=f"stage{s}_dropout")(x)
        for i, width in enumerate(widths, 1):
            size = 1 if spec.alternating and count % 2 else 3
            name, count = f"stage{s}_conv{i}", count + 1
            x = highway(x, size, name=name) if x.shape[-1] == width else conv(x, width, size, name=name)
        stages.append(x)
    return stages


def gap_head(x, classes, activation, *, dropout_rate: float = 0.2):
    """1x1 convolution to 100 maps, ReLU, global average, dropout, dense."""
    return pooled_head(conv(x, 100, 1, name="head_conv"), classes, activation, dropout_rate=dropout_rate)


def _dense_head(units):
    """The head with a hidden layer of that many units."""

    def head(x, classes, activation, *, dropout_rate: float = 0.2):
        """Global maximum, as in FitNets; dense, ReLU, dropout, dense."""
        x = keras.layers.GlobalMaxPooling2D(name="head_pool")(x)
        x = keras.layers.Dense(units, activation="relu", name="fc")(x)
        x = keras.layers.Dropout(dropout_rate, name="head_dropout")(x)
        return dense_head(x, classes, activation)

    return head


_shared = {
    "features": features,
    "variants": VARIANTS,
    "paper": "Srivastava, Greff, Schmidhuber: Training Very Deep Networks, 2015, arXiv:1507.06228",
    "preprocessing": CIFAR,
    "recipe": "cifar_plain",
    "input_shape": (32, 32, 3),
    "min_size": 4,
    "classes": 10,
    "weight_decay": 1e-3,
}
_family = Family(__name__, head=_dense_head(250), **_shared)
_fitnet = Family(__name__, head=_dense_head(500), **_shared)
_gap = Family(__name__, head=gap_head, **_shared)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

HighwayA = _family("HighwayA", "highway_a", reported="CIFAR-10 10.82 % (paper)", reconstructed=True)
HighwayB = _family("HighwayB", "highway_b", reported="CIFAR-10 7.54 % (paper, best of 5)", reconstructed=True)
HighwayBFitNet4 = _fitnet("HighwayBFitNet4", "highway_b_fitnet4", reconstructed=True)
HighwayC = _family("HighwayC", "highway_c", reported="CIFAR-10 8.80 % (paper)", reconstructed=True)
HighwayGAP = _gap("HighwayGAP", "highway_gap", reported="CIFAR-10 7.60, CIFAR-100 32.24 % (paper, best of 5)")
