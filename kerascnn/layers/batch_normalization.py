"""BatchNormalization: keras.layers.BatchNormalization as one op instead of a dozen."""

from typing import Any

import keras
import tensorflow as tf

from kerascnn.ops import _native


@keras.saving.register_keras_serializable(package="kerascnn")
class BatchNormalization(keras.layers.BatchNormalization):
    """A drop-in for `keras.layers.BatchNormalization` that is several times faster on CPUs.

    Same constructor, weights, saved form, moving averages and values to rounding. Keras composes the layer from
    elementwise operations and reductions, each of which reads the whole image anew. Here, on a CPU and outside XLA,
    images [batch, height, width, channels] go through TensorFlow's fused op: in training in float32, bfloat16 and
    float16; at inference in float32, where TensorFlow's graph optimizer joins it with the convolution before it and the
    ReLU after it. At inference the gradient does not reach the moving averages.

    Everything else runs Keras' code: GPUs, XLA, another `axis` than the last, masks, `renorm`, `synchronized`, and what
    is traced with native ops switched off (`kerascnn.ops.native`), such as exports.

    Under a strategy with several devices each sees its own part of the batch. With the attribute `across_devices`,
    which `training.train` sets for `batch_statistics="sync"` and no file keeps, each sees the whole batch, as one
    device would: one sum over the devices forward and one backward, where Keras' `synchronized` takes three and three,
    and without the difference of large squares by which that loses digits.

    Args:
        **kwargs: everything that `keras.layers.BatchNormalization` takes.

    Source: Ioffe, Szegedy, Batch normalization: accelerating deep network training by reducing internal covariate
    shift, 2015, arXiv:1502.03167.
    """

    across_devices = False

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """inputs [..., channels] -> the same shape, in the layer's compute dtype."""
        rank = len(inputs.shape)
        plain = (
            mask is not None
            or self.renorm
            or self.synchronized
            or (self.across_devices and training)
            or rank != 4
            or self.axis not in (-1, 3)
            or self.compute_dtype == "float64"
            or _native.mode() == "off"
            or keras.backend.standardize_dtype(inputs.dtype) != self.compute_dtype
            or _native.has_gpu()
            or _native.tracing_for_xla()
        )
        if not plain and training and self.trainable:
            return self._by_batch(inputs)
        if not plain and self.compute_dtype == "float32":
            return self._fused(inputs, self.moving_mean, self.moving_variance, False).y
        return super().call(inputs, training=training, mask=mask)

    def _moments(self, inputs, mask):
        replica = tf.distribute.get_replica_context() if self.across_devices and mask is None else None
        if replica is None or replica.num_replicas_in_sync == 1:
            return super()._moments(inputs, mask)
        axes = self._reduction_axes
        mean, variance = tf.nn.moments(inputs, axes)
        rows = tf.cast(tf.size(inputs) / tf.size(mean), inputs.dtype)
        # Squares of what lies near zero: the devices' means are told from the moving one, the same on all of them.
        near = keras.ops.cast(self.moving_mean, inputs.dtype)
        away = mean - near
        parts = tf.concat([[rows], rows * away, rows * (variance + away * away)], 0)
        if_any = tf.where(rows > 0, parts, tf.zeros_like(parts))  # a device that is left without images has no say
        total = replica.all_reduce(tf.distribute.ReduceOp.SUM, if_any)
        away, square = tf.split(total[1:] / total[0], 2)
        return near + away, tf.maximum(square - away * away, 0.0)

    def _by_batch(self, inputs):
        fused = self._fused(inputs, tf.zeros([0]), tf.zeros([0]), True)
        # The fused op's variance is that of the population which the rows are a sample of; Keras' that of the rows.
        rows = tf.cast(tf.reduce_prod(tf.shape(inputs)[:-1]), "float32")
        variance = fused.batch_variance * ((rows - 1.0) / rows)
        for moving, value in ((self.moving_mean, fused.batch_mean), (self.moving_variance, variance)):
            value, before = tf.stop_gradient(value), keras.ops.cast(moving, "float32")
            # A device that is left without images, as strategies leave some at the end of an epoch, has no say.
            value = tf.where(rows > 0, value, before)
            moving.assign(before * self.momentum + value * (1.0 - self.momentum))
        return fused.y

    def _fused(self, inputs, mean, variance, training: bool):
        shape = self.moving_mean.shape
        scale = self.gamma if self.scale else tf.ones(shape)
        offset = self.beta if self.center else tf.zeros(shape)
        scale, offset, mean, variance = (keras.ops.cast(value, "float32") for value in (scale, offset, mean, variance))
        return tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=scale, offset=offset, mean=mean, variance=variance, epsilon=self.epsilon,
            is_training=training,
        )  # fmt: skip
