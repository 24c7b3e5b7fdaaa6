"""NAS: a convolutional network whose layers and skip connections a recurrent network chose, trained by reinforcement.

Barret Zoph, Quoc V. Le: Neural Architecture Search with Reinforcement Learning, 2016, arXiv:1611.01578.

`nas_v1` is the network of figure 7, fifteen layers without strides or pools. Its parameters, 4,201,630, are the paper's
4.2M. The networks called v2 (20 layers with strides, 2.5M) and v3 (39 layers with pools, 7.1M and, wider, 37.4M) are
in the paper's table alone; no figure or text tells their layers, so that they cannot be built.

Departures: the figure calls a kernel's sides height and width, which is how they are read here; the count cannot tell
their order. The paper varies the constants of batch norm between runs; here they are Torch's.
"""

import dataclasses

import keras

from kerascnn import layers
from kerascnn._errors import InputError
from kerascnn.applications._build import CIFARFamily
from kerascnn.applications._images import pixels_and_labels


@dataclasses.dataclass(frozen=True)
class Spec:
    """The layers in order, each (height of the kernel, its width, filters, the layers that it sees; 0 is the image)."""

    layers: tuple[tuple[int, int, int, tuple[int, ...]], ...]

    def __post_init__(self):
        for i, (*sizes, inputs) in enumerate(self.layers):
            if min(sizes) < 1 or not inputs or not all(0 <= j <= i for j in inputs):
                raise InputError(
                    f"Layer {i + 1} must have sizes of at least 1 and see something of 0 to {i}. "
                    f"Received: {self.layers[i]}"
                )


VARIANTS = {  # figure 7
    "nas_v1": Spec(
        (
            (3, 3, 36, (0,)),
            (3, 3, 48, (1,)),
            (3, 3, 36, (1, 2)),
            (5, 5, 36, (1, 2, 3)),
            (3, 7, 48, (3, 4)),
            (7, 7, 48, (2, 3, 4, 5)),
            (7, 7, 48, (2, 3, 4, 5, 6)),
            (7, 3, 36, (1, 6, 7)),
            (7, 1, 36, (1, 5, 6, 8)),
            (7, 7, 36, (1, 3, 4, 5, 6, 7, 8, 9)),
            (5, 7, 36, (1, 2, 5, 6, 7, 8, 9, 10)),
            (7, 7, 48, (1, 2, 3, 4, 6, 11)),
            (7, 5, 48, (1, 3, 6, 7, 8, 9, 10, 11, 12)),
            (7, 5, 48, (3, 7, 12, 13)),
            (7, 5, 48, (6, 7, 11, 12, 13, 14)),
        )
    ),
}


def layer(x, kernel_size, filters, *, name):
    """Convolution without bias, BN, ReLU."""
    options = {"use_bias": False, "kernel_initializer": "he_normal", "name": f"{name}_conv"}
    x = layers.PlainConv2D(filters, kernel_size, padding="same", **options)(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
    return keras.layers.Activation("relu", name=f"{name}_relu")(x)


def features(x, spec: Spec):
    """The only stage output, [b, h, w, filters of the last layer]; a layer sees its inputs' channels side by side."""
    made = [x]
    for i, (height, width, filters, inputs) in enumerate(spec.layers, 1):
        seen = [made[j] for j in inputs]
        x = seen[0] if len(seen) == 1 else keras.layers.Concatenate(name=f"layer{i}_concat")(seen)
        made.append(layer(x, (height, width), filters, name=f"layer{i}"))
    return [made[-1]]


_family = CIFARFamily(
    __name__,
    features=features,
    variants=VARIANTS,
    paper="Zoph, Le: Neural Architecture Search with Reinforcement Learning, 2016, arXiv:1611.01578",
    min_size=1,
    weight_decay=1e-4,
)
preprocess_input, decode_predictions = pixels_and_labels(__name__)

NASv1 = _family("NASv1", "nas_v1", reported="CIFAR-10 5.50 % (paper)")
