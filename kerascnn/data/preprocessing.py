"""From an encoded file to the tensor that a network sees, in TensorFlow graph ops only.

Training, evaluation, prediction and the exported signatures all call `preprocess_image`, so that an image means the
same thing everywhere. Sizes may be unknown when the graph is built.
"""

import os
from pathlib import Path

import numpy as np
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing

# What decode_image can read; files of these endings are the images of a folder.
FORMATS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".webp")


def check_image_shape(image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """The shape as a tuple of ints; refuses all but (height, width, 1 or 3), sizes positive.

    Raises:
        InputError: the shape is something else.
    """
    shape = tuple(image_shape)
    whole = all(size is not None and int(size) == size and size > 0 for size in shape)
    if len(shape) != 3 or not whole or shape[2] not in (1, 3):
        raise InputError(f"image_shape must be (height, width, channels) with 1 or 3 channels. Received: {shape}")
    return tuple(int(size) for size in shape)


def decode_image(contents: tf.Tensor, channels: int = 3) -> tf.Tensor:
    """Decodes a JPEG, PNG, GIF (first frame) or BMP.

    Args:
        contents: the encoded file, a scalar string tensor.
        channels: 3 (grey images are repeated, transparency is dropped) or 1 (colours become luminance).

    Returns:
        uint8 [height, width, channels], sizes unknown in a graph. Orientation tags are not applied.

    Raises:
        InputError: `channels` is neither 1 nor 3.
        tf.errors.InvalidArgumentError: not one of these formats, or damaged.
    """
    if channels not in (1, 3):
        raise InputError(f"channels must be 1 or 3. Received: {channels}")

    def decode_bmp():  # decode_image converts the channels of every format but this one
        image = tf.io.decode_bmp(contents)
        return tf.cond(tf.shape(image)[-1] < 3, lambda: tf.repeat(image[..., :1], 3, axis=-1), lambda: image[..., :3])

    def decode_other():
        return tf.io.decode_image(contents, channels=3, expand_animations=False)

    image = tf.cond(tf.strings.substr(contents, 0, 2) == b"BM", decode_bmp, decode_other)
    return change_channels(tf.ensure_shape(image, [None, None, 3]), channels)


def read_image(path: str | os.PathLike, channels: int = 3) -> tf.Tensor:
    """Reads one image file eagerly.

    Args:
        path: a JPEG, PNG, GIF or BMP file.
        channels: 3 or 1, as for `decode_image`.

    Returns:
        uint8 [height, width, channels].

    Raises:
        InputError: there is no such file, it cannot be read, or it is not a whole image; the message names it.
    """
    path = Path(path)
    try:
        contents = path.read_bytes()
    except OSError as error:
        raise InputError(f"The image cannot be read ({error.strerror}). Received: {path}") from error
    try:
        with tf.device("CPU:0"):
            image = decode_image(tf.constant(contents), channels)
    except (tf.errors.OpError, ValueError) as error:
        raise InputError(f"The image must be a whole JPEG, PNG, GIF or BMP file. Received: {path}") from error
    if 0 in image.shape:
        raise InputError(f"The image has no pixels. Received: {path}")
    return image


def change_channels(image: tf.Tensor, channels: int) -> tf.Tensor:
    """Repeats a grey image, or turns colours into luminance.

    Args:
        image: [..., height, width, 1 or 3], the number of channels known.
        channels: 1 or 3.

    Returns:
        [..., height, width, channels] of the same dtype.

    Raises:
        InputError: the image has neither 1 nor 3 channels.
    """
    received = image.shape[-1]
    if received not in (1, 3):
        raise InputError(f"An image must have 1 or 3 channels, known beforehand. Received: shape {image.shape}")
    if received == channels:
        return image
    if channels == 3:
        return tf.repeat(image, 3, axis=-1)
    grey = tf.image.rgb_to_grayscale(tf.cast(image, tf.float32))  # in whole numbers it would round down
    return tf.saturate_cast(tf.round(grey) if image.dtype.is_integer else grey, image.dtype)


def resize(image: tf.Tensor, height: tf.Tensor, width: tf.Tensor, interpolation: str) -> tf.Tensor:
    """Resizes with half-pixel centres and, when shrinking, an anti-aliasing filter; uint8 stays uint8 (rounded).

    This is what Pillow does, and with it the pipelines for which weights are published.
    """
    resized = tf.image.resize(image, [height, width], interpolation, antialias=interpolation != "nearest")
    if image.dtype != tf.uint8 or resized.dtype == tf.uint8:  # "nearest" keeps the type, the others compute in float32
        return resized
    return tf.saturate_cast(tf.round(resized), tf.uint8)


def fit_image(image: tf.Tensor, image_shape: tuple[int, int, int], preprocessing: Preprocessing) -> tf.Tensor:
    """Brings an image to a size and a number of channels, without changing the scale of its values.

    Args:
        image: [height, width, channels] or [n, height, width, channels], values 0 to 255, sizes known or not.
        image_shape: the (height, width, channels) wanted; 1 or 3 channels.
        preprocessing: `fit` "crop" resizes the shorter side to `round(size / crop_fraction)` and crops the centre;
            "pad" enlarges by the largest whole factor that fits, or else shrinks to fit with the aspect ratio kept,
            and adds a border of zeros.

    Returns:
        [height, width, channels] or [n, height, width, channels]; uint8 stays uint8, others become float32.

    Raises:
        InputError: a shape that cannot be used.
    """
    height, width, channels = check_image_shape(image_shape)
    if image.shape.rank not in (3, 4):
        raise InputError(f"An image must have rank 3, or 4 with a batch. Received: shape {image.shape}")
    if image.dtype != tf.uint8:
        image = tf.cast(image, tf.float32)
    if channels == 1:
        image = change_channels(image, 1)
    same_size = image.shape[-3:-1] == [height, width]
    if preprocessing.fit == "crop" and not (same_size and preprocessing.crop_fraction == 1):
        image = _resize_and_crop(image, height, width, preprocessing)
    elif preprocessing.fit == "pad" and not same_size:
        image = _scale_and_pad(image, height, width, preprocessing)
    image = change_channels(image, channels)  # grey to colour last, when there are fewest pixels to copy
    image.set_shape([*image.shape[:-3], height, width, channels])
    return image


def normalise_image(image: tf.Tensor, preprocessing: Preprocessing) -> tf.Tensor:
    """`(image / 255 - mean) / std` per channel, float32; the constants are adapted to 1 or 3 channels.

    It is computed as one multiplication and one subtraction over whole rows of known width, because broadcasting along
    an axis of three takes TensorFlow three times as long.
    """
    width, channels = image.shape[-2:]
    constants = preprocessing.for_channels(channels)
    mean, std = (np.tile(values, width) for values in (constants.mean, constants.std))
    rows = tf.reshape(tf.cast(image, tf.float32), [-1, width * channels])
    rows = rows * tf.constant(1 / (255 * std), tf.float32) - tf.constant(mean / std, tf.float32)
    return tf.ensure_shape(tf.reshape(rows, tf.shape(image)), image.shape)


def preprocess_image(image: tf.Tensor, image_shape: tuple[int, int, int], preprocessing: Preprocessing) -> tf.Tensor:
    """Fits an image to a network's input and normalises it: all that happens between a decoded file and a network.

    Args:
        image: uint8 (or any numbers from 0 to 255), [height, width, channels] or [n, height, width, channels]; sizes
            may be unknown in a graph, the number of channels (1 or 3) may not.
        image_shape: (height, width, channels) of the network's input.
        preprocessing: the network's constants.

    Returns:
        float32 [height, width, channels] or [n, height, width, channels].

    Raises:
        InputError: a shape that cannot be used.
    """
    return normalise_image(fit_image(image, image_shape, preprocessing), preprocessing)


def _resize_and_crop(image, height, width, preprocessing):
    tall, wide = (round(size / preprocessing.crop_fraction) for size in (height, width))
    shape = tf.shape(image)
    rows, columns = shape[-3], shape[-2]
    by_height = tf.cast(tall, tf.int64) * tf.cast(columns, tf.int64) >= wide * tf.cast(rows, tf.int64)
    new_rows = tf.where(by_height, tall, rows * wide // columns)
    new_columns = tf.where(by_height, columns * tall // rows, wide)
    image = resize(image, new_rows, new_columns, preprocessing.interpolation)
    top, left = (new_rows - height) // 2, (new_columns - width) // 2
    return image[..., top : top + height, left : left + width, :]


def _scale_and_pad(image, height, width, preprocessing):
    shape = tf.shape(image)
    rows, columns = shape[-3], shape[-2]
    factor = tf.minimum(height // rows, width // columns)  # 0: the image is larger and has to shrink
    ratio = tf.minimum(height / rows, width / columns)
    shrunk = [tf.cast(tf.round(tf.cast(size, ratio.dtype) * ratio), tf.int32) for size in (rows, columns)]
    new_rows = tf.where(factor > 0, rows * factor, tf.clip_by_value(shrunk[0], 1, height))
    new_columns = tf.where(factor > 0, columns * factor, tf.clip_by_value(shrunk[1], 1, width))
    known = image.shape[-3:-1].as_list()
    if None in known or min(height // known[0], width // known[1]) != 1:  # else: only a border is needed
        image = resize(image, new_rows, new_columns, preprocessing.interpolation)
    top, left = (height - new_rows) // 2, (width - new_columns) // 2
    border = [[top, height - new_rows - top], [left, width - new_columns - left], [0, 0]]
    return tf.pad(image, [[0, 0]] * (image.shape.rank - 3) + border)
