"""PNG: 1 to 16 bits, grayscale, palettes, transparency (dropped), interlaced; of an animation the first image."""

import tensorflow as tf

from kerascnn.data.decoding import exif
from kerascnn.data.decoding._contents import after, check_size, head, number

FIRST = 0x89  # byte of a file
_WIDTH, _HEIGHT = 16, 20


def decode(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A PNG file (a scalar string) as uint8 [height, width, 3]; of 16 bits the higher 8, where Pillow clips to 255."""
    start = head(contents, 24)
    width, height = (number(start, place, 4, big=True) for place in (_WIDTH, _HEIGHT))
    contents = after([check_size(height, width)], contents)
    return tf.io.decode_png(contents, channels=3), exif.of_chunk(contents, b"eXIf", 0)
