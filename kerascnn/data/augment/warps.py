"""Changes of place by a given amount: rotation, shear, translation, equal to Pillow's `Image.transform`.

Functions take one image [height, width, channels] or a batch [n, height, width, channels] and return the same shape and
type; an amount is a number, or a tensor of one number an image ([] or [n]). What comes from outside of the image is
`fill`. They are graph ops without random numbers.

    from kerascnn.data.augment import warps

    turned = warps.rotate(image, 30.0, interpolation="bilinear", fill=128)
"""

import math

import tensorflow as tf

from kerascnn import _check
from kerascnn._errors import InputError

INTERPOLATIONS = ("nearest", "bilinear")


def affine(image: tf.Tensor, matrix: tf.Tensor, interpolation: str = "nearest", fill: float | tuple = 0) -> tf.Tensor:
    """Each pixel from the place `(a x + b y + c, d x + e y + f)` of the image, x and y its center.

    Args:
        image: one image or a batch, uint8 or float32.
        matrix: (a, b, c, d, e, f), [6] or [n, 6], float64; the center of the first pixel is at (0.5, 0.5).
        interpolation: "nearest", with Pillow's coordinates in 1/65536 of a pixel, equal to the bit; or "bilinear",
            within one level, towards 0 for uint8.
        fill: the value outside, or one a channel.

    Returns:
        The same shape and type.

    Raises:
        InputError: another rank or interpolation.
    """
    image = _image(image)
    _check.one_of("interpolation", interpolation, INTERPOLATIONS)
    if image.shape.rank == 3:
        return affine(image[None], matrix, interpolation, fill)[0]
    matrix = tf.reshape(tf.cast(matrix, tf.float64), [-1, 6, 1])
    warped = _nearest(image, matrix, fill) if interpolation == "nearest" else _bilinear(image, matrix, fill)
    return tf.ensure_shape(tf.reshape(warped, tf.shape(image)), image.shape)


def rotate(image: tf.Tensor, degrees: tf.Tensor, interpolation: str = "nearest", fill: float | tuple = 0) -> tf.Tensor:
    """Turns by `degrees` counterclockwise around the center; see `affine` for the other arguments."""
    image = _image(image)
    angle = tf.cast(degrees, tf.float64) * (-math.pi / 180)
    cosine, sine = (_rounded(function(angle)) for function in (tf.cos, tf.sin))
    x, y = (tf.cast(tf.shape(image)[axis], tf.float64) / 2.0 for axis in (-2, -3))
    rows = [cosine, sine, x - cosine * x - sine * y, -sine, cosine, y + sine * x - cosine * y]
    return affine(image, tf.stack(rows, axis=-1), interpolation, fill)


def shear_x(image: tf.Tensor, part: tf.Tensor, interpolation: str = "nearest", fill: float | tuple = 0) -> tf.Tensor:
    """Shifts row y by `part` times y to the left; see `affine` for the other arguments."""
    return affine(image, _matrix(b=part), interpolation, fill)


def shear_y(image: tf.Tensor, part: tf.Tensor, interpolation: str = "nearest", fill: float | tuple = 0) -> tf.Tensor:
    """Shifts column x by `part` times x upwards; see `affine` for the other arguments."""
    return affine(image, _matrix(d=part), interpolation, fill)


def translate_x(
    image: tf.Tensor, pixels: tf.Tensor, interpolation: str = "nearest", fill: float | tuple = 0
) -> tf.Tensor:
    """Shifts by `pixels` to the right; see `affine` for the other arguments."""
    return affine(image, _matrix(c=-tf.cast(pixels, tf.float64)), interpolation, fill)


def translate_y(
    image: tf.Tensor, pixels: tf.Tensor, interpolation: str = "nearest", fill: float | tuple = 0
) -> tf.Tensor:
    """Shifts by `pixels` downwards; see `affine` for the other arguments."""
    return affine(image, _matrix(f=-tf.cast(pixels, tf.float64)), interpolation, fill)


def _image(image):
    image = tf.convert_to_tensor(image)
    if image.shape.rank not in (3, 4) or image.shape[-1] is None:
        rule = "An image must have shape [height, width, channels], or that with a batch, and known channels"
        raise InputError(f"{rule}. Received: shape {image.shape}")
    return image


def _matrix(**changed):
    """The identity, but for the entries given."""
    (amount,) = (tf.cast(value, tf.float64) for value in changed.values())
    same = {"a": 1.0, "b": 0.0, "c": 0.0, "d": 0.0, "e": 1.0, "f": 0.0}
    rows = [amount if name in changed else tf.fill(tf.shape(amount), tf.constant(value, tf.float64))
            for name, value in same.items()]  # fmt: skip
    return tf.stack(rows, axis=-1)


def _rounded(value):
    """To 15 places: the cosine of a right angle is 0."""
    return tf.round(value * 1e15) / 1e15


def _nearest(image, matrix, fill):
    a, b, c, d, e, f = tf.unstack(matrix, axis=1)  # each [n, 1]
    shape = tf.shape(image)
    x, y = tf.range(tf.cast(shape[2], tf.int64)), tf.range(tf.cast(shape[1], tf.int64))

    def places(across, down, start):
        across, down, start = (
            tf.cast(tf.floor(value * 65536.0 + 0.5), tf.int64)
            for value in (across, down, start + 0.5 * across + 0.5 * down)
        )
        at = (start + down * y)[:, :, None] + (across * x)[:, None, :]
        return tf.cast(tf.bitwise.right_shift(at, tf.constant(16, tf.int64)), tf.int32)

    return _at(image, places(a, b, c), places(d, e, f), fill)


def _at(image, x, y, fill):
    """The pixels at places [n, height, width], `fill` where there are none."""
    shape = tf.shape(image)
    inside = (x >= 0) & (x < shape[2]) & (y >= 0) & (y < shape[1])
    first = tf.range(shape[0])[:, None, None] * (shape[1] * shape[2])
    flat = tf.where(inside, first + y * shape[2] + x, tf.reduce_prod(shape[:3]))
    pixels = tf.reshape(image, [-1, image.shape[3]])
    return tf.gather(tf.concat([pixels, _fill_row(image, fill)], axis=0), flat)


def _fill_row(image, fill):
    """[1, channels] of the image's type."""
    fill = tf.cast(fill, tf.float32)
    fill = tf.saturate_cast(tf.round(fill) if image.dtype.is_integer else fill, image.dtype)
    return tf.broadcast_to(fill, [1, image.shape[3]])


def _bilinear(image, matrix, fill):
    a, b, c, d, e, f = tf.unstack(matrix[..., None], axis=1)  # each [n, 1, 1]
    shape = tf.shape(image)
    height, width = tf.cast(shape[1], tf.float64), tf.cast(shape[2], tf.float64)
    x, y = (0.5 + tf.range(size, dtype=tf.float64) for size in (width, height))
    x, y = x[None, None, :], y[None, :, None]
    x, y = a * x + b * y + c, d * x + e * y + f
    inside = (x >= 0.0) & (x < width) & (y >= 0.0) & (y < height)
    x, y = x - 0.5, y - 0.5
    left, top = tf.floor(x), tf.floor(y)
    right_share, lower_share = (tf.cast(value, tf.float32)[..., None] for value in (x - left, y - top))
    columns = [tf.cast(tf.clip_by_value(value, 0.0, width - 1.0), tf.int32) for value in (left, left + 1.0)]
    rows = [tf.cast(tf.clip_by_value(value, 0.0, height - 1.0), tf.int32) for value in (top, top + 1.0)]
    mixed = []
    for row in rows:
        one, two = (tf.cast(_at(image, column, row, 0), tf.float32) for column in columns)
        mixed.append(one + right_share * (two - one))
    found = mixed[0] + lower_share * (mixed[1] - mixed[0])
    return tf.where(inside[..., None], tf.cast(found, image.dtype), _fill_row(image, fill)[0])
