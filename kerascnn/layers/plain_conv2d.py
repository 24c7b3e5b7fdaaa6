"""PlainConv2D: keras.layers.Conv2D that several devices can share, whatever is left for each of them."""

from typing import Any

import keras
import tensorflow as tf

from kerascnn.ops.convolution import conv2d


@keras.saving.register_keras_serializable(package="kerascnn")
class PlainConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` for networks: the same arguments, weights and values.

    Under a strategy with several devices, one of them gets no image of a batch that is smaller than their number, and
    TensorFlow's convolution of nothing has a wrong shape; there `kerascnn.ops.conv2d` guards against it. Elsewhere
    nothing stands between the convolution and what follows, so that TensorFlow joins them when it predicts.
    `kerascnn.layers.Conv2D` is guarded everywhere.

    Input: [batch, height, width, channels]. Output: [batch, out height, out width, filters].

    Example:

        x = kerascnn.layers.PlainConv2D(64, 3, padding="same", use_bias=False)(x)
    """

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        if tf.distribute.get_strategy().num_replicas_in_sync == 1:
            return super().convolution_op(inputs, kernel)
        return conv2d(inputs, kernel, self.strides, self.padding, self.dilation_rate, self.groups)
