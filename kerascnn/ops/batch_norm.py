"""Batch normalisation by the statistics of the batch itself, as in training."""

import math

import numpy as np
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.ops import _native

_DTYPES = (tf.float16, tf.bfloat16, tf.float32, tf.float64)


def batch_normalization(
    x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor, epsilon: float = 1e-3
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Normalises every channel by its mean and variance over the batch, then scales and shifts it.

    y[..., c] = (x[..., c] - mean[c]) · scale[c] / sqrt(variance[c] + epsilon) + offset[c]. `y` is differentiable any
    number of times with respect to `x`, `scale` and `offset`; the first derivative is native. Where a ReLU alone reads
    `y` in a graph, its derivative is computed in the same pass. No gradient flows through `mean` and `variance` as
    outputs: they are for moving averages.

    Which implementation runs: this package's kernel on a CPU; where the library is absent or switched off,
    TensorFlow's fused op for float32 [batch, height, width, channels] on a CPU; else, as under XLA and on machines with
    a GPU, plain TensorFlow (`reference`).

    Args:
        x: [..., channels], at least two dimensions; float32, float64, bfloat16 or float16 (computed in float32).
        scale: [channels], float64 for float64, else float32.
        offset: [channels], dtype of `scale`.
        epsilon: at least 0, added to the variance.

    Returns:
        (y, mean, variance): `y` of the shape and dtype of `x`; the statistics [channels] in the dtype of `scale`, the
        variance being that of the rows themselves (divided by their number). NaN statistics for an empty batch.

    Raises:
        InputError: an argument breaks these rules; or native ops are required and absent.

    Source: Ioffe, Szegedy, Batch normalization: accelerating deep network training by reducing internal covariate
    shift, 2015, arXiv:1502.03167.
    """
    x, scale, offset = (tf.convert_to_tensor(value) for value in (x, scale, offset))
    _check(x, scale, offset, epsilon)
    if not _native.usable():
        fused = x.dtype == tf.float32 and x.shape.rank == 4 and not _native.has_gpu() and not _native.tracing_for_xla()
        return _stock(x, scale, offset, epsilon) if fused else reference(x, scale, offset, epsilon)
    return tuple(_native.library().kerascnn_batch_norm(x=x, scale=scale, offset=offset, epsilon=_pair(epsilon)))


def _check(x, scale, offset, epsilon) -> None:
    if not isinstance(epsilon, float | int | np.number) or not math.isfinite(epsilon) or epsilon < 0:
        raise InputError(f"epsilon must be a finite number, at least 0. Received: {epsilon!r}")
    if x.dtype not in _DTYPES:
        raise InputError(f"x must be float32, float64, bfloat16 or float16. Received: {x.dtype.name}")
    if x.shape.rank is not None and x.shape.rank < 2:
        raise InputError(f"x must have at least 2 dimensions, channels last. Received: shape {x.shape}")
    channels = None if x.shape.rank is None else x.shape[-1]
    for name, value in (("scale", scale), ("offset", offset)):
        if value.dtype != _statistics(x.dtype):
            raise InputError(
                f"{name} must be {_statistics(x.dtype).name} for x in {x.dtype.name}. Received: {value.dtype.name}"
            )
        if not value.shape.is_compatible_with([channels]):
            raise InputError(
                f"{name} must be a vector with one number for each channel of x. "
                f"Received: {name} {value.shape}, x {x.shape}"
            )


def _statistics(dtype: tf.DType) -> tf.DType:
    """The dtype of everything that is per channel."""
    return tf.float64 if dtype == tf.float64 else tf.float32


def _pair(epsilon) -> list[float]:
    """Two single-precision numbers, which is what attributes hold, whose sum is `epsilon` in double precision."""
    return [float(np.float32(epsilon)), float(epsilon - float(np.float32(epsilon)))]


def _stock(x, scale, offset, epsilon):
    """TensorFlow's fused op, whose variance is that of the population that the rows are a sample of."""
    fused = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=scale, offset=offset, mean=tf.zeros([0]), variance=tf.zeros([0]), epsilon=epsilon, is_training=True
    )
    rows = tf.cast(tf.reduce_prod(tf.shape(x)[:-1]), tf.float32)
    variance = fused.batch_variance * (rows - 1) / rows
    return fused.y, tf.stop_gradient(fused.batch_mean), tf.stop_gradient(variance)


def reference(
    x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor, epsilon: float = 1e-3
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The same in plain TensorFlow: what the native kernel is compared with.

    Args:
        x, scale, offset, epsilon: see `batch_normalization`.

    Returns:
        As `batch_normalization`.
    """
    wide = tf.cast(x, _statistics(x.dtype))
    axes = tf.range(tf.rank(x) - 1) if x.shape.rank is None else list(range(x.shape.rank - 1))
    mean = tf.ensure_shape(tf.reduce_mean(wide, axes), scale.shape)
    deviation = wide - mean  # not tf.nn.moments, whose second derivative is wrong: its variance takes the mean as given
    variance = tf.ensure_shape(tf.reduce_mean(tf.square(deviation), axes), scale.shape)
    y = deviation * (scale * tf.math.rsqrt(variance + epsilon)) + offset
    return tf.cast(y, x.dtype), tf.stop_gradient(mean), tf.stop_gradient(variance)


# The forward op exists, so the library is loaded whatever the mode is by now.
@tf.RegisterGradient("Kerascnn>BatchNorm")
def _gradient(op, dy, _dmean, _dvariance):
    x, scale, offset = op.inputs
    y, mean, variance = op.outputs
    behind = _behind_relu(y, dy)
    return _native.loaded().kerascnn_batch_norm_gradient(
        x=x, scale=scale, offset=offset, mean=mean, variance=variance, dy=dy if behind is None else behind,
        epsilon=op.get_attr("epsilon"), relu=behind is not None,
    )  # fmt: skip


def _behind_relu(y, dy):
    """The gradient of relu(y) where `dy`, that of y, was just made from it; None elsewhere.

    The op that made `dy` is then read by nobody, and TensorFlow drops it.
    """
    if tf.executing_eagerly() or dy.op.type != "ReluGrad":
        return None
    gradient, relu = dy.op.inputs
    return gradient if relu.op.type == "Relu" and relu.op.inputs[0] is y else None


@tf.RegisterGradient("Kerascnn>BatchNormGradient")
def _gradient_of_gradient(op, *gradients):
    """By plain TensorFlow. The statistics are functions of x here, so nothing flows through them as inputs."""
    x, scale, offset, _, _, dy = op.inputs
    epsilon = sum(op.get_attr("epsilon"))
    with tf.GradientTape() as outer:
        outer.watch((x, scale, offset, dy))
        with tf.GradientTape() as inner:
            inner.watch((x, scale, offset))
            y = reference(x, scale, offset, epsilon)[0]
            y = tf.nn.relu(y) if op.get_attr("relu") else y
        first = inner.gradient(y, (x, scale, offset), output_gradients=dy)
    dx, dscale, doffset, ddy = outer.gradient(first, (x, scale, offset, dy), output_gradients=gradients)
    return dx, dscale, doffset, None, None, ddy
