"""The head of networks that classify each pixel and average."""

from typing import Any

import keras

from kerascnn.layers.plain_conv2d import PlainConv2D


def conv_head(
    x: keras.KerasTensor,
    classes: int,
    activation: Any,
    *,
    kernel_initializer: Any,
    dropout_rate: float = 0.0,
    relu: bool = True,
) -> keras.KerasTensor:
    """Dropout, 1x1 convolution called `head` to one map a class, ReLU if `relu`, global average, activation.

    [b, h, w, c] -> [b, classes], in float32 under mixed precision (Lin et al. 2013, arXiv:1312.4400, section 3.2).
    With a ReLU its biases start at 1, as Krizhevsky et al. 2012 (section 5) start those of hidden layers: the gradient
    of a softmax lowers what is above the other classes, and what a ReLU has closed for all images stays closed.
    """
    dtype = keras.config.dtype_policy().variable_dtype
    if dropout_rate:
        x = keras.layers.Dropout(dropout_rate, name="head_dropout")(x)
    biases = keras.initializers.Constant(1.0 if relu else 0.0)
    options = {"kernel_initializer": kernel_initializer, "bias_initializer": biases, "dtype": dtype, "name": "head"}
    x = PlainConv2D(classes, 1, activation="relu" if relu else None, **options)(x)
    x = keras.layers.GlobalAveragePooling2D(dtype=dtype, name="head_pool")(x)
    return keras.layers.Activation(activation, dtype=dtype, name="predictions")(x) if activation else x
