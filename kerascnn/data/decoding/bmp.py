"""BMP (Microsoft's, from Windows 3 on): 1, 4 and 8 bits with a palette, 24 and 32 bits; no compression.

TensorFlow's own decoder takes the numbers of a palette for gray levels, so the pixels are unpacked here.
"""

import tensorflow as tf

from kerascnn.data.decoding._contents import REASONS, after, check, check_size, cut, head, number

FIRST = 0x42  # byte of a file
UNKNOWN = "A BMP must be uncompressed, of 1, 4, 8, 24 or 32 bits a pixel"
REASONS.append(UNKNOWN)
_CUT = "The BMP file is cut short"
_HEADER = 54  # bytes before a palette or pixels, at least
_BITS = (1, 4, 8, 24, 32)
_FIELDS = 3  # "compression" by bit fields, of which the usual order of the colors is taken


def decode(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A BMP file (a scalar string) as uint8 [height, width, 3]; transparency is dropped."""
    there = tf.strings.length(contents) >= _HEADER  # asked first: of several errors TensorFlow reports any
    contents = after([check(there, _CUT)], contents)
    start = head(contents, 66)
    offset, header, width, height = (number(start, place, 4) for place in (10, 14, 18, 22))
    bits, compression, colors = number(start, 28, 2), number(start, 30, 4), number(start, 46, 4)
    upwards = height < 2**31  # else the height is negative: the first row is the top one
    height = tf.where(upwards, height, 2**32 - height)
    usual = tf.reduce_all([number(start, 54 + 4 * i, 4) == 0xFF0000 >> 8 * i for i in range(3)])
    known = (number(start, 0, 2) == 0x4D42) & (header >= 40) & tf.reduce_any(bits == tf.constant(_BITS, tf.int64))
    known &= (compression == 0) | ((compression == _FIELDS) & (bits == 32) & usual)
    stride = (width * bits + 31) // 32 * 4
    contents = after([check(known, UNKNOWN), check_size(height, width)], contents)
    whole = tf.cast(tf.strings.length(contents), tf.int64) >= offset + height * stride
    contents = after([check(whole & (height > 0) & (width > 0), _CUT)], contents)
    rows = tf.reshape(tf.io.decode_raw(cut(contents, offset, height * stride), tf.uint8), [height, stride])

    def direct():
        pixels = tf.reshape(rows[:, : width * bits // 8], [height, width, bits // 8])
        return pixels[..., :3][..., ::-1]

    def palette():
        in_byte = 8 // bits
        shifts = tf.cast(8 - bits * (1 + tf.range(in_byte)), tf.uint8)
        numbers = tf.bitwise.right_shift(rows[..., None], shifts) & tf.cast(2**bits - 1, tf.uint8)
        numbers = tf.reshape(numbers, [height, stride * in_byte])[:, :width]
        count = tf.minimum(tf.where(colors == 0, 2**bits, colors), 256)
        table = tf.reshape(tf.io.decode_raw(cut(contents, 14 + header, 4 * count), tf.uint8), [-1, 4])[:, 2::-1]
        table = tf.pad(table, [[0, 256 - tf.shape(table)[0]], [0, 0]])  # black, as for Pillow
        return tf.gather(table, tf.cast(numbers, tf.int32))

    image = tf.cond(bits >= 24, direct, palette)
    return tf.where(upwards, image[::-1], image), tf.constant(b"")
