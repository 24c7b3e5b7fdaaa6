"""Images as sums of waves of decorrelated colors, and the random moves that they must stand."""

import numpy as np
import tensorflow as tf

# Columns: how red, green and blue of ImageNet's images vary together, from the library that the article published;
# divided by the largest norm of a column.
_COLORS = np.array([[0.26, 0.09, 0.02], [0.27, 0.0, -0.05], [0.27, -0.09, 0.03]])
_COLORS = (_COLORS / np.linalg.norm(_COLORS, axis=0).max()).astype("float32")
_QUARTER = 4.0  # by which that library divides, so that steps of 0.05 suit
_DEVIATION = 0.01  # of the spectrum at the beginning


def spectrum(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """A random spectrum, float32 [n, channels, height, width // 2 + 1, 2]: real and imaginary parts.

    Args:
        shape: of the images, [n, height, width, channels].
        seed: of the normal noise.
    """
    count, height, width, channels = shape
    size = (count, channels, height, width // 2 + 1, 2)
    return (_DEVIATION * np.random.default_rng(seed).standard_normal(size)).astype("float32")


def scales(height: int, width: int) -> np.ndarray:
    """By what each wave is multiplied, float32 [height, width // 2 + 1]: sqrt(height width) / frequency."""
    frequencies = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    return (np.sqrt(height * width) / np.maximum(frequencies, 1 / max(height, width))).astype("float32")


def colors(parts: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """A spectrum as images of colors in (0, 1), float32 [n, height, width, channels]; odd sizes too.

    Args:
        parts: [n, channels, height, width // 2 + 1, 2].
        height, width: of the images.
    """
    waves = tf.complex(parts[..., 0], parts[..., 1]) * tf.cast(scales(height, width), tf.complex64)
    values = tf.transpose(tf.signal.irfft2d(waves, [height, width]), (0, 2, 3, 1)) / _QUARTER
    if values.shape[-1] == 3:
        values = tf.einsum("nhwi,ji->nhwj", values, _COLORS)
    return tf.sigmoid(values)


def transforms(shape, rng: np.random.Generator, jitter: float, rotation: float, scale: float) -> np.ndarray:
    """Random moves about the center of each image, float32 [n, 8], as TensorFlow's projective transform takes them.

    Args:
        shape: of the images, [n, height, width, channels].
        rng: what draws.
        jitter: shifts go up to so many pixels, in each direction.
        rotation: up to so many degrees.
        scale: the factor is within 1 - scale and 1 + scale.
    """
    count, height, width, _ = shape
    angle = np.deg2rad(rng.uniform(-rotation, rotation, count))
    factor = 1 / rng.uniform(1 - scale, 1 + scale, count)
    shift = rng.uniform(-jitter, jitter, (2, count))
    cosine, sine = factor * np.cos(angle), factor * np.sin(angle)
    x, y, zero = (width - 1) / 2, (height - 1) / 2, np.zeros(count)
    first = [cosine, -sine, x - cosine * x + sine * y + shift[0]]
    second = [sine, cosine, y - sine * x - cosine * y + shift[1]]
    return np.stack([*first, *second, zero, zero], axis=1).astype("float32")


def transformed(images: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
    """Images after moves of `transforms`, gray where there was nothing."""
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images, transforms=numbers, output_shape=tf.shape(images)[1:3], interpolation="BILINEAR",
        fill_mode="CONSTANT", fill_value=0.5,
    )  # fmt: skip
