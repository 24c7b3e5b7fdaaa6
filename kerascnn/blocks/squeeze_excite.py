"""The gate of squeeze-and-excitation networks."""

import keras

from kerascnn.layers.plain_conv2d import PlainConv2D


def squeeze_excite(x: keras.KerasTensor, reduction: int, *, name: str) -> keras.KerasTensor:
    """x times gate: global average, dense c / reduction, ReLU, dense c, sigmoid, with biases.

    Equations 2 to 4 of Hu et al. 2017, arXiv:1709.01507.
    """
    channels = x.shape[-1]
    gate = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    gate = PlainConv2D(channels // reduction, 1, activation="relu", name=f"{name}_reduce")(gate)
    gate = PlainConv2D(channels, 1, activation="sigmoid", name=f"{name}_expand")(gate)
    return keras.layers.Multiply(name=f"{name}_scale")([x, gate])
