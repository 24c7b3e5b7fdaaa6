"""Fitting whole images into a network's input for dense prediction, and taking the predictions back.

Nothing of an image is cut away and its aspect ratio is kept, because each pixel wants a class: it is enlarged or
shrunk until it just fits, centered, and surrounded by the mean color, whose mask is IGNORE. Images are resized as
everywhere (bilinear with an anti-aliasing filter, unless `preprocessing` says otherwise), masks to the nearest pixel.
"""

import math

import numpy as np
import tensorflow as tf

from kerascnn._preprocessing import Preprocessing
from kerascnn.data.masks import IGNORE, unstack
from kerascnn.data.preprocessing import change_channels, check_image_shape, normalize_image, resize

SCALES = (0.5, 2.0)  # of the random enlargement: Chen et al. 2017, arXiv:1706.05587, section 4


def fit_pairs(pairs: tf.Tensor, image_shape: tuple[int, int, int], preprocessing: Preprocessing) -> tf.Tensor:
    """Fits images with their masks.

    Args:
        pairs: uint8 [height, width, channels + 1] or [n, height, width, channels + 1]; sizes may be unknown.
        image_shape: (height, width, channels) of the network's input.
        preprocessing: the network's constants; the mean color and the interpolation are used.

    Returns:
        uint8 [height, width, channels + 1] or [n, height, width, channels + 1].
    """
    height, width, channels = image_shape
    images, masks = unstack(pairs)
    images, masks = change_channels(images, channels), masks[..., None]
    if images.shape[-3:-1] != [height, width]:
        rows, columns = _fitting_size(images, height, width, 1.0)
        images = resize(images, rows, columns, preprocessing.interpolation)
        masks = resize(masks, rows, columns, "nearest")
        top, left = (height - rows) // 2, (width - columns) // 2
        pairs = _pad(_join(images, masks), top, left, height, width, preprocessing)
    else:
        pairs = _join(images, masks)
    pairs.set_shape([*pairs.shape[:-3], height, width, channels + 1])
    return pairs


def fit_whole_image(
    image: tf.Tensor, image_shape: tuple[int, int, int], preprocessing: Preprocessing, *, normalize: bool = True
) -> tf.Tensor:
    """Fits an image as `fit_pairs` does, and normalizes it: all that happens between a file and a network.

    Args:
        image: uint8 [height, width, 1 or 3], sizes known or not.
        image_shape: (height, width, channels) of the network's input.
        preprocessing: the network's constants.
        normalize: False: leave the values from 0 to 255.

    Returns:
        float32 [height, width, channels], or uint8 without `normalize`.

    Raises:
        InputError: a shape that cannot be used.
    """
    image_shape = check_image_shape(image_shape)
    fitted = fit_pairs(_join(image, tf.zeros_like(image[..., :1])), image_shape, preprocessing)[..., :-1]
    return normalize_image(fitted, preprocessing) if normalize else fitted


def restore(values: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Takes a prediction for a fitted image back to the image: the border is cut off, the rest resized.

    Args:
        values: [height, width] class numbers of the network's input.
        rows: height of the image in pixels.
        columns: width of the image in pixels.

    Returns:
        The same dtype, [rows, columns]; each pixel has the class of the nearest one.
    """
    height, width = values.shape
    if (height, width) == (rows, columns):
        return values
    inner_rows, inner_columns = (int(size) for size in _fitting_size(np.empty([rows, columns, 1]), height, width, 1.0))
    top, left = (height - inner_rows) // 2, (width - inner_columns) // 2
    inner = values[top : top + inner_rows, left : left + inner_columns]
    # Nearest with half-pixel centers, as `resize` has it.
    picked = (
        np.minimum(((np.arange(size) + 0.5) * inner_size / size).astype(int), inner_size - 1)
        for size, inner_size in ((rows, inner_rows), (columns, inner_columns))
    )
    return inner[np.ix_(*picked)]


def scale_crop(
    pair: tf.Tensor,
    seed: tf.Tensor,
    image_shape: tuple[int, int, int],
    preprocessing: Preprocessing,
    scales: tuple[float, float] = SCALES,
) -> tf.Tensor:
    """Enlarges by a random factor and takes a random window, of an image and its mask alike (Chen et al. 2017,
    arXiv:1706.05587, section 4).

    The factor is drawn on a logarithmic scale and counts from the size at which the image just fits. Where the image
    is smaller than the window it is placed at random in the mean color, whose mask is IGNORE.

    Args:
        pair: uint8 [height, width, channels + 1].
        seed: two integers.
        image_shape: (height, width, channels) of the network's input.
        preprocessing: the network's constants; the mean color and the interpolation are used.
        scales: the smallest and the largest factor.

    Returns:
        uint8 [height, width, channels + 1].
    """
    return _scale_crop(pair, tf.random.stateless_uniform([3], seed), image_shape, preprocessing, scales)


def scale_crop_flip(
    pair: tf.Tensor, seed: tf.Tensor, image_shape: tuple[int, int, int], preprocessing: Preprocessing
) -> tf.Tensor:
    """As `scale_crop`, and mirrors every second time; arguments and result are the same."""
    draw = tf.random.stateless_uniform([4], seed)
    pair = _scale_crop(pair, draw, image_shape, preprocessing, SCALES)
    return tf.where(draw[3] < 0.5, pair[:, ::-1], pair)


def finish(pairs: tf.Tensor, preprocessing: Preprocessing) -> tuple[tf.Tensor, tf.Tensor]:
    """What a network and its loss take: (normalized float32 images, int32 masks) of fitted pairs, batched or not."""
    images, masks = unstack(pairs)
    return normalize_image(images, preprocessing), tf.cast(masks, tf.int32)


def _scale_crop(pair, draw, image_shape, preprocessing, scales):
    """`scale_crop` with the first three draws from [0, 1): the factor's, the row's and the column's."""
    height, width, channels = image_shape
    low, high = (math.log(scale) for scale in scales)
    image, mask = unstack(pair)
    image = change_channels(image, channels)
    rows, columns = _fitting_size(image, height, width, tf.exp(low + draw[0] * (high - low)))
    image = resize(image, rows, columns, preprocessing.interpolation)
    mask = resize(mask[..., None], rows, columns, "nearest")
    # The window's place in the image, or, negative, the image's in the window.
    top, left = (
        tf.cast(tf.floor(part * tf.cast(abs(free) + 1, tf.float32)), tf.int32) * tf.sign(free)
        for part, free in ((draw[1], rows - height), (draw[2], columns - width))
    )
    pair = _join(image, mask)[tf.maximum(top, 0) :, tf.maximum(left, 0) :][:height, :width]
    pair = _pad(pair, tf.maximum(-top, 0), tf.maximum(-left, 0), height, width, preprocessing)
    return tf.ensure_shape(pair, [height, width, channels + 1])


def _join(images, masks):
    return tf.concat([images, masks], axis=-1)


def _fitting_size(image, height, width, scale):
    """[rows, columns] of an image that just fits into height x width, times a scale; at least one pixel."""
    rows, columns = tf.shape(image)[-3], tf.shape(image)[-2]
    ratio = tf.minimum(height / rows, width / columns) * tf.cast(scale, tf.float64)
    sizes = (tf.cast(tf.round(tf.cast(size, tf.float64) * ratio), tf.int32) for size in (rows, columns))
    return [tf.maximum(size, 1) for size in sizes]


def _pad(pairs, top, left, height, width, preprocessing):
    """Surrounds pairs by the mean color and IGNORE, to height x width."""
    channels = pairs.shape[-1] - 1
    mean = [round(255 * value) for value in preprocessing.for_channels(channels).mean]
    fill = tf.constant([*(min(max(value, 0), 255) for value in mean), IGNORE], tf.int16)
    shape = tf.shape(pairs)
    border = [[top, height - shape[-3] - top], [left, width - shape[-2] - left], [0, 0]]
    padded = tf.pad(tf.cast(pairs, tf.int16) - fill, [[0, 0]] * (pairs.shape.rank - 3) + border)
    return tf.cast(padded + fill, tf.uint8)
