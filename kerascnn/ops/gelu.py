"""GELU, the activation of transformers, and its derivative in one pass each."""

import math

import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.ops import _native

_NATIVE = (tf.float32, tf.bfloat16)


def gelu(x: tf.Tensor) -> tf.Tensor:
    """x Φ(x), Φ the distribution function of the normal distribution.

    TensorFlow composes this of half a dozen operations, and its derivative of twice as many, which keep four tensors of
    the size of `x` between forward and backward. Here only `x` is kept. Differentiable any number of times.

    Which implementation runs: this package's kernel for float32 and bfloat16 on a CPU, whose results and derivatives
    are right to 1e-6 of the larger of 1 and `x`; plain TensorFlow (`reference`) for other types, on a GPU, under XLA,
    in exports, and where the library is absent or switched off.

    Args:
        x: a float tensor of any shape.

    Returns:
        The same shape and dtype.

    Raises:
        InputError: `x` is no float tensor; or native ops are required and absent.

    Source: Hendrycks, Gimpel, Gaussian error linear units, 2016, arXiv:1606.08415, section 2.
    """
    x = tf.convert_to_tensor(x)
    if not x.dtype.is_floating:
        raise InputError(f"`x` must be a float tensor. Received: {x.dtype.name}")
    if x.dtype in _NATIVE and _native.usable():
        return _native.library().kerascnn_gelu(x=x)
    return reference(x)


def reference(x: tf.Tensor) -> tf.Tensor:
    """The same in plain TensorFlow: what exported models hold and what the native kernel is compared with.

    Takes and returns what `gelu` does.
    """
    return tf.nn.gelu(x, approximate=False)


@tf.RegisterGradient("Kerascnn>Gelu")
def _gradient(op, dy):
    # The forward op exists, so the library is loaded whatever the mode is by now.
    return _native.loaded().kerascnn_gelu_gradient(x=op.inputs[0], dy=dy)


@tf.RegisterGradient("Kerascnn>GeluGradient")
def _second_gradient(op, ddx):
    x, dy = op.inputs
    density = tf.exp(-0.5 * tf.square(x)) * (1 / math.sqrt(2 * math.pi))
    # The derivative is linear in dy, so that its derivative by dy is itself.
    return ddx * dy * density * (2 - tf.square(x)), _native.loaded().kerascnn_gelu_gradient(x=x, dy=ddx)
