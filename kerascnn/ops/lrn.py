"""Local response normalization across channels, as in AlexNet."""

import math

import numpy as np
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.ops import _native
from kerascnn.ops._windows import LIMIT, whole

_DTYPES = (tf.float16, tf.bfloat16, tf.float32, tf.float64)
_MAX_SHIFTS = 8  # radius up to which the plain form adds shifted slices; wider windows multiply by a band matrix


def check_arguments(depth_radius: int, bias: float, alpha: float, beta: float, alpha_convention: str) -> None:
    """Refuses constants for which the formula is not defined.

    Args:
        depth_radius, bias, alpha, beta, alpha_convention: see `local_response_normalization`.

    Raises:
        InputError: one of them breaks its rule.
    """
    radius = whole(depth_radius)
    if radius is None or not 0 <= radius < LIMIT:
        raise InputError(f"depth_radius must be a whole number, at least 0 and below 2^31. Received: {depth_radius!r}")
    for name, value in (("bias", bias), ("alpha", alpha), ("beta", beta)):
        if not isinstance(value, float | int | np.number) or not math.isfinite(value):
            raise InputError(f"{name} must be a finite number. Received: {value!r}")
    for name, value in (("bias", bias), ("beta", beta)):
        if value <= 0:
            raise InputError(f"{name} must be positive. Received: {value}")
    if alpha < 0:
        raise InputError(f"alpha must be at least 0. Received: {alpha}")
    if alpha_convention not in ("sum", "mean"):
        raise InputError(f'alpha_convention must be "sum" or "mean". Received: {alpha_convention!r}')


def local_response_normalization(
    x: tf.Tensor,
    depth_radius: int = 2,
    bias: float = 2.0,
    alpha: float = 1e-4,
    beta: float = 0.75,
    alpha_convention: str = "sum",
) -> tf.Tensor:
    """Divides each value by a power of the energy of its neighbors in channel.

    y[..., i] = x[..., i] / (bias + alpha · Σ x[..., j]²)^beta over |j - i| <= depth_radius, channels beyond the ends
    counting as zero. The defaults are AlexNet's. Differentiable any number of times; the first derivative is native.

    Which implementation runs: this package's kernel, on a CPU and, in builds with CUDA, on a GPU; plain TensorFlow
    (`reference`) where the library is absent, switched off or cannot run on the GPU, and under XLA.
    `tf.nn.local_response_normalization` is never used: it is slower, backwards by far (results/ops/ops.txt).

    Args:
        x: [..., channels], at least two dimensions; float32, float64, bfloat16 or float16 (computed in float32).
        depth_radius: channels on each side that belong to the window.
        bias: positive constant under the power ("k" in the paper).
        alpha: weight of the energy, at least 0.
        beta: the power, positive; 0.75, 0.5 and 1 are fastest.
        alpha_convention: "sum" as written above (AlexNet's paper, TensorFlow); "mean" divides alpha by the nominal
            window 2 · depth_radius + 1 (Caffe, PyTorch, cuDNN, ONNX).

    Returns:
        A tensor of the shape and dtype of `x`.

    Raises:
        InputError: an argument breaks these rules; or native ops are required and absent.

    Source: Krizhevsky, Sutskever, Hinton, ImageNet classification with deep convolutional neural networks, NIPS 2012,
    section 3.3.
    """
    x = tf.convert_to_tensor(x)
    check_arguments(depth_radius, bias, alpha, beta, alpha_convention)
    if x.dtype not in _DTYPES:
        raise InputError(f"x must be float32, float64, bfloat16 or float16. Received: {x.dtype.name}")
    if x.shape.rank is not None and x.shape.rank < 2:
        raise InputError(f"x must have at least 2 dimensions, channels last. Received: shape {x.shape}")
    if not _native.usable(gpu=True):
        return reference(x, depth_radius, bias, alpha, beta, alpha_convention)
    if alpha_convention == "mean":
        alpha = alpha / (2 * depth_radius + 1)
    return _native.library().kerascnn_local_response_normalization(
        x=x, depth_radius=int(depth_radius), constants=_pairs(bias, alpha, beta)
    )


def reference(x, depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75, alpha_convention="sum") -> tf.Tensor:
    """The same in plain TensorFlow: what exported models hold and what the native kernel is compared with.

    Takes and returns what `local_response_normalization` does.
    """
    if alpha_convention == "mean":
        alpha = alpha / (2 * depth_radius + 1)

    # TensorFlow's own derivative of the shifted slices is many times slower than the formula.
    @tf.custom_gradient
    def normalize(x):
        wide = _widen(x)
        scale = bias + alpha * _window_sum(wide * wide, depth_radius)
        y = tf.cast(wide * _power(scale, beta), x.dtype)
        return y, lambda dy: _reference_gradient(x, dy, depth_radius, bias, alpha, beta)

    return normalize(x)


def _reference_gradient(x, dy, depth_radius: int, bias: float, alpha: float, beta: float):
    """The gradient in plain TensorFlow, so that it can be differentiated once more."""
    wide, dy = _widen(x), _widen(dy)
    scale = bias + alpha * _window_sum(wide * wide, depth_radius)
    direct = dy * _power(scale, beta)
    indirect = wide * _window_sum(direct * wide / scale, depth_radius)
    return tf.cast(direct - 2 * alpha * beta * indirect, x.dtype)


def _widen(x):
    return tf.cast(x, tf.float32) if x.dtype in (tf.float16, tf.bfloat16) else x


def _power(scale, beta: float):
    """scale^-beta; roots are several times faster than a power, and just as exact."""
    if beta == 0.75:
        root = tf.math.rsqrt(scale)
        return root * tf.sqrt(root)
    if beta == 0.5:
        return tf.math.rsqrt(scale)
    if beta == 1:
        return 1 / scale
    return tf.exp(-beta * tf.math.log(scale))


def _window_sum(x, radius: int):
    """Sum over the last axis' window of 2 · radius + 1, zeros beyond the ends."""
    channels = x.shape[-1] if x.shape.rank is not None else None
    if channels is not None:
        radius = min(radius, max(channels - 1, 0))
    if radius == 0:
        return x
    count = tf.shape(x)[-1] if channels is None else channels
    if radius > _MAX_SHIFTS:
        index = tf.range(count)
        near = tf.abs(index[:, None] - index) <= radius
        flat = tf.reshape(x, [-1, count]) @ tf.cast(near, x.dtype)
        return _native.shaped(tf.reshape(flat, tf.shape(x)), x.shape)
    rank = tf.rank(x) if x.shape.rank is None else x.shape.rank
    ends = tf.concat([tf.zeros([rank - 1, 2], tf.int32), [[radius, radius]]], axis=0)
    padded = tf.pad(x, ends)
    total = tf.add_n([padded[..., shift : shift + count] for shift in range(2 * radius + 1)])
    return _native.shaped(total, x.shape)


def _pairs(*values: float) -> list[float]:
    """Each number as two single-precision ones that add up to it: attributes of ops have no double."""
    pairs = []
    for value in values:
        high = np.float32(value)
        pairs += [float(high), float(np.float32(value - float(high)))]
    return pairs


@tf.RegisterGradient("Kerascnn>LocalResponseNormalization")
def _gradient(op, dy):
    # The forward op exists, so the library is loaded whatever the mode is by now.
    return _native.loaded().kerascnn_local_response_normalization_gradient(
        x=op.inputs[0], dy=dy, depth_radius=op.get_attr("depth_radius"), constants=op.get_attr("constants")
    )


@tf.RegisterGradient("Kerascnn>LocalResponseNormalizationGradient")
def _second_gradient(op, ddx):
    x, dy = op.inputs
    pairs = op.get_attr("constants")
    bias, alpha, beta = (pairs[i] + pairs[i + 1] for i in (0, 2, 4))
    with tf.GradientTape() as tape:
        tape.watch((x, dy))
        dx = _reference_gradient(x, dy, op.get_attr("depth_radius"), bias, alpha, beta)
    return tape.gradient(dx, (x, dy), output_gradients=ddx)
