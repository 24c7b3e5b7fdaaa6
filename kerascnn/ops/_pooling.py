"""Max and average pooling by TensorFlow, safe on a CPU where tensors are empty or a window does not fit."""

import tensorflow as tf

from kerascnn.ops import _native
from kerascnn.ops._guards import check, guarded, guarded_global

Sides = str | tuple[tuple[int, int], tuple[int, int]]


def max_pool2d(x: tf.Tensor, window: tuple[int, int], strides: tuple[int, int], padding: Sides) -> tf.Tensor:
    """The largest pixel of each window.

    Args:
        x: images [batch, height, width, channels].
        window, strides: vertical and horizontal.
        padding: "same", "valid", or ((top, bottom), (left, right)) of what never is the largest: the least finite
            number, because an infinite one would stop `tf.debugging.enable_check_numerics`.

    Returns:
        [batch, out height, out width, channels].
    """

    def compute(x):
        if isinstance(padding, str):
            return tf.nn.max_pool2d(x, window, strides, padding.upper())
        padded = tf.pad(x, ((0, 0), *padding, (0, 0)), constant_values=x.dtype.min)
        return tf.nn.max_pool2d(padded, window, strides, "VALID")

    return guarded(compute, x, window, strides, padding, per_channel=True)


def avg_pool2d(x: tf.Tensor, window: tuple[int, int], strides: tuple[int, int], padding: Sides) -> tf.Tensor:
    """The mean of each window's pixels inside the image.

    Args:
        x: images [batch, height, width, channels].
        window, strides: vertical and horizontal.
        padding: "same", "valid", or ((top, bottom), (left, right)).

    Returns:
        [batch, out height, out width, channels].
    """

    def pooled(x):
        return tf.nn.avg_pool2d(tf.pad(x, ((0, 0), *padding, (0, 0))), window, strides, "VALID")

    def compute(x):
        if isinstance(padding, str):
            return tf.nn.avg_pool2d(x, window, strides, padding.upper())
        # How much of each window lies inside; float32, in which small counts over small areas are exact enough.
        inside = pooled(tf.ones(tf.concat([[1], tf.shape(x)[1:3], [1]], 0)))
        return pooled(x) / tf.cast(inside, x.dtype)

    return guarded(compute, x, window, strides, padding, per_channel=True)


def global_max_pool2d(x: tf.Tensor) -> tf.Tensor:
    """The largest pixel of each image: [batch, height, width, channels] -> [batch, 1, 1, channels]."""
    if x.shape.rank == 4 and None not in x.shape[1:3]:
        return max_pool2d(x, tuple(x.shape[1:3]), (1, 1), "valid")
    shape = tf.shape(x, out_type=tf.int64)
    rule = "An image must have pixels to be pooled. Received: shape"
    with check(tf.reduce_all(shape[1:3] > 0), rule, shape):
        window = tf.cast(tf.stack([1, shape[1], shape[2], 1]), tf.int32)

    def compute(x):
        return tf.raw_ops.MaxPoolV2(input=x, ksize=window, strides=window, padding="VALID")

    y = guarded_global(compute, x)
    return _native.shaped(y, (None, 1, 1, None if x.shape.rank is None else x.shape[3]))
