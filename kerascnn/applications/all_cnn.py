"""All convolutional nets: for CIFAR, strided convolutions where others pool.

Jost Tobias Springenberg, Alexey Dosovitskiy, Thomas Brox, Martin Riedmiller: Striving for Simplicity: The All
Convolutional Net, 2014, arXiv:1412.6806.

Departures: none known. Reconstructed: of the borders the paper fixes only that 6x6 maps are averaged; the convolution
after the second strided one is without padding, as in neon's example, the others are padded on all sides. Initial
weights are not published and are He's. The dropout of the input is 0.2, or `dropout_rate` where that is less.
"""

import dataclasses

import keras

from kerascnn import blocks, layers
from kerascnn.applications._build import CIFARFamily
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec:
    """One column of tables 1 and 2: the sizes of the convolutions before each strided one."""

    sizes: tuple[int, ...]


VARIANTS = {
    "all_cnn_a": Spec((5,)),
    "all_cnn_b": Spec((5, 1)),
    "all_cnn_c": Spec((3, 3)),
}


def he():
    """N(0, 2 / fan-in)."""
    return keras.initializers.VarianceScaling(2.0, mode="fan_in", distribution="untruncated_normal")


def conv(x, filters, size, stride=1, padding=None, *, name):
    """Convolution, ReLU; padded by half its size unless `padding` says otherwise."""
    padding = size // 2 if padding is None else padding
    layer = layers.Conv2D(filters, size, stride, padding, activation="relu", kernel_initializer=he(), name=name)
    return layer(x)


def features(x, spec: Spec, *, dropout_rate: float = 0.5):
    """[b, h, w, 96], [b, h/2, w/2, 192] before the strided convolutions; [b, h/4 - 2, w/4 - 2, 192]."""
    if dropout_rate:
        x = keras.layers.Dropout(min(0.2, dropout_rate), name="input_dropout")(x)
    stages = []
    for s, width in enumerate((96, 192), 1):
        for i, size in enumerate(spec.sizes, 1):
            x = conv(x, width, size, name=f"stage{s}_conv{i}")
        stages.append(x)
        x = conv(x, width, 3, 2, name=f"stage{s}_down_conv")
        if dropout_rate:
            x = keras.layers.Dropout(dropout_rate, name=f"stage{s}_dropout")(x)
    x = conv(x, 192, 3, padding=0, name="stage3_conv1")
    x = conv(x, 192, 1, name="stage3_conv2")
    return [*stages, x]


def head(x, classes, activation):
    """1x1 convolution, ReLU, global average."""
    return blocks.conv_head(x, classes, activation, kernel_initializer=he())


_family = CIFARFamily(
    __name__,
    recipe="cifar_plain",
    features=features,
    head=head,
    variants=VARIANTS,
    paper="Springenberg, Dosovitskiy, Brox, Riedmiller: Striving for Simplicity, 2014, arXiv:1412.6806",
    min_size=9,
    weight_decay=1e-3,
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

AllCNNA = _family("AllCNNA", "all_cnn_a", reported="CIFAR-10 10.30 % (paper, no augmentation)", reconstructed=True)
AllCNNB = _family("AllCNNB", "all_cnn_b", reported="CIFAR-10 9.10 % (paper, no augmentation)", reconstructed=True)
AllCNNC = _family(
    "AllCNNC", "all_cnn_c", reported="CIFAR-10 7.25, without augmentation 9.08 % (paper)", reconstructed=True
)
