"""JPEG. Decoded with the accurate integer transform: equal to Pillow, and so to PyTorch's pipelines, to the bit."""

import tensorflow as tf

from kerascnn.data.decoding import exif
from kerascnn.data.decoding._contents import after, check_size

FIRST = 0xFF  # byte of a file


def decode(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A JPEG file (a scalar string) as uint8 [height, width, 3]; grayscale is repeated, CMYK converted; and its block
    of EXIF, a scalar string that may be empty."""
    shape = tf.image.extract_jpeg_shape(contents)
    contents = after([check_size(shape[0], shape[1])], contents)
    return tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE"), exif.of_jpeg(contents)
