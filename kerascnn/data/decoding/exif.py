"""The orientation that a camera writes beside the pixels (EXIF 2.3, tag 0x0112), found and applied.

A phone stores its pictures as the sensor lies and says how to turn them; programs show them turned. Here every picture
is turned when it is decoded, so that it means the same in training, prediction and serving.
"""

import tensorflow as tf

from kerascnn.data.decoding._contents import cut, holds, number, unsigned

_TAG, _LONG = 0x0112, 4
_SEGMENTS = 100  # of a JPEG that are looked at
_LITTLE, _BIG = b"II*\0", b"MM\0*"
_START = b"Exif\0\0"
_IMAGE = b"\xff\xd8\xff"  # begins a JPEG, and a thumbnail within one
_PIXELS = b"\xff\xda\0\x0c\x03"  # the header of a scan of three colors: marker, 12 bytes, 3 components


def orientation(block: tf.Tensor) -> tf.Tensor:
    """Reads the tag out of an EXIF block.

    Args:
        block: what follows "Exif\\0\\0": a TIFF header and its first directory; a scalar string, perhaps empty.

    Returns:
        int64 from 1 to 8; 1, as it is stored, where there is no tag or none that makes sense.
    """
    start = tf.strings.substr(block, 0, 4)
    is_little, is_big = start == _LITTLE, start == _BIG

    def read(big):
        offset = unsigned(block, 4, 4, big=big)
        found = tf.cast(tf.io.decode_raw(cut(block, tf.minimum(offset + 2, 2**20), 12 * 1000), tf.uint8), tf.int64)
        count = unsigned(block, tf.minimum(offset, 2**20), 2, big=big)
        count = tf.minimum(tf.cast(tf.size(found) // 12, tf.int64), count)
        entries = tf.reshape(found[: 12 * count], [-1, 12])
        tag, kind = number(entries, 0, 2, big=big), number(entries, 2, 2, big=big)
        value = tf.where(kind == _LONG, number(entries, 8, 4, big=big), number(entries, 8, 2, big=big))
        return tf.reduce_max(tf.where(tag == _TAG, value, 0))

    none = tf.constant(1, tf.int64)
    value = tf.cond(is_little, lambda: read(False), lambda: tf.cond(is_big, lambda: read(True), lambda: none))
    return tf.where((value >= 1) & (value <= 8), value, none)


def turn(image: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """Turns an image [height, width, channels] as the tag says: 6 is a quarter to the right, 2 mirrored, and so on."""

    def turned():
        upright = tf.cond(value >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
        left_right = tf.reduce_any(value == tf.constant([2, 3, 6, 7], tf.int64))
        up_down = tf.reduce_any(value == tf.constant([3, 4, 7, 8], tf.int64))
        mirrored = tf.cond(left_right, lambda: upright[:, ::-1], lambda: upright)
        return tf.cond(up_down, lambda: mirrored[::-1], lambda: mirrored)

    return tf.cond(value > 1, turned, lambda: image)


def turn_by(image: tf.Tensor, block: tf.Tensor) -> tf.Tensor:
    """Turns an image as its EXIF block says; the block may begin with its name, or be empty."""

    def turned():
        rest = tf.cond(tf.strings.substr(block, 0, 6) == _START, lambda: cut(block, 6, 2**16), lambda: block)
        return turn(image, orientation(rest))

    return tf.cond(tf.strings.length(block) > 0, turned, lambda: image)


def of_jpeg(contents: tf.Tensor) -> tf.Tensor:
    """The EXIF block of a JPEG: in its first segment APP1 that holds one, before the pixels; empty without one."""

    def walk():
        def more(position, block, count):
            marker = unsigned(contents, position, 2, big=True)
            return (count < _SEGMENTS) & (block == b"") & (marker >= 0xFFC0) & (marker != 0xFFDA) & (marker != 0xFFD9)

        def step(position, block, count):
            marker, length = (unsigned(contents, position + skip, 2, big=True) for skip in (0, 2))
            found = (marker == 0xFFE1) & (cut(contents, position + 4, 6) == _START)
            block = tf.where(found, cut(contents, position + 10, tf.maximum(length - 8, 0)), block)
            # 0xFFFF: a byte that fills up; 0xFFD0 to D7: markers without a length.
            alone = (marker >= 0xFFD0) & (marker <= 0xFFD7)
            jump = tf.where(alone, tf.constant(2, tf.int64), 2 + length)
            jump = tf.where(marker == 0xFFFF, tf.constant(1, tf.int64), jump)
            return position + jump, block, count + 1

        return tf.while_loop(more, step, [tf.constant(2, tf.int64), tf.constant(b""), tf.constant(0)])[1]

    return tf.cond(holds(_header(contents), _START)[0], walk, lambda: tf.constant(b""))


def _header(contents):
    """A JPEG without its pixels where these are found at once, else all of it.

    Searching a whole file takes a tenth of the time of decoding it. The bytes that begin the pixels of a color image
    also stand in the thumbnail of a segment, which, however, has a beginning of its own before them.
    """
    parts = tf.raw_ops.StringSplitV2(input=contents[None], sep=_PIXELS, maxsplit=1).values
    images = tf.raw_ops.StringSplitV2(input=parts[:1], sep=_IMAGE, maxsplit=2).values
    sure = (tf.size(parts) == 2) & (tf.size(images) == 2)
    return tf.cond(sure, lambda: parts[0], lambda: contents)


def of_chunk(contents: tf.Tensor, name: bytes, skip: int) -> tf.Tensor:
    """The EXIF block of a PNG or WebP file; empty without one.

    Args:
        contents: the file.
        name: of the chunk: b"eXIf" in PNG, b"EXIF" in WebP.
        skip: bytes between the name and the block: in WebP the four of the size stand there.
    """
    there, rest = holds(contents, name)

    return tf.cond(there, lambda: cut(rest(), skip, 2**16), lambda: tf.constant(b""))
