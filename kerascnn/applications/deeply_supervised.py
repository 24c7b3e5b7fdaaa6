"""Deeply-supervised net: network in network whose convolutions have classifiers of their own while it trains.

Chen-Yu Lee, Saining Xie, Patrick Gallagher, Zhengyou Zhang, Zhuowen Tu: Deeply-Supervised Nets, 2014, arXiv:1409.5185.
The companions come with `auxiliary_heads=True`; without them the trunk remains, as it is used after training.

Departures: all heads minimize the one loss that `compile` is given, by default of the recipes cross entropy; the
paper's is the squared hinge loss (`keras.losses.SquaredHinge` on logits and one-hot labels). The companions count with
weight 1 throughout, as the losses in the authors' release (s9xie/DSN); there the companions' own weights learn a
thousand times slower, and the paper lets their losses fade out.
"""

import dataclasses

import keras

from kerascnn import blocks, layers
from kerascnn._errors import InputError
from kerascnn.applications._build import CIFARFamily
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec:
    """The stages, separated by max pools; the last 1x1 convolution is the head."""

    widths: tuple[tuple[int, ...], ...]  # per stage: of the convolution and of the 1x1 convolutions after it
    sizes: tuple[int, ...]  # of the convolutions


VARIANTS = {"deeply_supervised_nin": Spec(((192, 160, 96), (192, 192, 192), (192, 192)), (5, 5, 3))}


def conv(x, filters, size, *, name):
    """Convolution from N(0, 0.05), which keeps the size; then ReLU as a layer of its own; `name` contains "conv"."""
    normal = keras.initializers.RandomNormal(stddev=0.05)
    x = layers.Conv2D(filters, size, 1, size // 2, kernel_initializer=normal, name=name)(x)
    return keras.layers.Activation("relu", name=name.replace("conv", "relu"))(x)


def features(x, spec: Spec, *, dropout_rate: float = 0.5):
    """The last map before each pool and before the head: [b, h, w, 96], [b, h/2, w/2, 192], [b, h/4, w/4, 192]."""
    stages = []
    for s, (filters, *pointwise) in enumerate(spec.widths, 1):
        if s > 1:
            x = blocks.max_pool(x, padding=((0, 1), (0, 1)), name=f"stage{s - 1}_pool")  # rounds the size up
            x = keras.layers.Dropout(dropout_rate, name=f"stage{s - 1}_dropout")(x)
        x = conv(x, filters, spec.sizes[s - 1], name=f"stage{s}_conv1")
        for i, width in enumerate(pointwise, 2):
            x = conv(x, width, 1, name=f"stage{s}_conv{i}")
        stages.append(x)
    return stages


def head(x, classes, activation):
    """1x1 convolution and global average; unlike in network in network, no ReLU between."""
    normal = keras.initializers.RandomNormal(stddev=0.05)
    return blocks.conv_head(x, classes, activation, kernel_initializer=normal, relu=False)


def companions(output_of, classes, activation, spec):
    """One dense layer each on the three convolutions, before their ReLUs; float32 under mixed precision."""
    outputs = []
    for s in range(1, len(spec.widths) + 1):
        x = output_of(f"stage{s}_conv1")
        if None in x.shape[1:]:
            raise InputError(f"auxiliary_heads=True needs an input of a known size. Received: maps of {x.shape[1:3]}")
        x = keras.layers.Flatten(name=f"companion{s}_flatten")(x)
        caffe = keras.initializers.VarianceScaling(1.0, mode="fan_in", distribution="uniform")  # "xavier" there
        dtype = keras.config.dtype_policy().variable_dtype
        dense = keras.layers.Dense(classes, activation, kernel_initializer=caffe, dtype=dtype, name=f"companion{s}")
        outputs.append(dense(x))
    return outputs


_family = CIFARFamily(
    __name__,
    recipe="cifar_plain",
    features=features,
    head=head,
    variants=VARIANTS,
    paper="Lee, Xie, Gallagher, Zhang, Tu: Deeply-Supervised Nets, 2014, arXiv:1409.5185",
    min_size=4,
    weight_decay=5e-4,
    auxiliary=companions,
    auxiliary_weights=(1.0, 1.0, 1.0),
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

DeeplySupervisedNiN = _family(
    "DeeplySupervisedNiN",
    "deeply_supervised_nin",
    reported="CIFAR-10 7.97, without augmentation 9.69 %, CIFAR-100 34.57 % (paper)",
)
