"""Decoding by what a file begins with, whatever it is called."""

import functools
from collections.abc import Callable, Sequence

import tensorflow as tf

from kerascnn.data.decoding import bmp, exif, gif, jpeg, png, webp
from kerascnn.data.decoding._contents import head

_FORMATS = (jpeg, png, gif, bmp, webp)
NAMES = "JPEG, PNG, GIF, BMP or WebP"
# Endings of the files that are taken for images in a folder.
ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".webp")


def decode(contents: tf.Tensor) -> tf.Tensor:
    """Decodes a file of any of the formats.

    Args:
        contents: the encoded file, a scalar string tensor.

    Returns:
        uint8 [height, width, 3], turned as its EXIF orientation says.

    Raises:
        tf.errors.InvalidArgumentError: none of these formats, damaged, or too large.
    """
    return _traced()(contents)


def decode_window(contents: tf.Tensor, choose: Callable[[tf.Tensor, tf.Tensor], Sequence[tf.Tensor]]) -> tf.Tensor:
    """Decodes a part of a file; of a JPEG little more than that part is decoded.

    Args:
        contents: the encoded file, a scalar string tensor.
        choose: a function of the height and width of the upright image that gives the part: top, left, height, width,
            int32. It is called twice, and has to give the same each time.

    Returns:
        uint8 [height, width, 3], the same as that part of what `decode` gives.

    Raises:
        tf.errors.InvalidArgumentError: as for `decode`.
    """

    # Kept a function: inlined, the decoders that are not used would cost their many nodes for every image.
    @tf.function(autograph=False, experimental_attributes={"_noinline": True})
    def whole():
        image = decode(contents)
        top, left, height, width = choose(tf.shape(image)[0], tf.shape(image)[1])
        return image[top : top + height, left : left + width]

    # A JPEG that is to be turned, or does not end as one, is decoded as a whole.
    windows = tf.cond(head(contents, 1)[0] == jpeg.FIRST, lambda: jpeg.has_windows(contents), lambda: False)
    window = tf.cond(windows, lambda: jpeg.decode_window(contents, choose), whole)
    return tf.ensure_shape(window, [None, None, 3])


@functools.cache
def _traced():
    """One function for all graphs: tracing the decoders takes a second. They are written in graph ops already."""
    return tf.function(_decode, input_signature=[tf.TensorSpec([], tf.string)], autograph=False)


def _decode(contents):
    # The first byte tells the formats apart; their decoders look closer. The last is for files of no format.
    alike = tf.constant([kind.FIRST for kind in _FORMATS], tf.int64) == head(contents, 1)
    index = tf.argmax(tf.concat([alike, [True]], axis=0), output_type=tf.int32)
    branches = [lambda kind=kind: kind.decode(contents) for kind in _FORMATS]
    image, block = tf.switch_case(index, [*branches, lambda: png.decode(contents)])
    return tf.ensure_shape(exif.turn_by(image, block), [None, None, 3])
