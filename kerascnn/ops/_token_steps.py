"""The instructions of inference programs for tokens, in plain TensorFlow; tokens are pixels of maps of any width."""

from typing import Any

import tensorflow as tf

# How the numbers of a window lie as channels: their axes of [.., rows, columns, channels].
ORDERS = {"rows": (0, 1, 2), "columns": (1, 0, 2), "channels": (2, 0, 1)}
_APART = -100.0  # added to the scores of pixels that only the roll made neighbors


def norm(step: Any, x: tf.Tensor, constants: list[tf.Tensor]) -> tf.Tensor:
    """Each pixel's channels with mean 0 and variance 1, times `scale`, plus `shift`."""
    mean, variance = tf.nn.moments(x, -1, keepdims=True)
    x = (x - mean) * tf.math.rsqrt(variance + step.number)
    x = x if step.scale < 0 else x * constants[step.scale]
    return x if step.shift < 0 else x + constants[step.shift]


def attention(step: Any, x: tf.Tensor, constants: list[tf.Tensor]) -> tf.Tensor:
    """[b, h, w, 3 d] -> [b, h, w, d]: in the whole map, or in windows of a map that is rolled and rolled back."""
    depth, sizes = x.shape[-1] // 3, [tf.shape(x)[1], tf.shape(x)[2]]
    rolls = [tf.where(size > step.side, step.roll, 0) for size in sizes]
    x = _sequences(tf.roll(x, [-roll for roll in rolls], (1, 2)), step.side)
    x = tf.reshape(x, (*_sizes(x), 3, step.heads, depth // step.heads))
    query, key, value = tf.unstack(x, axis=3)
    scores = tf.einsum("bnthd,bnshd->bnhts", query, key) * step.number
    if step.bias >= 0:
        scores += constants[step.bias]
    if step.roll:
        region = _sequences(_regions(sizes, rolls), step.side)  # [1, n, t, 1]
        apart = region != tf.transpose(region, (0, 1, 3, 2))
        scores += tf.where(apart, _APART, 0.0)[:, :, None]
    y = tf.einsum("bnhts,bnshd->bnthd", tf.nn.softmax(scores), value)
    y = _map(tf.reshape(y, (*_sizes(y), depth)), sizes, step.side)
    return tf.roll(y, rolls, (1, 2))


def _sizes(x: tf.Tensor) -> list[Any]:
    """The first three, known or not."""
    found = tf.shape(x)
    return [found[i] if size is None else size for i, size in enumerate(x.shape[:3])]


def _sequences(x: tf.Tensor, side: int) -> tf.Tensor:
    """[b, h, w, c] -> [b, n, t, c]: windows, row by row; or all pixels as one sequence."""
    batch, height, width = _sizes(x)
    if not side:
        return tf.reshape(x, (batch, 1, height * width, x.shape[3]))
    x = tf.reshape(x, (batch, height // side, side, width // side, side, x.shape[3]))
    return tf.reshape(tf.transpose(x, (0, 1, 3, 2, 4, 5)), (batch, -1, side * side, x.shape[5]))


def _map(x: tf.Tensor, sizes: list[tf.Tensor], side: int) -> tf.Tensor:
    """What `_sequences` undoes."""
    height, width = sizes
    if side:
        x = tf.reshape(x, (-1, height // side, width // side, side, side, x.shape[3]))
        x = tf.transpose(x, (0, 1, 3, 2, 4, 5))
    return tf.reshape(x, (-1, height, width, x.shape[-1]))


def _regions(sizes: list[tf.Tensor], rolls: list[tf.Tensor]) -> tf.Tensor:
    """[1, h, w, 1] for the rolled map: numbers that are equal within a window where no roll came between."""
    down, across = (tf.cast(tf.range(size) >= size - roll, tf.float32) for size, roll in zip(sizes, rolls, strict=True))
    return (2 * down[:, None] + across[None, :])[None, :, :, None]


def crop(step: Any, x: tf.Tensor) -> tf.Tensor:
    """Without some rows, columns and channels at their ends."""
    slices = [slice(None)]
    slices += [slice(before, -after if after else None) for before, after in step.cut]
    return x[tuple(slices)]


def stack(step: Any, parts: list[tf.Tensor], constants: list[tf.Tensor]) -> tf.Tensor:
    """Rows of the token, then those of the parts; plus the positions."""
    shape = parts[0].shape
    if step.token >= 0:
        token = tf.reshape(constants[step.token], (1, -1, shape[2], shape[3]))
        parts = [tf.repeat(token, tf.shape(parts[0])[0], axis=0), *parts]
    x = tf.concat(parts, axis=1)
    if step.position < 0:
        return x
    return x + tf.reshape(constants[step.position], (-1, shape[2], shape[3]))


def transpose(step: Any, x: tf.Tensor, values: list[tf.Tensor]) -> tf.Tensor:
    """[b, h, w, c] -> [b, c, 1, h * w], plus a residual."""
    x = tf.transpose(tf.reshape(x, (-1, x.shape[1] * x.shape[2], x.shape[3])), (0, 2, 1))[:, :, None]
    return x if step.residual < 0 else x + values[step.residual]


def patches(step: Any, x: tf.Tensor) -> tf.Tensor:
    """The pixels of each window as channels, in the order that `step.order` names; zeros are the padding."""
    channels, same = x.shape[3], step.padding == ((-1, -1), (-1, -1))
    if not same:
        x = tf.pad(x, ((0, 0), *step.padding, (0, 0)))
    sizes, strides = (1, *step.window, 1), (1, *step.strides, 1)
    y = tf.image.extract_patches(x, sizes, strides, (1, 1, 1, 1), "SAME" if same else "VALID")
    y = tf.reshape(y, (*_sizes(y), *step.window, channels))
    y = tf.transpose(y, (0, 1, 2, *(3 + axis for axis in ORDERS[step.order])))
    return tf.reshape(y, (*_sizes(y), step.window[0] * step.window[1] * channels))
