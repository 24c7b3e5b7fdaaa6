"""The convolution of inference programs whose products are of 8 bits, in plain TensorFlow."""

from typing import Any

import tensorflow as tf

LEAST = 1e-30  # what has no greater numbers counts as zeros, as there
BLOCK = 256  # sources of an output pixel that share a scale (kPackedDepth in csrc/kernels/packed_tile.h)


def convolved_int8(x: tf.Tensor, filters: tf.Tensor, strides: Any, padding: Any, dilations: Any) -> tf.Tensor:
    """A convolution of one group in whole numbers from -127 to 127; csrc/kernels/packed_int8.h has the formula.

    Each filter has a scale, and so has each block of `BLOCK` sources of each output pixel: what its numbers are as they
    come, so that no calibration set is needed. As the scales of tokens in LLM.int8() (arXiv:2208.07339, section 2.1).

    Args:
        x: float32 [batch, height, width, channels].
        filters: float32 [height, width, channels, filters].
        strides: rows and columns from one output pixel to the next.
        padding: "same", or rows and columns of zeros ((above, below), (left, right)).
        dilations: rows and columns from one tap to the next.

    Returns:
        float32 [batch, rows, columns, filters]; NaN where a source in its window is not finite.
    """
    height, width, channels, count = filters.shape
    if padding != "same":
        x = tf.pad(x, ((0, 0), *padding, (0, 0)))
    sources = tf.image.extract_patches(
        x, (1, height, width, 1), (1, *strides, 1), (1, *dilations, 1), "SAME" if padding == "same" else "VALID"
    )
    weights = tf.reshape(filters, (height * width * channels, count))
    scales, weights = _whole(weights, axis=0)
    y = tf.zeros((), tf.float32)
    for k in range(0, height * width * channels, BLOCK):
        rows, block = _whole(sources[..., k : k + BLOCK], axis=-1)
        y += tf.matmul(block, weights[k : k + BLOCK]) * (rows * scales)
    return y


def _whole(x: tf.Tensor, axis: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The scale along an axis, and x divided by it and rounded, half to even."""
    greatest = tf.reduce_max(tf.abs(x), axis, keepdims=True)
    inverse = tf.where(greatest <= LEAST, 0.0, 127 / tf.maximum(greatest, LEAST))
    return greatest / 127, tf.round(x * inverse)
