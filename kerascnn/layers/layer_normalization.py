"""LayerNormalization: keras.layers.LayerNormalization as one op instead of a dozen."""

from typing import Any

import keras
import tensorflow as tf

from kerascnn.ops import _native
from kerascnn.ops.layer_norm import layer_normalization


@keras.saving.register_keras_serializable(package="kerascnn")
class LayerNormalization(keras.layers.LayerNormalization):
    """A drop-in for `keras.layers.LayerNormalization` that is several times faster on CPUs and keeps less in training.

    Same constructor, weights, saved form and values to rounding. Over the last axis, in float32 and bfloat16, on a CPU
    and outside XLA it is one op, see `kerascnn.ops.layer_normalization`. Everything else runs Keras' code: GPUs, XLA,
    other axes and types, and what is traced with native ops switched off (`kerascnn.ops.native`), such as exports.

    Args:
        **kwargs: everything that `keras.layers.LayerNormalization` takes.

    Source: Ba, Kiros, Hinton, Layer normalization, 2016, arXiv:1607.06450.
    """

    def call(self, inputs: Any) -> Any:
        """inputs [..., channels] -> the same shape, in the layer's compute dtype."""
        last = list(self.axis) in ([-1], [len(inputs.shape) - 1])
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        known = dtype == self.compute_dtype and dtype in ("float32", "bfloat16")
        if not last or not known or self.rms_scaling or not _native.usable():
            return super().call(inputs)
        channels = inputs.shape[-1]
        scale = tf.ones([channels]) if self.gamma is None else keras.ops.cast(self.gamma, "float32")
        shift = tf.zeros([channels]) if self.beta is None else keras.ops.cast(self.beta, "float32")
        return layer_normalization(inputs, scale, shift, self.epsilon)
