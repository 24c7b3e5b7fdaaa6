"""AveragePooling2D: keras.layers.AveragePooling2D with explicit padding that no mean counts."""

import keras
import tensorflow as tf

from kerascnn.layers.padded_pooling import PaddedPooling


@keras.saving.register_keras_serializable(package="kerascnn")
class AveragePooling2D(PaddedPooling, keras.layers.AveragePooling2D):
    """A drop-in for `keras.layers.AveragePooling2D` whose `padding` may be numbers, as in Torch.

    A mean is that of the pixels inside the image (Torch's `count_include_pad=False`), as with "same" in TensorFlow.

    Args:
        pool_size: window, one int or (vertical, horizontal).
        strides: step between windows, one int or (vertical, horizontal); None: `pool_size`.
        padding: "valid", "same", one int for all four sides, or ((top, bottom), (left, right)), less than the window.
        data_format: None or "channels_last".
        **kwargs: `name`, `dtype` and so on.

    Input: [batch, height, width, channels]. Output: [batch, out height, out width, channels].

    Raises:
        InputError: `padding`, `pool_size`, `strides` or `data_format` breaks these rules.
    """

    def call(self, inputs):
        """inputs [batch, height, width, channels] -> [batch, out height, out width, channels]."""
        if isinstance(self.padding, str):
            return super().call(inputs)
        # How much of each window lies inside; float32, in which small counts over small areas are exact enough.
        inside = self._pool(tf.ones(tf.concat([[1], tf.shape(inputs)[1:3], [1]], 0)))
        return self._pool(inputs) / tf.cast(inside, inputs.dtype)

    def _pool(self, x):
        x = tf.pad(x, [(0, 0), *self.padding, (0, 0)])
        return tf.nn.avg_pool2d(x, self.pool_size, self.strides, "VALID")
