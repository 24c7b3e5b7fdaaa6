"""Heads that class each pixel by the scores of a coarser map, as in torchvision's segmentation networks."""

from typing import Any

import keras

from kerascnn.blocks.conv_bn import conv_bn
from kerascnn.layers.plain_conv2d import PlainConv2D
from kerascnn.layers.resize_like import ResizeLike


def pixel_scores(
    x: keras.KerasTensor, image: keras.KerasTensor, classes: int, activation: Any, *, name: str = "head"
) -> keras.KerasTensor:
    """1x1 convolution called `name` to a score a class, enlarged bilinearly to the image, activation.

    [b, h, w, c] and the image [b, H, W, ...] -> [b, H, W, classes], in float32 under mixed precision.
    """
    dtype = keras.config.dtype_policy().variable_dtype
    uniform = keras.initializers.VarianceScaling(1 / 3, mode="fan_in", distribution="uniform")
    x = PlainConv2D(classes, 1, kernel_initializer=uniform, dtype=dtype, name=name)(x)
    x = ResizeLike(dtype=dtype, name=f"{name}_resize")([x, image])
    return keras.layers.Activation(activation, dtype=dtype, name=f"{name}_predictions")(x) if activation else x


def fcn_head(
    x: keras.KerasTensor,
    image: keras.KerasTensor,
    classes: int,
    activation: Any,
    *,
    dropout_rate: float = 0.1,
    prefix: str = "",
    name: str = "head",
) -> keras.KerasTensor:
    """3x3 to a quarter of the channels, BN, ReLU, dropout, scores of the pixels; layers `prefix`conv and so on."""
    x = conv_bn(x, x.shape[-1] // 4, 3, name=f"{prefix}conv")
    x = keras.layers.Dropout(dropout_rate, name=f"{prefix}dropout")(x)
    return pixel_scores(x, image, classes, activation, name=name)
