"""Random changes of training images, as stateless functions (image, seed) -> image.

The same seed gives the same result whatever was drawn before. Functions take one image [height, width, channels] or,
where it says so, a batch [n, height, width, channels], in which every image gets a draw of its own.
"""

import math
from collections.abc import Callable

import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.data.preprocessing import resize

# Principal components of the RGB values of ImageNet's training images in units of the full range, as published with
# AlexNet's code and used by every re-implementation; one component per column.
_PCA_VALUES = (0.2175, 0.0188, 0.0045)
_PCA_VECTORS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))


def split_seed(seed: tf.Tensor, parts: int) -> list[tf.Tensor]:
    """Independent seeds (each [2]) from one."""
    return tf.unstack(tf.random.split(seed, parts))


def as_batch(image: tf.Tensor, function: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """What a function of batches makes of an image or a batch."""
    return function(image[None])[0] if image.shape.rank == 3 else function(image)


def chosen(draw: tf.Tensor, probability: float, changed: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Of each image the changed one with a probability.

    Args:
        draw: float32 [n], uniform in [0, 1).
        probability: of being changed.
        changed: [n, height, width, channels].
        images: the same shape and dtype.
    """
    return tf.where((draw < probability)[:, None, None, None], changed, images)


def inside_boxes(images: tf.Tensor, starts: list[tf.Tensor], ends: list[tf.Tensor]) -> tf.Tensor:
    """Which pixels are in the box of their image.

    Args:
        images: [n, height, width, channels].
        starts: the first row and the first column of each box, int32 [n] or [1].
        ends: the row and the column behind its last.

    Returns:
        bool [n or 1, height, width].
    """
    inside = []
    for axis in range(2):
        place = tf.range(tf.shape(images)[1 + axis])[None]
        inside.append((place >= starts[axis][:, None]) & (place < ends[axis][:, None]))
    return inside[0][:, :, None] & inside[1][:, None, :]


def pad_and_crop(image: tf.Tensor, seed: tf.Tensor, padding: int = 4, mode: str = "zero") -> tf.Tensor:
    """Pads every side and crops a random window of the original size (He et al. 2015, arXiv:1512.03385, section 4.2).

    Args:
        image: an image or a batch.
        seed: two integers.
        padding: pixels added on every side.
        mode: what is added: "zero" (black) or "reflect" (mirrored without repeating the edge).

    Returns:
        The same shape and dtype.

    Raises:
        InputError: another mode.
    """
    if mode not in ("zero", "reflect"):
        raise InputError(f'mode must be "zero" or "reflect". Received: {mode!r}')
    if image.shape.rank == 3:
        return pad_and_crop(image[None], seed, padding, mode)[0]
    shape = tf.shape(image)
    shift = tf.random.stateless_uniform([2, shape[0]], seed, -padding, padding + 1, tf.int32)
    result = _windows(image, shift[0], shift[1], shape[1], shape[2], reflect=mode == "reflect")
    return tf.ensure_shape(result, image.shape)


def random_crop(image: tf.Tensor, seed: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Crops a random window of a given size (Krizhevsky et al. 2012, section 4.1).

    Args:
        image: an image or a batch, at least as large as the window.
        seed: two integers.
        height: of the window in pixels.
        width: of the window in pixels.

    Returns:
        [height, width, channels] or [n, height, width, channels], same dtype.
    """
    if image.shape.rank == 3:
        return random_crop(image[None], seed, height, width)[0]
    shape = tf.shape(image)
    draw = tf.random.stateless_uniform([2, shape[0]], seed)
    top, left = (
        tf.cast(draw[axis] * tf.cast(shape[1 + axis] - size + 1, tf.float32), tf.int32)
        for axis, size in enumerate((height, width))
    )
    return tf.ensure_shape(_windows(image, top, left, height, width), [image.shape[0], height, width, image.shape[3]])


def random_flip(image: tf.Tensor, seed: tf.Tensor, probability: float = 0.5) -> tf.Tensor:
    """Mirrors left and right.

    Args:
        image: an image or a batch.
        seed: two integers.
        probability: of being mirrored.

    Returns:
        The same shape and dtype.
    """
    if image.shape.rank == 3:
        flip = tf.random.stateless_uniform([1, 1], seed)[0, 0] < probability
        return tf.cond(flip, lambda: image[:, ::-1], lambda: image)
    shape = tf.shape(image)
    flip = tf.random.stateless_uniform([shape[0], 1], seed) < probability
    columns = tf.range(shape[2])[None]
    columns = tf.where(flip, shape[2] - 1 - columns, columns)  # [n, width]
    rows = tf.range(shape[0] * shape[1])
    flat = rows[:, None] * shape[2] + tf.repeat(columns, shape[1], axis=0)
    pixels = tf.gather(tf.reshape(image, [-1, image.shape[3]]), flat)
    return tf.ensure_shape(tf.reshape(pixels, shape), image.shape)


def random_resized_crop(
    image: tf.Tensor,
    seed: tf.Tensor,
    height: int,
    width: int,
    area: tuple[float, float] = (0.08, 1.0),
    aspect: tuple[float, float] = (3 / 4, 4 / 3),
    interpolation: str = "bilinear",
) -> tf.Tensor:
    """Crops a window of random area and aspect ratio and resizes it (Szegedy et al. 2015, arXiv:1409.4842, section 6).

    The aspect ratio is drawn uniformly on a logarithmic scale, so that upright and lying windows are equally likely.
    Of ten windows the first that fits is taken; if none fits, the largest central one of a permitted ratio.

    Args:
        image: one image.
        seed: two integers.
        height: of the result in pixels.
        width: of the result in pixels.
        area: smallest and largest share of the image's area.
        aspect: smallest and largest width / height.
        interpolation: "bilinear", "bicubic" or "nearest".

    Returns:
        [height, width, channels]; uint8 stays uint8.
    """
    shape = tf.shape(image)
    top, left, tall, wide = draw_window(shape[0], shape[1], seed, area, aspect)
    window = image[top : top + tall, left : left + wide]
    return tf.ensure_shape(resize(window, height, width, interpolation), [height, width, image.shape[2]])


def draw_window(
    height: tf.Tensor,
    width: tf.Tensor,
    seed: tf.Tensor,
    area: tuple[float, float] = (0.08, 1.0),
    aspect: tuple[float, float] = (3 / 4, 4 / 3),
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """The window that `random_resized_crop` resizes.

    Args:
        height, width: of the image in pixels.
        seed: two integers.
        area: smallest and largest share of the image's area.
        aspect: smallest and largest width / height.

    Returns:
        Its top, left, height and width, int32.
    """
    rows, columns = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    draw = tf.random.stateless_uniform([4, 10], seed)
    target = (area[0] + draw[0] * (area[1] - area[0])) * rows * columns
    ratio = tf.exp(math.log(aspect[0]) + draw[1] * math.log(aspect[1] / aspect[0]))
    tall, wide = tf.round(tf.sqrt(target / ratio)), tf.round(tf.sqrt(target * ratio))
    fits = (tall >= 1) & (wide >= 1) & (tall <= rows) & (wide <= columns)
    chosen = tf.argmax(fits)  # the first that fits
    # Where none fits, the image is longer than the ratio allows (or a few pixels large): clip its own ratio.
    clipped = tf.clip_by_value(columns / rows, *aspect)
    any_fits = tf.reduce_any(fits)
    tall = tf.where(any_fits, tall[chosen], tf.clip_by_value(tf.round(columns / clipped), 1.0, rows))
    wide = tf.where(any_fits, wide[chosen], tf.clip_by_value(tf.round(rows * clipped), 1.0, columns))
    place_y, place_x = tf.where(any_fits, draw[2, chosen], 0.5), tf.where(any_fits, draw[3, chosen], 0.5)
    top = tf.cast(place_y * (rows - tall + 1), tf.int32)
    left = tf.cast(place_x * (columns - wide + 1), tf.int32)
    return top, left, tf.cast(tall, tf.int32), tf.cast(wide, tf.int32)


def pca_color_shift(image: tf.Tensor, seed: tf.Tensor, std: float = 0.1) -> tf.Tensor:
    """Shifts all pixels of an image by one random color along ImageNet's principal components (Krizhevsky et al.
    2012, section 4.1): `sum_i p_i a_i l_i` with `a_i ~ N(0, std)`.

    Args:
        image: an image or a batch, values 0 to 255, 1 or 3 channels; gray images get the mean of the three shifts.
        seed: two integers.
        std: standard deviation of the `a_i`.

    Returns:
        float32 of the same shape, not clipped to 0..255.
    """
    if image.shape.rank == 3:
        return pca_color_shift(image[None], seed, std)[0]
    strength = tf.random.stateless_normal([tf.shape(image)[0], 3], seed, stddev=std) * tf.constant(_PCA_VALUES)
    shift = 255.0 * tf.matmul(strength, tf.constant(_PCA_VECTORS), transpose_b=True)
    if image.shape[3] == 1:
        shift = tf.reduce_mean(shift, axis=1, keepdims=True)
    return tf.cast(image, tf.float32) + shift[:, None, None, :]


def _windows(images, top, left, height, width, reflect=False):
    """Cuts a [height, width] window out of each image; what lies outside is black or reflected.

    One gather over flat pixels for the whole batch: many times faster than slicing image by image.
    """
    shape = tf.shape(images)
    rows = top[:, None] + tf.range(height)[None]  # [n, height]
    columns = left[:, None] + tf.range(width)[None]  # [n, width]
    inside = ((rows >= 0) & (rows < shape[1]))[:, :, None] & ((columns >= 0) & (columns < shape[2]))[:, None, :]
    if reflect:
        rows, columns = (end - abs(end - abs(at)) for at, end in ((rows, shape[1] - 1), (columns, shape[2] - 1)))
    rows += tf.range(shape[0])[:, None] * shape[1]
    flat = rows[:, :, None] * shape[2] + columns[:, None, :]  # [n, height, width], the numbers of pixels
    pixels = tf.reshape(images, [-1, images.shape[3]])
    if not reflect:  # what lies outside is taken from one black pixel behind the last
        pixels = tf.pad(pixels, [[0, 1], [0, 0]])
        flat = tf.where(inside, flat, tf.reduce_prod(shape[:3]))
    return tf.gather(pixels, flat)
