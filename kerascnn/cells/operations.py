"""The operations of cells, as sequences of Keras layers.

Zoph, Vasudevan, Shlens, Le: Learning Transferable Architectures for Scalable Image Recognition, 2017, arXiv:1707.07012.
Convolutions have no bias; each is ReLU, convolution, batch norm.
"""

import functools
from collections.abc import Callable

import keras

from kerascnn import layers
from kerascnn.cells.style import Style


class Value:
    """A feature map in a network of cells.

    Args:
        x: Keras tensor [batch, height, width, channels].
        level: how often it was halved.
        name: of the layer that made it.
    """

    def __init__(self, x: keras.KerasTensor, level: int, name: str):
        self.x, self.level, self.name = x, level, name

    @functools.cached_property
    def relu(self) -> keras.KerasTensor:
        """ReLU of the map: one layer for all that read it."""
        return keras.layers.Activation("relu", name=f"{self.name}_relu")(self.x)

    @property
    def channels(self) -> int:
        """Channels of the map."""
        return self.x.shape[-1]


def batch_norm(x: keras.KerasTensor, style: Style, *, affine: bool = True, name: str) -> keras.KerasTensor:
    """Batch norm with the constants of the style."""
    scaled = affine and style.affine
    return layers.BatchNormalization(
        momentum=style.momentum, epsilon=style.epsilon, scale=scaled, center=scaled, name=name
    )(x)


def relu(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """ReLU."""
    return keras.layers.Activation("relu", name=name)(x)


def convolution(
    x: keras.KerasTensor,
    filters: int,
    size: int | tuple[int, int],
    strides: int | tuple[int, int],
    style: Style,
    *,
    name: str,
) -> keras.KerasTensor:
    """Convolution without bias, size and strides (vertical, horizontal): [b, h, w, c] -> [b, h/s, w/s, filters]."""
    options = {"use_bias": False, "kernel_initializer": style.initializer(), "name": name}
    if style.tensorflow or max(strides) == 1 or max(size) == 1:
        return layers.PlainConv2D(filters, size, strides, "same", **options)(x)
    padding = tuple(((k - 1) // 2, (k - 1) // 2) for k in size)
    return layers.Conv2D(filters, size, strides, padding, **options)(x)


def conv_bn(x: keras.KerasTensor, filters: int, style: Style, *, stride: int = 1, name: str) -> keras.KerasTensor:
    """1x1 convolution called `name`_conv, batch norm called `name`_bn."""
    x = convolution(x, filters, (1, 1), (stride, stride), style, name=f"{name}_conv")
    return batch_norm(x, style, name=f"{name}_bn")


def factorized_reduction(x: keras.KerasTensor, filters: int, style: Style, *, name: str) -> keras.KerasTensor:
    """Halves a map: two 1x1/2, the second on the map moved by one pixel, side by side; batch norm.

    [b, h, w, c] -> [b, ceil(h/2), ceil(w/2), filters]; of an odd number of filters the style may leave one out.
    """
    first = filters // 2
    second = filters - first if style.odd_halves else first
    y = keras.layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_pad")(x)
    y = keras.layers.Cropping2D(((1, 0), (1, 0)), name=f"{name}_crop")(y)
    x = convolution(x, first, (1, 1), (2, 2), style, name=f"{name}_conv1")
    y = convolution(y, second, (1, 1), (2, 2), style, name=f"{name}_conv2")
    return batch_norm(keras.layers.Concatenate(name=f"{name}_join")([x, y]), style, name=f"{name}_bn")


def _identity(value: Value, filters, stride, style, *, name):
    """The value; ReLU, 1x1, BN where size or channels change, or a factorized reduction."""
    if stride > 1 and style.factorized_identity:
        return factorized_reduction(value.relu if style.factorized_relu else value.x, filters, style, name=name)
    if stride > 1 or value.channels != filters:
        return conv_bn(value.relu, filters, style, stride=stride, name=name)
    return value.x


def _factorized(value: Value, filters, stride, style, *, name):
    """ReLU and a factorized reduction, or without stride 1x1, BN."""
    if stride > 1:
        return factorized_reduction(value.relu, filters, style, name=name)
    return conv_bn(value.relu, filters, style, name=name)


def _separable(value: Value, filters, stride, style, *, size, dilation=1, name):
    """ReLU, depthwise, 1x1, BN, as often as the style says."""
    x = value.relu
    for i in range(1, 1 + (style.dilated_repeats if dilation > 1 else style.repeats)):
        if i > 1:
            x = relu(x, name=f"{name}_relu{i}")
        padding = "same" if style.tensorflow else dilation * (size - 1) // 2
        options = {"use_bias": False, "depthwise_initializer": style.initializer(depthwise=True)}
        options["name"], step = f"{name}_depthwise{i}", stride if i == 1 else 1
        x = layers.DepthwiseConv2D(size, step, padding, dilation_rate=dilation, **options)(x)
        x = convolution(x, filters, (1, 1), (1, 1), style, name=f"{name}_conv{i}")
        x = batch_norm(x, style, name=f"{name}_bn{i}")
    return x


def _convolutions(value: Value, filters, stride, style, *, sizes, narrow=4, name):
    """ReLU, convolution, BN; two of them for a pair of sizes; between two 1x1 if the style has bottlenecks.

    `narrow`: filters / channels inside the bottleneck, 0 for none.
    """
    x, width = value.relu, filters
    bottleneck = style.bottleneck and narrow and int(filters / narrow) > 0
    if bottleneck:
        width = int(filters / narrow)
        x = relu(conv_bn(x, width, style, name=f"{name}_before"), name=f"{name}_before_relu")
    for i, size in enumerate(sizes, 1):
        if i > 1 and style.norm_between:
            x = relu(batch_norm(x, style, name=f"{name}_bn{i - 1}"), name=f"{name}_relu{i}")
        if style.stride_by_axis:
            strides = tuple(stride if k > 1 or size == (1, 1) else 1 for k in size)
        else:
            strides = (stride, stride) if i == 1 else (1, 1)
        x = convolution(x, width, size, strides, style, name=f"{name}_conv{i}")
    x = batch_norm(x, style, name=f"{name}_bn{len(sizes)}")
    if bottleneck:
        x = conv_bn(relu(x, name=f"{name}_after_relu"), filters, style, name=f"{name}_after")
    return x


def _pool(value: Value, filters, stride, style, *, size, largest, name):
    """Maximum or mean of the pixels inside the map; 1x1, BN where channels differ."""
    x, padding = value.x, "same"
    if stride > 1 and (style.maximum_zeros if largest else style.average_zeros):
        x, padding = layers.SamePadding2D(size, stride, name=f"{name}_pad")(x), "valid"
    elif not style.tensorflow and size % 2:
        padding = (size - 1) // 2
    if largest:
        x = layers.MaxPooling2D(size, stride, padding, name=f"{name}_pool")(x)
    else:
        x = layers.AveragePooling2D(size, stride, padding, name=f"{name}_pool")(x)
    if style.pool_norm:
        x = batch_norm(x, style, affine=False, name=f"{name}_pool_bn")
    if value.channels != filters:
        x = relu(x, name=f"{name}_relu") if style.pool_relu else x
        x = conv_bn(x, filters, style, name=name)
    return x


# f(value, filters, stride, style, *, name) -> Keras tensor [batch, h/stride, w/stride, filters]
APPLY: dict[str, Callable] = {
    "identity": _identity,
    "factorized_reduction": _factorized,
    "conv_1x1": functools.partial(_convolutions, sizes=((1, 1),), narrow=0),
    "conv_3x3": functools.partial(_convolutions, sizes=((3, 3),)),
    "conv_1x3_3x1": functools.partial(_convolutions, sizes=((1, 3), (3, 1)), narrow=8 / 3),
    "conv_1x7_7x1": functools.partial(_convolutions, sizes=((1, 7), (7, 1))),
    **{f"sep_{k}x{k}": functools.partial(_separable, size=k) for k in (3, 5, 7)},
    **{f"dil_sep_{k}x{k}": functools.partial(_separable, size=k, dilation=2) for k in (3, 5)},
    **{f"avg_{k}x{k}": functools.partial(_pool, size=k, largest=False) for k in (2, 3, 5, 7)},
    **{f"max_{k}x{k}": functools.partial(_pool, size=k, largest=True) for k in (2, 3, 5, 7)},
}
