"""Which layers see a window of pixels, one pixel, or all; and the former without their padding."""

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import kerascnn.layers
from kerascnn.explain.absorbing import Absorbing
from kerascnn.ops.convolution import conv2d

L = keras.layers
_CONVOLUTIONS = (L.Conv2D, kerascnn.layers.Conv2D, kerascnn.layers.PlainConv2D)
_DEPTHWISE = (L.DepthwiseConv2D, kerascnn.layers.DepthwiseConv2D)
_MAXIMA = (L.MaxPooling2D, kerascnn.layers.MaxPooling2D)
_MEANS = (L.AveragePooling2D, kerascnn.layers.AveragePooling2D)
_LEAST = float(np.finfo("float32").min)
# Layers that treat each pixel for itself, some of them over its channels; of a class itself, as a subclass may not.
_BY_PIXEL = (
    L.ReLU, L.LeakyReLU, L.ELU, L.Activation, L.Rescaling, L.Dropout, L.SpatialDropout2D, L.GaussianNoise,
    L.GaussianDropout, L.AlphaDropout, L.Identity, L.Dense, kerascnn.layers.DropPath,
)  # fmt: skip
_BY_CHANNEL = (
    L.BatchNormalization,
    kerascnn.layers.BatchNormalization,
    L.LayerNormalization,
    kerascnn.layers.LayerNormalization,
    L.Softmax,
    L.Normalization,
)
_MERGES = (L.Add, L.Subtract, L.Multiply, L.Average, L.Maximum, L.Minimum)


@dataclasses.dataclass(frozen=True)
class Window:
    """What an output pixel sees."""

    taps: tuple[int, int]  # rows and columns, dilation included
    strides: tuple[int, int]
    before: tuple[int, int]  # padding above and at the left
    padding: float  # what is there


def window(operation: Any, shape: tuple[int, ...]) -> Window | None:
    """The window of a convolution or pool over a map [1, height, width, channels]; None: it is none that is known."""
    operation = _linear(operation)
    kind = type(operation)
    if kind in (*_CONVOLUTIONS, *_DEPTHWISE):
        taps = tuple(1 + (k - 1) * d for k, d in zip(operation.kernel_size, operation.dilation_rate, strict=True))
        padding = 0.0
        whole = len(operation.weights) == 1 + bool(operation.use_bias)  # no adapter, not quantized
        plain = whole and (operation.activation is None or _known(operation.activation))
    elif kind in (*_MAXIMA, *_MEANS):
        taps, padding, plain = tuple(operation.pool_size), _LEAST if kind in _MAXIMA else 0.0, True
    else:
        return None
    if not plain or operation.data_format != "channels_last":
        return None
    explicit = not isinstance(operation.padding, str)
    sides = [
        operation.padding[axis] if explicit else _sides(size, taps[axis], operation.strides[axis], operation.padding)
        for axis, size in enumerate(shape[1:3])
    ]
    if kind in _MEANS and any(map(any, sides)):
        return None  # a mean at the border is of fewer pixels
    return Window(taps, tuple(operation.strides), (sides[0][0], sides[1][0]), padding)


def _linear(operation: Any) -> Any:
    """The layer whose window counts: of one that absorbs a batch norm, this one."""
    return operation.linear if type(operation) is Absorbing else operation


def _known(function: Any) -> bool:
    """Whether an activation is one of Keras' or ours: none of them mixes pixels, as anyone's own might."""
    return getattr(function, "__module__", "").partition(".")[0] in ("keras", "kerascnn")


def _sides(size: int, taps: int, stride: int, padding: str) -> tuple[int, int]:
    """Padding before and behind one axis."""
    total = max(0, (-(-size // stride) - 1) * stride + taps - size) if padding == "same" else 0
    return total // 2, total - total // 2


def without_padding(operation: Any, x: tf.Tensor, weights: tuple[Any, Any] | None = None) -> tf.Tensor:
    """What such a layer gives of a map that has its padding already.

    Args:
        operation: with a `window`.
        x: [n, height, width, channels].
        weights: of one that absorbs a batch norm, what its `weights_now` has given.

    Returns:
        [n, height, width, channels].
    """
    operation = _linear(operation)
    kind, strides = type(operation), operation.strides
    if kind in _MAXIMA:
        return tf.nn.max_pool2d(x, operation.pool_size, strides, "VALID")
    if kind in _MEANS:
        return tf.nn.avg_pool2d(x, operation.pool_size, strides, "VALID")
    kernel, bias = weights or (operation.kernel, operation.bias if operation.use_bias else None)
    kernel, dilation = tf.cast(kernel, operation.compute_dtype), operation.dilation_rate
    x = tf.cast(x, operation.compute_dtype)
    if kind in _DEPTHWISE:
        channels = x.shape[-1]
        kernel = tf.reshape(kernel, (*kernel.shape[:2], 1, channels * operation.depth_multiplier))
        y = conv2d(x, kernel, strides, "valid", dilation, channels)
    elif operation.groups > 1:
        y = conv2d(x, kernel, strides, "valid", dilation, operation.groups)
    else:
        y = tf.nn.conv2d(x, kernel, strides, "VALID", dilations=dilation)
    y = y if bias is None else tf.nn.bias_add(y, tf.cast(bias, y.dtype))
    return y if operation.activation is None else operation.activation(y)


def zeros(operation: Any) -> tuple[int, int] | None:
    """(rows above, columns at the left) of a layer that only pads with zeros; None: it does not."""
    if type(operation) is L.ZeroPadding2D and operation.data_format == "channels_last":
        return operation.padding[0][0], operation.padding[1][0]
    return None


def by_pixel(operation: Any) -> bool:
    """Whether each output pixel follows from the one input pixel in its place."""
    operation = _linear(operation)
    if type(operation) in _BY_CHANNEL:
        axes = operation.axis if isinstance(operation.axis, list | tuple) else [operation.axis]
        return all(axis in (-1, 3) for axis in axes)
    return type(operation) in _BY_PIXEL and _known(getattr(operation, "activation", None) or keras.activations.linear)


def merges(operation: Any) -> bool:
    """Whether several maps of one size become one, pixel by pixel."""
    return type(operation) in _MERGES or type(operation) is L.Concatenate and operation.axis in (-1, 3)
