"""The zeros that TensorFlow's "same" puts around a map, as a layer of its own."""

from typing import Any

import keras
import tensorflow as tf

from kerascnn.ops._windows import pair


@keras.saving.register_keras_serializable(package="kerascnn")
class SamePadding2D(keras.layers.Layer):
    """Pads with zeros as a window with "same" would, so that a pool without padding sees and counts them.

    `keras.applications` pools in this way where it strides; how much is added at which side depends on the size.

    Args:
        pool_size: the window, one int or (vertical, horizontal).
        strides: step between windows, one int or (vertical, horizontal).

    Input: [batch, height, width, channels]. Output: [batch, padded height, padded width, channels]. No weights.

    Raises:
        InputError: an argument is no whole number of at least 1 nor two of them.
    """

    def __init__(self, pool_size: Any, strides: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.pool_size, self.strides = pair(pool_size, "pool_size"), pair(strides, "strides")
        self.built = True

    def _total(self, size, axis):
        taps, stride = self.pool_size[axis], self.strides[axis]
        return (-(-size // stride) - 1) * stride + taps - size

    def call(self, x: Any) -> Any:
        """x [batch, height, width, channels] -> [batch, padded height, padded width, channels]."""
        sides = []
        for axis in (0, 1):
            size = x.shape[1 + axis]
            total = self._total(tf.shape(x)[1 + axis] if size is None else size, axis)
            total = tf.maximum(total, 0) if size is None else max(total, 0)
            sides.append((total // 2, total - total // 2))
        return tf.pad(x, [(0, 0), *sides, (0, 0)])

    def compute_output_shape(self, input_shape: Any) -> Any:
        """See `call`; unknown sizes stay unknown."""
        batch, *sizes, channels = input_shape
        grown = [None if size is None else size + max(self._total(size, axis), 0) for axis, size in enumerate(sizes)]
        return (batch, *grown, channels)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {**super().get_config(), "pool_size": self.pool_size, "strides": self.strides}
