"""AlexNet: as published in 2012, without its groups, as one tower (2014), and for CIFAR-10.

Alex Krizhevsky, Ilya Sutskever, Geoffrey Hinton: ImageNet Classification with Deep Convolutional Neural Networks,
NIPS 2012. One tower: Alex Krizhevsky: One weird trick for parallelizing convolutional neural networks, 2014,
arXiv:1404.5997, with the widths of torchvision.

Departures: `alexnet_2012` takes 227x227 images, as the published 224 does not give the published 55x55 maps; the two
towers, which met in conv3 and the dense layers, are convolutions in two groups. `alexnet_ungrouped` has one group and
is common, but not the paper's. `alexnet` starts its biases at 0. Convolutions start from He's weights: with the paper's
N(0, 0.01), for pixels of 0 to 255 less their mean, and with torchvision's the answers about normalized images differ by
1e-4 at first, from which little is learned. `alexnet_cifar10` is reconstructed: of the course figure that it comes from
only the pools, the missing normalization and the missing groups are known; its widths are guesses.
"""

import dataclasses

import keras

from kerascnn import layers
from kerascnn._preprocessing import IMAGENET
from kerascnn.applications._build import CIFARFamily, Family, dense_head
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec:
    """Figure 2 of the paper."""

    widths: tuple[int, ...]  # filters of conv1 to conv5
    groups: int = 1  # of conv2, conv4 and conv5


VARIANTS = {
    "alexnet": Spec((64, 192, 384, 256, 256)),
    "alexnet_2012": Spec((96, 256, 384, 384, 256), groups=2),
    "alexnet_ungrouped": Spec((96, 256, 384, 384, 256)),
    "alexnet_cifar10": Spec((96, 96, 256, 384, 384, 256)),
}


def conv(x, filters, size, stride=1, padding=0, *, name):
    """Convolution, ReLU; He's initial weights."""
    layer = layers.Conv2D(
        filters, size, stride, padding, activation="relu", kernel_initializer=keras.initializers.HeNormal(), name=name
    )  # fmt: skip
    return layer(x)


def pool(x, *, name):
    """Overlapping max pool 3x3/2 without padding."""
    return keras.layers.MaxPooling2D(3, 2, name=name)(x)


def features(x, spec: Spec):
    """Outputs of the three pools, [b, 27, 27, 64], [b, 13, 13, 192] and [b, 6, 6, 256] for 224x224."""
    w1, w2, w3, w4, w5 = spec.widths
    p1 = pool(conv(x, w1, 11, 4, 2, name="conv1"), name="pool1")
    p2 = pool(conv(p1, w2, 5, 1, 2, name="conv2"), name="pool2")
    x = conv(p2, w3, 3, 1, 1, name="conv3")
    x = conv(x, w4, 3, 1, 1, name="conv4")
    return [p1, p2, pool(conv(x, w5, 3, 1, 1, name="conv5"), name="pool5")]


def conv_2012(x, filters, size, stride, padding, groups, bias, *, name):
    """Convolution, ReLU; He's initial weights, biases start as 0 or 1 (section 5)."""
    layer = layers.Conv2D(
        filters,
        size,
        stride,
        padding,
        groups=groups,
        activation="relu",
        kernel_initializer=keras.initializers.HeNormal(),
        bias_initializer=keras.initializers.Constant(bias),
        name=name,
    )
    return layer(x)


def norm_pool(x, *, name):
    """Local response normalization with the paper's constants (section 3.3), then the pool."""
    lrn = layers.LocalResponseNormalization(depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75, name=f"norm{name}")
    return pool(lrn(x), name=f"pool{name}")


def features_2012(x, spec: Spec):
    """Outputs of the three pools, [b, 27, 27, 96], [b, 13, 13, 256] and [b, 6, 6, 256] for 227x227."""
    w1, w2, w3, w4, w5 = spec.widths
    p1 = norm_pool(conv_2012(x, w1, 11, 4, 0, 1, 0.0, name="conv1"), name="1")
    p2 = norm_pool(conv_2012(p1, w2, 5, 1, 2, spec.groups, 1.0, name="conv2"), name="2")
    x = conv_2012(p2, w3, 3, 1, 1, 1, 0.0, name="conv3")
    x = conv_2012(x, w4, 3, 1, 1, spec.groups, 1.0, name="conv4")
    return [p1, p2, pool(conv_2012(x, w5, 3, 1, 1, spec.groups, 1.0, name="conv5"), name="pool5")]


def features_cifar10(x, spec: Spec):
    """Outputs before the first pool [b, 27, 27, 96], of it [b, 13, 13, 256] and of the last [b, 6, 6, 256]."""
    w1, w2, w3, w4, w5, w6 = spec.widths
    x = conv(conv(x, w1, 4, name="conv1"), w2, 3, name="conv2")
    p3 = pool(conv(x, w3, 5, 1, 2, name="conv3"), name="pool3")
    y = conv(p3, w4, 3, 1, 1, name="conv4")
    y = conv(y, w5, 3, 1, 1, name="conv5")
    return [x, p3, pool(conv(y, w6, 3, 1, 1, name="conv6"), name="pool6")]


def hidden(x, units, *, name):
    """Dense, ReLU; He's initial weights."""
    return keras.layers.Dense(units, activation="relu", kernel_initializer=keras.initializers.HeNormal(), name=name)(x)


def head(x, classes, activation, *, dropout_rate: float = 0.5):
    """Average over 6x6 regions, then dropout, dense 4096, ReLU twice, dense."""
    if x.shape[1:3] != (6, 6):
        x = keras.layers.AdaptiveAveragePooling2D((6, 6), name="head_pool")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    for i in (6, 7):
        x = keras.layers.Dropout(dropout_rate, name=f"dropout{i}")(x)
        x = hidden(x, 4096, name=f"fc{i}")
    return dense_head(x, classes, activation)


def head_2012(x, classes, activation, *, dropout_rate: float = 0.5):
    """Dense 4096, ReLU, dropout twice, dense; float32 under mixed precision."""
    x = keras.layers.Flatten(name="flatten")(x)
    normal = keras.initializers.RandomNormal(stddev=0.01)
    for i in (6, 7):
        options = {"kernel_initializer": normal.clone(), "bias_initializer": "ones"}
        x = keras.layers.Dense(4096, activation="relu", name=f"fc{i}", **options)(x)
        x = keras.layers.Dropout(dropout_rate, name=f"dropout{i}")(x)
    dtype = keras.config.dtype_policy().variable_dtype
    return keras.layers.Dense(classes, activation, kernel_initializer=normal, dtype=dtype, name="head")(x)


_torchvision = (
    (r"features\.0", "conv1"),
    (r"features\.3", "conv2"),
    (r"features\.6", "conv3"),
    (r"features\.8", "conv4"),
    (r"features\.10", "conv5"),
    (r"classifier\.1", "fc6"),
    (r"classifier\.4", "fc7"),
    (r"classifier\.6", "head"),
)
_imagenet = {
    "variants": VARIANTS,
    "preprocessing": IMAGENET,
    "fixed_size": True,
    "recipe": "alexnet",
    "weight_decay": 5e-4,
}
_2012 = "Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural Networks, NIPS 2012"
_family = Family(
    __name__,
    features=features,
    head=head,
    paper="Krizhevsky: One weird trick for parallelizing convolutional neural networks, 2014, arXiv:1404.5997",
    min_size=63,
    names={"torchvision": _torchvision},
    **_imagenet,
)
_family_2012 = Family(
    __name__, features=features_2012, head=head_2012, paper=_2012, input_shape=(227, 227, 3), min_size=67, **_imagenet
)
_family_cifar10 = CIFARFamily(
    __name__,
    recipe="cifar_plain",
    features=features_cifar10,
    head=head,
    variants=VARIANTS,
    paper=_2012,
    min_size=12,
    fixed_size=True,
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

AlexNet = _family("AlexNet", "alexnet", reported="top-1 43.48, top-5 20.93 % (torchvision, 1 crop)")
AlexNet2012 = _family_2012("AlexNet2012", "alexnet_2012", reported="top-1 40.7, top-5 18.2 % (paper, 1 net, 10 crops)")
AlexNetUngrouped = _family_2012(
    "AlexNetUngrouped", "alexnet_ungrouped", reported="top-1 38.50, top-5 16.64 % (pytorchcv)"
)
AlexNetCIFAR10 = _family_cifar10("AlexNetCIFAR10", "alexnet_cifar10", reconstructed=True)
