"""Layer normalization over the channels, forward and backward in one op each."""

import math
import numbers

import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.ops import _native

_NATIVE = (tf.float32, tf.bfloat16)


def layer_normalization(x: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor, epsilon: float = 1e-6) -> tf.Tensor:
    """Brings the channels of each place to mean 0 and variance 1, then scales and shifts each.

    y[..., c] = (x[..., c] - mean) / sqrt(variance + epsilon) · scale[c] + shift[c], mean and variance over c of each
    place. TensorFlow composes this of a dozen operations; here one pass goes forward and one backward, and only `x` is
    kept between them. Gradients are the same for every number of threads. Differentiable any number of times.

    Which implementation runs: this package's kernel for float32 and bfloat16 on a CPU; plain TensorFlow (`reference`)
    for other types, on a GPU, under XLA, in exports, and where the library is absent or switched off.

    Args:
        x: [..., channels], a float tensor; of 16 bits it is computed in float32.
        scale: [channels], float32 (float64 for an `x` of float64).
        shift: the same.
        epsilon: added to the variance, at least 0.

    Returns:
        The shape and dtype of `x`.

    Raises:
        InputError: an argument breaks these rules; or native ops are required and absent.

    Source: Ba, Kiros, Hinton, Layer normalization, 2016, arXiv:1607.06450, equations 3 and 4.
    """
    x = tf.convert_to_tensor(x)
    wide = tf.float64 if x.dtype == tf.float64 else tf.float32
    scale, shift = tf.convert_to_tensor(scale), tf.convert_to_tensor(shift)
    if not x.dtype.is_floating or x.shape.rank == 0:
        raise InputError(f"`x` must be a float tensor with channels. Received: {x.dtype.name}, shape {x.shape}")
    channels = None if x.shape.rank is None else x.shape[-1]
    for name, vector in (("scale", scale), ("shift", shift)):
        if vector.dtype != wide or not vector.shape.is_compatible_with([channels]):
            raise InputError(
                f"`{name}` must have one {wide.name} for each channel of `x`. "
                f"Received: {vector.dtype.name}, shape {vector.shape}, x {x.shape}"
            )
    if not isinstance(epsilon, numbers.Real) or not math.isfinite(epsilon) or epsilon < 0:
        raise InputError(f"`epsilon` must be a finite number of at least 0. Received: {epsilon!r}")
    if x.dtype in _NATIVE and _native.usable():
        return _native.library().kerascnn_layer_normalization(x=x, scale=scale, shift=shift, epsilon=float(epsilon))
    return reference(x, scale, shift, epsilon)


def reference(x: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor, epsilon: float = 1e-6) -> tf.Tensor:
    """The same in plain TensorFlow: what exported models hold and what the native kernel is compared with.

    Takes and returns what `layer_normalization` does.
    """
    wide = tf.cast(x, scale.dtype)
    away = wide - tf.reduce_mean(wide, axis=-1, keepdims=True)
    variance = tf.reduce_mean(tf.square(away), axis=-1, keepdims=True)
    return tf.cast(away * tf.math.rsqrt(variance + epsilon) * scale + shift, x.dtype)


@tf.RegisterGradient("Kerascnn>LayerNormalization")
def _gradient(op, dy):
    x, scale, _ = op.inputs
    # The forward op exists, so the library is loaded whatever the mode is by now.
    return tuple(
        _native.loaded().kerascnn_layer_normalization_gradient(x=x, scale=scale, dy=dy, epsilon=op.get_attr("epsilon"))
    )


@tf.RegisterGradient("Kerascnn>LayerNormalizationGradient")
def _second_gradient(op, *dd):
    inputs, epsilon = list(op.inputs), op.get_attr("epsilon")
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        first = _reference_gradient(*inputs, epsilon)
    return tape.gradient(first, inputs, output_gradients=list(dd))


def _reference_gradient(x, scale, dy, epsilon: float):
    """What the gradient op gives, in plain TensorFlow, so that it can be differentiated once more."""
    with tf.GradientTape() as tape:
        tape.watch((x, scale))
        shift = tf.zeros_like(scale)
        tape.watch(shift)
        y = reference(x, scale, shift, epsilon)
    return tape.gradient(y, (x, scale, shift), output_gradients=dy)
