"""GIF: the first image. TensorFlow decodes all images of an animation at once, so that the file is cut off before."""

import tensorflow as tf

from kerascnn.data.decoding._contents import after, check, check_size, head, number

FIRST = 0x47  # byte of a file
_BLOCK, _EXTENSION, _IMAGE, _END = range(4)  # what is being read


def decode(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A GIF file (a scalar string) as uint8 [height, width, 3]; what the first image does not cover is black."""
    start = head(contents, 10)
    checks = [check_size(number(start, 8, 2), number(start, 6, 2))]
    end, height, width = _first_image(contents)
    checks += [check_size(height, width), check(end > 0, "The GIF file has no whole image")]
    one = tf.strings.join([tf.strings.substr(contents, 0, tf.maximum(end, 0)), tf.constant(b";")])
    return tf.io.decode_gif(after(checks, one))[0], tf.constant(b"")


def _table(flags):
    """Bytes of a table of colors."""
    return tf.where(flags >= 128, 3 * 2 ** (flags % 8 + 1), 0)


def _first_image(contents):
    """Where the first image ends (0: nowhere), its height and width; a walk over blocks of up to 255 bytes."""
    file = tf.cast(tf.io.decode_raw(contents, tf.uint8), tf.int32)
    size = tf.size(file)
    file = tf.pad(file, [[0, 16]])

    def more(position, state, height, width):
        return (position < size) & (state != _END)

    def step(position, state, height, width):
        byte = file[position]
        between = state == _BLOCK
        image, extension = between & (byte == 0x2C), between & (byte == 0x21)
        found = file[position : position + 10]
        height = tf.where(image, found[7] + 256 * found[8], height)
        width = tf.where(image, found[5] + 256 * found[6], width)
        # 10 bytes of the image, its table, one byte of its coding; or 2 bytes of an extension; or a block of data.
        inside = 1 + byte
        jump = tf.where(image, 11 + _table(found[9]), tf.where(extension, 2, inside))
        last = ~between & (byte == 0)
        ended = tf.where(state == _IMAGE, _END, _BLOCK)
        begun = tf.where(image, _IMAGE, tf.where(extension, _EXTENSION, _END))
        position = tf.where(between & ~image & ~extension, size + 1, position + jump)  # a trailer, or no GIF
        return position, tf.where(between, begun, tf.where(last, ended, state)), height, width

    zero = tf.constant(0)
    start = 13 + _table(file[10])
    position, state, height, width = tf.while_loop(more, step, [start, zero, zero, zero])
    return tf.where((state == _END) & (position <= size), position, 0), height, width
