"""BatchNormalization: keras.layers.BatchNormalization as one op instead of a dozen."""

import keras
import tensorflow as tf

from kerascnn.ops import _native
from kerascnn.ops.batch_norm import batch_normalization


@keras.saving.register_keras_serializable(package="kerascnn")
class BatchNormalization(keras.layers.BatchNormalization):
    """A drop-in for `keras.layers.BatchNormalization` that is several times faster on CPUs.

    Same constructor, weights, saved form, moving averages and values to rounding. Keras composes the layer from
    elementwise operations and reductions, each of which reads the whole image anew. Here, on a CPU and outside XLA,

    * training calls `kerascnn.ops.batch_normalization`;
    * inference on float32 images [batch, height, width, channels] calls TensorFlow's fused op, which its graph
      optimizer joins with the convolution before it and the ReLU after it. The gradient does not reach the moving
      averages then.

    Everything else runs Keras' code: GPUs, XLA, another `axis` than the last, masks, `renorm`, `synchronized`, and what
    is traced with native ops switched off (`kerascnn.ops.native`), such as exports.

    Args:
        **kwargs: everything that `keras.layers.BatchNormalization` takes.

    Source: Ioffe, Szegedy, Batch normalization: accelerating deep network training by reducing internal covariate
    shift, 2015, arXiv:1502.03167.
    """

    def call(self, inputs, training=None, mask=None):
        """inputs [..., channels] -> the same shape, in the layer's compute dtype."""
        rank = len(inputs.shape)
        plain = (
            mask is not None
            or self.renorm
            or self.synchronized
            or rank < 2
            or self.axis not in (-1, rank - 1)
            or keras.backend.standardize_dtype(inputs.dtype) != self.compute_dtype
            or _native.has_gpu()
            or _native.tracing_for_xla()
        )
        if not plain and training and self.trainable:
            return self._by_batch(inputs)
        if not plain and rank == 4 and self.compute_dtype == "float32" and _native.mode() != "off":
            return self._by_moving_averages(inputs)
        return super().call(inputs, training=training, mask=mask)

    def _by_batch(self, inputs):
        dtype = keras.backend.result_type(inputs.dtype, "float32")
        y, mean, variance = batch_normalization(inputs, *self._scale_and_offset(dtype), self.epsilon)
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(keras.ops.cast(moving, dtype) * self.momentum + value * (1.0 - self.momentum))
        return y

    def _by_moving_averages(self, inputs):
        scale, offset = self._scale_and_offset("float32")
        return tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=scale,
            offset=offset,
            mean=keras.ops.cast(self.moving_mean, "float32"),
            variance=keras.ops.cast(self.moving_variance, "float32"),
            epsilon=self.epsilon,
            is_training=False,
        ).y

    def _scale_and_offset(self, dtype: str):
        shape = self.moving_mean.shape
        scale = keras.ops.cast(self.gamma, dtype) if self.scale else tf.ones(shape, dtype)
        offset = keras.ops.cast(self.beta, dtype) if self.center else tf.zeros(shape, dtype)
        return scale, offset
