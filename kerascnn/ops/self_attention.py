"""Attention among the tokens of an image, forward and backward in one op each."""

import math
import numbers

import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.ops import _native
from kerascnn.ops._windows import check_count

_SIZE = 256  # features of a head that the kernel takes


def self_attention(x: tf.Tensor, heads: int, scale: float | None = None) -> tf.Tensor:
    """Scaled dot-product attention: each token reads the values of all, by how its query fits their keys.

    For each head y = softmax(scale · query keyᵀ) value. TensorFlow keeps the probabilities, tokens² numbers a head,
    from forward to backward, and copies of queries, keys and values; here only `x` is kept, and the probabilities are
    computed again, a head at a time in the caches. Gradients are the same for every number of threads. Differentiable
    any number of times.

    Which implementation runs: this package's kernel for float32 and heads of at most 256 features on a CPU; plain
    TensorFlow (`reference`) for other types, on a GPU, under XLA, in exports, and where the library is absent or
    switched off.

    Args:
        x: [batch, tokens, 3 d], a float tensor: queries, keys and values side by side, each [head, d / heads].
        heads: number of heads, which divides d.
        scale: of the scores; None: 1 / sqrt(d / heads).

    Returns:
        [batch, tokens, d], dtype of `x`; the softmax of 16-bit types is computed in float32.

    Raises:
        InputError: an argument breaks these rules; or native ops are required and absent.

    Source: Vaswani et al., Attention is all you need, 2017, arXiv:1706.03762, section 3.2.1.
    """
    x = tf.convert_to_tensor(x)
    check_count(heads, "heads")
    if not x.dtype.is_floating or x.shape.rank != 3 or x.shape[2] is None or x.shape[2] % (3 * heads):
        raise InputError(
            f"`x` must be a float tensor [batch, tokens, 3 d], d known and a multiple of {heads} heads. "
            f"Received: {x.dtype.name}, shape {x.shape}"
        )
    size = x.shape[2] // 3 // heads
    if scale is None:
        scale = 1 / math.sqrt(max(size, 1))
    if not isinstance(scale, numbers.Real) or not math.isfinite(scale):
        raise InputError(f"`scale` must be a finite number. Received: {scale!r}")
    if x.dtype == tf.float32 and size <= _SIZE and _native.usable():
        return _native.library().kerascnn_self_attention(x=x, heads=heads, scale=float(scale))
    return reference(x, heads, scale)


def reference(x: tf.Tensor, heads: int, scale: float) -> tf.Tensor:
    """The same in plain TensorFlow: what exported models hold and what the native kernel is compared with.

    Takes and returns what `self_attention` does.
    """
    tokens = tf.shape(x)[1] if x.shape[1] is None else x.shape[1]
    size = x.shape[2] // 3 // heads
    query, key, value = tf.unstack(tf.reshape(x, (-1, tokens, 3, heads, size)), axis=2)
    scores = tf.einsum("bihc,bjhc->bhij", query, key) * tf.cast(scale, x.dtype)
    wide = scores if x.dtype == tf.float64 else tf.cast(scores, tf.float32)
    shares = tf.cast(tf.nn.softmax(wide), x.dtype)
    return tf.reshape(tf.einsum("bhij,bjhc->bihc", shares, value), (-1, tokens, heads * size))


@tf.RegisterGradient("Kerascnn>SelfAttention")
def _gradient(op, dy):
    # The forward op exists, so the library is loaded whatever the mode is by now.
    attributes = {"heads": op.get_attr("heads"), "scale": op.get_attr("scale")}
    return _native.loaded().kerascnn_self_attention_gradient(x=op.inputs[0], dy=dy, **attributes)


@tf.RegisterGradient("Kerascnn>SelfAttentionGradient")
def _second_gradient(op, ddx):
    x, dy = op.inputs
    with tf.GradientTape() as outer:
        outer.watch((x, dy))
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = reference(x, op.get_attr("heads"), op.get_attr("scale"))
        dx = tape.gradient(y, x, output_gradients=dy)
    return outer.gradient(dx, (x, dy), output_gradients=ddx)
