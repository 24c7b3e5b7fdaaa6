"""JPEG. Decoded with the accurate integer transform: equal to Pillow, and so to PyTorch's pipelines, to the bit."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from kerascnn.data.decoding import exif
from kerascnn.data.decoding._contents import after, check_size

FIRST = 0xFF  # byte of a file
_END = b"\xff\xd9"  # the marker behind the last pixels
_BESIDE = 2  # columns


def decode(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A JPEG file (a scalar string) as uint8 [height, width, 3]; grayscale is repeated, CMYK converted; and its block
    of EXIF, a scalar string that may be empty."""
    shape = tf.image.extract_jpeg_shape(contents)
    contents = after([check_size(shape[0], shape[1])], contents)
    return tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE"), exif.of_jpeg(contents)


def has_windows(contents: tf.Tensor) -> tf.Tensor:
    """Whether `decode_window` takes a file: its pixels are stored as they are to be seen, and it has an end.

    One that is cut short lacks the end, which nobody would see whose window is above.
    """

    def upright():
        block = exif.of_jpeg(contents)
        return tf.cond(tf.strings.length(block) > 0, lambda: exif.orientation(block) == 1, lambda: True)

    return tf.cond(tf.strings.substr(contents, -2, 2) == _END, upright, lambda: False)


def decode_window(contents: tf.Tensor, choose: Callable[[tf.Tensor, tf.Tensor], Sequence[tf.Tensor]]) -> tf.Tensor:
    """The part (top, left, height, width) that `choose` gives for a height and width, as `decode` would give it."""
    shape = tf.image.extract_jpeg_shape(contents)
    contents = after([check_size(shape[0], shape[1])], contents)
    top, left, height, width = choose(shape[0], shape[1])
    # The color of the columns at an edge follows from those beside it, which libjpeg has only if it decodes them.
    before = tf.maximum(left - _BESIDE, 0)
    behind = tf.minimum(left + width + _BESIDE, shape[1])
    window = tf.stack([top, before, height, behind - before])
    image = tf.image.decode_and_crop_jpeg(contents, window, channels=3, dct_method="INTEGER_ACCURATE")
    return image[:, left - before : left - before + width]
