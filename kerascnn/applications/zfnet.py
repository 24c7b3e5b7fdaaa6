"""ZFNet: AlexNet with a smaller first kernel and stride, found by looking at its features; and its wider form.

Matthew D. Zeiler, Rob Fergus: Visualizing and Understanding Convolutional Networks, 2014, arXiv:1311.2901.

Departures: convolutions start from He's weights, as the paper's N(0, 0.01), which the dense layers keep, is for pixels
of 0 to 255 less their mean: with normalized images answers would differ by 6e-5. No code was released. Reconstructed:
the borders follow from the map sizes of figure 3 (one zero around the first convolution's images, none around the
second's, pools that round up); the constants of the contrast normalization are not published and are AlexNet's.
"""

import dataclasses

import keras

from kerascnn import blocks, layers
from kerascnn._preprocessing import IMAGENET
from kerascnn.applications._build import Family
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec:
    """One network of the paper's table 2."""

    widths: tuple[int, ...]  # filters of conv1 to conv5


VARIANTS = {
    "zfnet": Spec((96, 256, 384, 384, 256)),  # figure 3
    "zfnet_big": Spec((96, 256, 512, 1024, 512)),  # section 4.1: layers 3, 4, 5 have 512, 1024, 512 maps
}


def normal():
    """Weights of dense layers start as N(0, 0.01)."""
    return keras.initializers.RandomNormal(stddev=0.01)


def conv(x, filters, size, stride=1, padding=0, *, name):
    """Convolution, ReLU; He's initial weights."""
    layer = layers.Conv2D(
        filters, size, stride, padding, activation="relu", kernel_initializer=keras.initializers.HeNormal(), name=name
    )  # fmt: skip
    return layer(x)


def pool(x, *, name):
    """Overlapping max pool 3x3/2 that rounds the size up."""
    return blocks.max_pool(x, padding=((0, 1), (0, 1)), name=name)


def features(x, spec: Spec):
    """Before and after pool1 [b, 110, 110, 96], [b, 55, 55, 96]; conv2 [b, 26, 26, 256]; before and after pool5.

    The last two are [b, 13, 13, 256] and [b, 6, 6, 256], in the wider form with 512 channels.
    """
    w1, w2, w3, w4, w5 = spec.widths
    c1 = conv(x, w1, 7, 2, 1, name="conv1")
    n1 = layers.LocalResponseNormalization(name="norm1")(pool(c1, name="pool1"))
    c2 = conv(n1, w2, 5, 2, 0, name="conv2")
    x = layers.LocalResponseNormalization(name="norm2")(pool(c2, name="pool2"))
    x = conv(x, w3, 3, 1, 1, name="conv3")
    x = conv(x, w4, 3, 1, 1, name="conv4")
    c5 = conv(x, w5, 3, 1, 1, name="conv5")
    return [c1, n1, c2, c5, pool(c5, name="pool5")]


def head(x, classes, activation, *, dropout_rate: float = 0.5):
    """Average over 6x6 regions, dense 4096, ReLU, dropout twice, dense; float32 under mixed precision."""
    if x.shape[1:3] != (6, 6):
        x = keras.layers.AdaptiveAveragePooling2D((6, 6), name="head_pool")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    for i in (6, 7):
        x = keras.layers.Dense(4096, activation="relu", kernel_initializer=normal(), name=f"fc{i}")(x)
        x = keras.layers.Dropout(dropout_rate, name=f"dropout{i}")(x)
    dtype = keras.config.dtype_policy().variable_dtype
    return keras.layers.Dense(classes, activation, kernel_initializer=normal(), dtype=dtype, name="head")(x)


_family = Family(
    __name__,
    recipe="zfnet",
    features=features,
    head=head,
    variants=VARIANTS,
    paper="Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, 2014, arXiv:1311.2901",
    preprocessing=IMAGENET,
    min_size=47,
    fixed_size=True,
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

ZFNet = _family("ZFNet", "zfnet", reported="top-1 38.4, top-5 16.5 % (paper)", reconstructed=True)
ZFNetBig = _family("ZFNetBig", "zfnet_big", reported="top-1 37.5, top-5 16.0 % (paper)", reconstructed=True)
