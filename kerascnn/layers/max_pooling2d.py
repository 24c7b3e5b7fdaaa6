"""MaxPooling2D: keras.layers.MaxPooling2D with explicit padding."""

from typing import Any

import keras

from kerascnn.layers.padded_pooling import PaddedPooling
from kerascnn.ops._pooling import max_pool2d


@keras.saving.register_keras_serializable(package="kerascnn")
class MaxPooling2D(PaddedPooling, keras.layers.MaxPooling2D):
    """A drop-in for `keras.layers.MaxPooling2D` whose `padding` may be numbers, as in Torch and Caffe.

    What is added is the least finite number, so that images of negative values are pooled right.

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

    def call(self, inputs: Any) -> Any:
        """inputs [batch, height, width, channels] -> [batch, out height, out width, channels]."""
        return max_pool2d(inputs, self.pool_size, self.strides, self.padding)
