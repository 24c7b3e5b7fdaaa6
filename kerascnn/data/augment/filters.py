"""Blurring by a given amount, within one level of torchvision's `gaussian_blur`."""

import tensorflow as tf

from kerascnn import _check
from kerascnn.data.augment.colors import as_bytes


def gaussian_blur(image: tf.Tensor, sigma: tf.Tensor, size: int) -> tf.Tensor:
    """Convolves with a Gaussian of a limited number of pixels, the image mirrored at its edges.

    Args:
        image: [height, width, channels] or a batch, uint8 or float32 with values 0 to 255.
        sigma: standard deviation in pixels, [] or one an image, [n].
        size: of the kernel in pixels, odd; at most 2 height - 1 and 2 width - 1.

    Returns:
        uint8 of the same shape.

    Raises:
        InputError: a size that is not odd, or another shape.
    """
    if not isinstance(size, int) or size < 1 or size % 2 == 0:
        raise _check.refuse("size", "an odd whole number", size)
    image = as_bytes(image)
    if image.shape.rank == 3:
        return gaussian_blur(image[None], sigma, size)[0]
    half, shape, channels = size // 2, tf.shape(image), image.shape[-1]
    places = tf.range(-half, half + 1, dtype=tf.float32)
    sigma = tf.maximum(tf.reshape(tf.cast(sigma, tf.float32), [-1, 1]), 1e-3)
    kernel = tf.exp(-0.5 * tf.square(places / sigma))  # [n or 1, size]
    kernel = (kernel / tf.reduce_sum(kernel, axis=1, keepdims=True))[:, :, None, None]
    values = tf.reshape(tf.cast(image, tf.float32), [-1, shape[1], shape[2] * channels])
    padded = tf.pad(values, [[0, 0], [half, half], [0, 0]], "REFLECT")
    values = tf.add_n([kernel[:, at] * padded[:, at : at + shape[1]] for at in range(size)])
    padded = tf.pad(tf.reshape(values, shape), [[0, 0], [0, 0], [half, half], [0, 0]], "REFLECT")
    padded = tf.reshape(padded, [-1, shape[1], (shape[2] + 2 * half) * channels])
    width = shape[2] * channels
    values = tf.add_n([kernel[:, at] * padded[:, :, at * channels : at * channels + width] for at in range(size)])
    return tf.ensure_shape(tf.saturate_cast(tf.round(tf.reshape(values, shape)), tf.uint8), image.shape)
