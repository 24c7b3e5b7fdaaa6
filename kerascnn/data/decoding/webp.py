"""WebP, lossy and lossless; of an animation the first image.

TensorFlow's decoder wants to know beforehand whether there is transparency, and damages its memory on some animations.
So the chunk with the first image is taken out, without what stands beside it, and decoded alone.
"""

import tensorflow as tf

from kerascnn.data.decoding import exif
from kerascnn.data.decoding._contents import REASONS, after, check, check_size, cut, to_bytes, unsigned

FIRST = 0x52  # byte of a file
PARTIAL = "The first image of an animated WebP must be as large as the animation"
REASONS.append(PARTIAL)
_CHUNKS = 100  # that are looked at
_EXTENDED = b"VP8X"


def decode(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A WebP file (a scalar string) as uint8 [height, width, 3]; transparency is dropped."""
    start, covers = _first_image(contents)
    lossless = cut(contents, start, 4) == b"VP8L"
    size = unsigned(contents, start + 4, 4)
    packed = unsigned(contents, start + 9, 4)  # width - 1 and height - 1, 14 bits each
    width, height = (
        tf.where(lossless, packed // 2**shift % 2**14 + 1, unsigned(contents, start + place, 2) % 2**14)
        for shift, place in ((0, 14), (14, 16))
    )
    is_webp = (cut(contents, 0, 4) == b"RIFF") & (cut(contents, 8, 4) == b"WEBP")
    checks = [check(is_webp & (start > 0), "The file is no WebP"), check(covers, PARTIAL), check_size(height, width)]
    chunk = cut(contents, start, tf.minimum(8 + size + size % 2, 2**31 - 1))
    length = tf.cast(tf.strings.length(chunk), tf.int64) + 4
    written = to_bytes(tf.stack([length // 256**place % 256 for place in range(4)]))
    alone = after(checks, tf.strings.join([b"RIFF", written, b"WEBP", chunk]))
    image = tf.io.decode_image(alone, channels=0, expand_animations=False)
    image = tf.ensure_shape(image, [None, None, None])[..., :3]
    tagged = (cut(contents, 12, 4) == _EXTENDED) & (unsigned(contents, 20, 1) // 8 % 2 == 1)
    return image, tf.where(tagged, exif.of_chunk(contents, b"EXIF", 4), b"")


def _first_image(contents):
    """Where the chunk with the first image begins (0: nowhere), and whether it covers the whole picture."""

    def more(position, covers, count):
        name = cut(contents, position, 4)
        return (count < _CHUNKS) & (name != b"VP8 ") & (name != b"VP8L") & (tf.strings.length(name) == 4)

    def step(position, covers, count):
        size = unsigned(contents, position + 4, 4)
        frame = cut(contents, position, 4) == b"ANMF"
        whole = (cut(contents, position + 8, 6) == b"\0" * 6) & (
            cut(contents, position + 14, 6) == cut(contents, 24, 6)
        )
        jump = tf.where(frame, tf.constant(24, tf.int64), 8 + size + size % 2)
        return position + jump, covers & (whole | ~frame), count + 1

    begin = [tf.constant(12, tf.int64), tf.constant(True), tf.constant(0)]
    position, covers, _ = tf.while_loop(more, step, begin)
    name = cut(contents, position, 4)
    return tf.where((name == b"VP8 ") | (name == b"VP8L"), position, 0), covers
