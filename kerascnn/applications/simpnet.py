"""SimpNet: thirteen 3x3 convolutions, with dropout after each and after each max pool (SAF-pooling).

Seyyed Hossein Hasanpour, Mohammad Rouhani, Mohsen Fayyaz, Mohammad Sabokrou, Ehsan Adeli: Towards Principled Design of
Deep Convolutional Networks: Introducing SimpNet, 2018, arXiv:1802.06205. Widths, rates and constants are those of the
authors' Caffe files (github.com/Coderx7/SimpNet); `simpnet_5m_channel` is their later PyTorch form.

Departures: `simpnet_300k` drops after its pools, as its runs on CIFAR-100, MNIST and SVHN did; the run on CIFAR-10 that
gave the reported error dropped nothing. The files name 5.48M and 8.9M parameters, the paper's text 5.4M and 8.9M: the
networks are those of the files. Networks of 15M and 25M parameters are reported in the authors' table, but no file
describes them.
"""

import dataclasses

import keras

from kerascnn import layers
from kerascnn._preprocessing import CIFAR, MNIST
from kerascnn.applications._build import Family, dense_head
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec:
    """Three parts of convolutions; a pool ends each, the last over the whole map."""

    widths: tuple[tuple[int, ...], ...]  # filters of the convolutions of each part
    dropout: tuple[float, float, float] = (0.2, 0.2, 0.2)  # after the convolutions of each part, except its last
    saf: tuple[float, float] = (0.2, 0.2)  # rates of the two pools between the parts
    saf_mode: str = "element"  # element | channel: what dropout and the pools drop
    momentum: float = 0.95  # of batch norm


_5M = ((66, 128, 128, 128, 192), (192, 192, 192, 192, 288), (288, 355, 432))
_NONE = (0.0, 0.0, 0.0)

VARIANTS = {
    "simpnet_5m": Spec(_5M, (0.2, 0.2, 0.3), (0.2, 0.3)),
    "simpnet_5m_channel": Spec(_5M, _NONE, (0.05, 0.05), "channel"),
    "simpnet_8_9m": Spec(((128, 182, 182, 182, 182), (182, 182, 182, 182, 430), (430, 455, 600))),
    "simpnet_8_9m_cifar100": Spec(((128, 182, 182, 182, 182), (182, 182, 182, 182, 430), (430, 450, 600))),
    "simpnet_mnist": Spec(((66, 64, 64, 64, 96), (96, 96, 96, 96, 144), (144, 178, 216))),
    "simpnet_300k": Spec(((30, 40, 40, 40, 50), (50, 50, 50, 50, 58), (58, 70, 90)), _NONE, (0.1, 0.2), momentum=0.99),
    "simpnet_600k": Spec(
        ((40, 60, 60, 60, 72), (73, 73, 73, 75, 81), (82, 90, 120)), (0.1, 0.1, 0.2), (0.1, 0.2), momentum=0.99
    ),
    "simpnet_1m": Spec(
        ((60, 80, 80, 80, 85), (85, 90, 90, 90, 110), (110, 127, 150)), _NONE, (0.1, 0.2), momentum=0.99
    ),
}


def conv_bn(x, filters, gaussian, momentum, *, name):
    """3x3 with bias, batch norm, ReLU; weights start as N(0, 0.01) or as Caffe's "xavier", U(±sqrt(3 / fan-in))."""
    normal = keras.initializers.RandomNormal(stddev=0.01)
    xavier = keras.initializers.VarianceScaling(1.0, mode="fan_in", distribution="uniform")
    initializer = normal if gaussian else xavier
    x = layers.PlainConv2D(filters, 3, padding="same", kernel_initializer=initializer, name=f"{name}_conv")(x)
    x = layers.BatchNormalization(momentum=momentum, epsilon=1e-5, name=f"{name}_bn")(x)
    return keras.layers.Activation("relu", name=f"{name}_relu")(x)


def drop(x, rate, mode, *, name):
    """Dropout of single values or of whole channels; nothing where the rate is 0."""
    if not rate:
        return x
    layer = keras.layers.SpatialDropout2D if mode == "channel" else keras.layers.Dropout
    return layer(rate, name=name)(x)


def features(x, spec: Spec):
    """Outputs of the three parts, [b, h, w, c], [b, h/2, w/2, c], [b, h/4, w/4, c], before the pools."""
    stages = []
    full = spec.momentum == 0.95  # the slim networks start all alike
    for p, widths in enumerate(spec.widths):
        if p > 0:
            x = layers.SAFPooling2D(2, rate=spec.saf[p - 1], mode=spec.saf_mode, name=f"pool{p}")(x)
        for c, filters in enumerate(widths):
            name = f"part{p + 1}_{c + 1}"
            x = conv_bn(x, filters, full and p == 0 and c >= 2, spec.momentum, name=name)
            if c + 1 < len(widths):
                x = drop(x, spec.dropout[p], spec.saf_mode, name=f"{name}_dropout")
        stages.append(x)
    return stages


def head(x, classes, activation, *, dropout_rate: float = 0.2):
    """SAF-pooling of the whole map, which drops at `dropout_rate`, dense; float32 under mixed precision."""
    dtype = keras.config.dtype_policy().variable_dtype
    x = layers.SAFPooling2D(None, rate=dropout_rate, dtype=dtype, name="head_pool")(x)
    return dense_head(keras.layers.Flatten(name="flatten")(x), classes, activation)


_shared = {
    "features": features,
    "head": head,
    "variants": VARIANTS,
    "paper": "Hasanpour, Rouhani, Fayyaz, Sabokrou, Adeli: Towards Principled Design of Deep Convolutional Networks: "
    "Introducing SimpNet, 2018, arXiv:1802.06205",
    "recipe": "simpnet",
    "min_size": 8,
}
_family = Family(__name__, preprocessing=CIFAR, input_shape=(32, 32, 3), classes=10, **_shared)
_cifar100 = Family(__name__, preprocessing=CIFAR, input_shape=(32, 32, 3), classes=100, **_shared)
_mnist = Family(__name__, preprocessing=MNIST, input_shape=(28, 28, 1), classes=10, **_shared)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

SimpNet5M = _family(
    "SimpNet5M",
    "simpnet_5m",
    dropout_rate=0.3,
    reported="CIFAR-10 4.44, CIFAR-100 21.92, SVHN 1.65 % (authors, 2018); later 4.31 and 21.84 %",
)
SimpNet5MChannel = _family("SimpNet5MChannel", "simpnet_5m_channel", dropout_rate=0.0)
SimpNet8_9M = _family("SimpNet8_9M", "simpnet_8_9m", reported="CIFAR-10 4.11 % (authors, 2018); later 3.88 %")
SimpNet8_9MCifar100 = _cifar100(
    "SimpNet8_9MCifar100", "simpnet_8_9m_cifar100", reported="CIFAR-100 20.83 % (authors, 2018); later 20.47 %"
)
SimpNetMNIST = _mnist("SimpNetMNIST", "simpnet_mnist", reported="MNIST 0.25 % (authors)")
SimpNet300K = _family("SimpNet300K", "simpnet_300k", reported="CIFAR-10 6.75 (nothing dropped), CIFAR-100 31.53 %")
SimpNet600K = _family("SimpNet600K", "simpnet_600k", reported="CIFAR-10 5.97, CIFAR-100 28.26 % (authors)")
SimpNet1M = _family("SimpNet1M", "simpnet_1m", reported="CIFAR-10 5.24, without SAF-pooling 5.32 % (authors)")
