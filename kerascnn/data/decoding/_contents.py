"""Reading numbers out of an encoded file in a graph, and the limit on pixels."""

from collections.abc import Callable

import tensorflow as tf

# As Pillow's, which refuses what would take more: 512 MiB for the pixels of an RGB image.
MAX_PIXELS = 178_956_970
TOO_LARGE = f"An image must have at most {MAX_PIXELS:,} pixels"
# Says what in a file cannot be decoded; `reason` finds it in the text of an error.
REASONS = [TOO_LARGE]


def reason(text: str) -> str | None:
    """What is wrong with an image by the text of the error of its decoding; None: it is damaged, or no image."""
    return next((known for known in REASONS if known in text), None)


def cut(contents: tf.Tensor, start: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """At most `count` bytes from `start`, a scalar string; empty behind the end."""
    length = tf.strings.length(contents)
    start = tf.minimum(tf.cast(start, tf.int32), length)
    return tf.strings.substr(contents, start, tf.cast(count, tf.int32))


def head(contents: tf.Tensor, count: int) -> tf.Tensor:
    """The first `count` bytes as int64 [count], those behind the end as zeros."""
    padded = tf.strings.join([tf.strings.substr(contents, 0, count), tf.constant(bytes(count))])
    return tf.cast(tf.io.decode_raw(tf.strings.substr(padded, 0, count), tf.uint8), tf.int64)


def unsigned(contents: tf.Tensor, start: tf.Tensor, count: int, *, big: bool = False) -> tf.Tensor:
    """`count` bytes from `start` as an int64, those behind the end as zeros.

    Args:
        contents: the file, a scalar string.
        start: position of the first byte.
        count: 1 to 4.
        big: the first byte is the most significant one.
    """
    return number(head(cut(contents, start, count), count), 0, count, big=big)


def number(values: tf.Tensor, start: int, count: int, *, big: bool = False) -> tf.Tensor:
    """`count` bytes from `start` of bytes [..., n] as an int64 [...]."""
    powers = [256**place for place in range(count)]
    weights = tf.constant(powers[::-1] if big else powers, tf.int64)
    return tf.reduce_sum(values[..., start : start + count] * weights, axis=-1)


def holds(contents: tf.Tensor, text: bytes) -> tuple[tf.Tensor, Callable[[], tf.Tensor]]:
    """Whether a file holds some bytes, and a function that gives what follows them."""
    parts = tf.raw_ops.StringSplitV2(input=contents[None], sep=text, maxsplit=1).values
    return tf.size(parts) > 1, lambda: parts[1]


def to_bytes(values: tf.Tensor) -> tf.Tensor:
    """Numbers from 0 to 255 [n] as a scalar string."""
    single = tf.constant([bytes([value]) for value in range(256)])
    return tf.strings.reduce_join(tf.gather(single, tf.cast(values, tf.int32)))


def check(condition: tf.Tensor, message: str):
    """An op (None when eager) that fails with the message where the condition does not hold."""
    return tf.debugging.Assert(condition, [message])


def check_size(height: tf.Tensor, width: tf.Tensor):
    """Refuses images of too many pixels, before they are decoded."""
    pixels = tf.cast(height, tf.int64) * tf.cast(width, tf.int64)
    return check(pixels <= MAX_PIXELS, TOO_LARGE)


def after(checks: list, contents: tf.Tensor) -> tf.Tensor:
    """The contents, once the checks have passed."""
    with tf.control_dependencies([op for op in checks if op is not None]):
        return tf.identity(contents)
