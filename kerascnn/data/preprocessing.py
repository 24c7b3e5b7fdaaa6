"""From an encoded file to the tensor that a network sees, in TensorFlow graph ops only.

Training, evaluation, prediction and the exported signatures all call `preprocess_image`, so that an image means the
same thing everywhere. Sizes may be unknown when the graph is built.
"""

import errno
import math
import os
import stat

import numpy as np
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.data.decoding import decode
from kerascnn.data.decoding._contents import MAX_PIXELS, reason
from kerascnn.ops.resize2d import resize2d

FORMATS = decode.ENDINGS  # of the files that are taken for images in a folder
MAX_BYTES = 4 * MAX_PIXELS + 2**20  # of a file: that many pixels without compression
_LONGEST = 16  # times the part that is seen: how long an image may be before its far ends are cut off


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
    """Decodes a JPEG, PNG, GIF (first image), BMP or WebP (first image), in graph ops that every TensorFlow has.

    JPEGs are equal to Pillow's to the bit, and every picture is turned as its EXIF orientation says.

    Args:
        contents: the encoded file, a scalar string tensor.
        channels: 3 (gray images are repeated, transparency is dropped) or 1 (colors become luminance).

    Returns:
        uint8 [height, width, channels], sizes unknown in a graph.

    Raises:
        InputError: `channels` is neither 1 nor 3.
        tf.errors.InvalidArgumentError: not one of these formats, damaged, or more pixels than
            `kerascnn.data.MAX_PIXELS`, which is read in the header before anything is decoded.
    """
    if channels not in (1, 3):
        raise InputError(f"channels must be 1 or 3. Received: {channels}")
    return change_channels(decode.decode(contents), channels)


def read_contents(path: str | os.PathLike, what: str = "image") -> bytes:
    """Reads a whole file, if it is one and not too large to be an image.

    Args:
        path: the file.
        what: it is called in errors.

    Raises:
        InputError: it is not there, not a regular file (a named pipe would be waited for), too large, or unreadable.
    """
    try:
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISDIR(status.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if not stat.S_ISREG(status.st_mode):
                raise InputError(f"The {what} must be a regular file. Received: {_shown(path)}")
            if status.st_size > MAX_BYTES:
                raise InputError(
                    f"The {what} must be a file of at most {MAX_BYTES:,} bytes. Received: {status.st_size:,} bytes in "
                    f"{_shown(path)}"
                )
            return file.read()
    except OSError as error:
        raise InputError(f"The {what} cannot be read ({error.strerror}). Received: {_shown(path)}") from error
    except ValueError as error:  # a NUL byte in the name; an InputError is one too
        if isinstance(error, InputError):
            raise
        raise InputError(f"The {what} cannot be read ({error}). Received: {_shown(path)!r}") from error


def read_image(path: str | os.PathLike, channels: int = 3) -> tf.Tensor:
    """Reads one image file eagerly.

    Args:
        path: a JPEG, PNG, GIF, BMP or WebP file.
        channels: 3 or 1, as for `decode_image`.

    Returns:
        uint8 [height, width, channels].

    Raises:
        InputError: there is no such file, it cannot be read, it is not a whole image, or one with more pixels than
            `kerascnn.data.MAX_PIXELS`; the message names it.
    """
    return decode_contents(read_contents(path), path, channels)


def decode_contents(contents: bytes, path: str | os.PathLike, channels: int = 3) -> tf.Tensor:
    """Decodes one image file eagerly.

    Args:
        contents: what `read_contents` read.
        path: the file, for errors.
        channels: 3 or 1, as for `decode_image`.

    Returns:
        uint8 [height, width, channels].

    Raises:
        InputError: as `read_image`.
    """
    try:
        with tf.device("CPU:0"):
            image = decode_image(tf.constant(contents), channels)
    except (tf.errors.OpError, ValueError) as error:
        rule = reason(str(error)) or f"The image must be a whole {decode.NAMES} file"
        raise InputError(f"{rule}. Received: {_shown(path)}") from error
    if 0 in image.shape:
        raise InputError(f"The image has no pixels. Received: {_shown(path)}")
    return image


def _shown(path):
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def change_channels(image: tf.Tensor, channels: int) -> tf.Tensor:
    """Repeats a gray image, or turns colors into luminance.

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
    if image.dtype == tf.uint8:  # in 16-bit fixed point, as Pillow
        weighed = tf.cast(image, tf.int32) * tf.constant([19595, 38470, 7471])
        return tf.cast((tf.reduce_sum(weighed, axis=-1, keepdims=True) + 2**15) // 2**16, tf.uint8)
    gray = tf.image.rgb_to_grayscale(tf.cast(image, tf.float32))  # in whole numbers it would round down
    return tf.saturate_cast(tf.round(gray) if image.dtype.is_integer else gray, image.dtype)


def resize(image: tf.Tensor, height: tf.Tensor, width: tf.Tensor, interpolation: str) -> tf.Tensor:
    """Resizes with half-pixel centers and, when shrinking, an anti-aliasing filter; uint8 stays uint8 (rounded).

    This is what Pillow does, and with it the pipelines for which weights are published, but for what Pillow rounds and
    cuts off between the axes; see `kerascnn.ops.resize2d`.
    """
    if image.dtype == tf.uint8 and interpolation != "nearest":
        return resize2d(image, [height, width], interpolation)
    return tf.image.resize(image, [height, width], interpolation, antialias=interpolation != "nearest")


def fit_image(image: tf.Tensor, image_shape: tuple[int, int, int], preprocessing: Preprocessing) -> tf.Tensor:
    """Brings an image to a size and a number of channels, without changing the scale of its values.

    Args:
        image: [height, width, channels] or [n, height, width, channels], values 0 to 255, sizes known or not.
        image_shape: the (height, width, channels) wanted; 1 or 3 channels.
        preprocessing: `fit` "crop" resizes the shorter side to `round(size / crop_fraction)` and crops the center;
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
    image = change_channels(image, channels)  # gray to color last, when there are fewest pixels to copy
    image.set_shape([*image.shape[:-3], height, width, channels])
    return image


def normalize_image(image: tf.Tensor, preprocessing: Preprocessing) -> tf.Tensor:
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
    """Fits an image to a network's input and normalizes it: all that happens between a decoded file and a network.

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
    return normalize_image(fit_image(image, image_shape, preprocessing), preprocessing)


def cover(image: tf.Tensor, tall: int, wide: int, interpolation: str) -> tf.Tensor:
    """The image, resized with its aspect ratio so that it just covers a size: equal in one side, no less in the other.

    Args:
        image: [..., height, width, channels], sizes known or not.
        tall, wide: the size.
        interpolation: bilinear, bicubic or nearest.

    Returns:
        [..., height, width, channels]; of an image that is very long only the middle.
    """
    image = _without_far_ends(image, tall, wide)
    shape = tf.shape(image)
    rows, columns = shape[-3], shape[-2]
    by_height = tf.cast(tall, tf.int64) * tf.cast(columns, tf.int64) >= wide * tf.cast(rows, tf.int64)
    new_rows = tf.where(by_height, tall, rows * wide // columns)
    new_columns = tf.where(by_height, columns * tall // rows, wide)
    return resize(image, new_rows, new_columns, interpolation)


def _resize_and_crop(image, height, width, preprocessing):
    # Rounded down as timm does; the published fractions are quotients, which may lie a hair below a whole number.
    tall, wide = (math.floor(size / preprocessing.crop_fraction + 1e-6) for size in (height, width))
    image = cover(image, tall, wide, preprocessing.interpolation)
    rows, columns = tf.shape(image)[-3], tf.shape(image)[-2]
    top, left = center(rows - height), center(columns - width)
    return image[..., top : top + height, left : left + width, :]


def center(free: tf.Tensor) -> tf.Tensor:
    """Where a centered window begins that leaves `free` pixels: half of them, and a half pixel goes to the even side.

    That is `int(round(free / 2.0))` in Python, the rule of torchvision and timm.
    """
    half = free // 2
    return half + free % 2 * (half % 2)


def _without_far_ends(image, tall, wide):
    """The middle of an image that is very long, such as one of 1 x 60,000 pixels.

    Resized by its shorter side it would fill the memory, and only its middle is seen. What is left is still _LONGEST
    times as long as needed, so that no filter reaches its ends, and loses as many pixels on either side.
    """
    shape = tf.shape(image)
    rows, columns = shape[-3], shape[-2]
    longest = [_LONGEST * (1 + columns * tall // wide), _LONGEST * (1 + rows * wide // tall)]
    cut = [tf.maximum(size - most, 0) // 2 for size, most in zip((rows, columns), longest, strict=True)]
    return image[..., cut[0] : rows - cut[0], cut[1] : columns - cut[1], :]


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
