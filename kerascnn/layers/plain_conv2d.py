"""PlainConv2D: keras.layers.Conv2D that several devices can share, whatever is left for each of them."""

from typing import Any

import keras
import tensorflow as tf

from kerascnn.ops.convolution import conv2d, tiles_pay


@keras.saving.register_keras_serializable(package="kerascnn")
class PlainConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` for networks: the same arguments, weights and values.

    Under a strategy with several devices, one of them gets no image of a batch that is smaller than their number, and
    TensorFlow's convolution of nothing has a wrong shape; there `kerascnn.ops.conv2d` guards against it. Elsewhere
    nothing stands between the convolution and what follows, so that TensorFlow joins them when it predicts.
    `kerascnn.layers.Conv2D` is guarded everywhere. In training in bfloat16 on a CPU with AMX `kerascnn.ops.conv2d` is
    asked as well, whose gradient of the filters is the faster one.

    Input: [batch, height, width, channels]. Output: [batch, out height, out width, filters].

    Example:

        x = kerascnn.layers.PlainConv2D(64, 3, padding="same", use_bias=False)(x)
    """

    _training = False  # of the call under way

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """inputs [batch, height, width, channels] -> [batch, out height, out width, filters]."""
        self._training = bool(training)
        return super().call(inputs)

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        alone = tf.distribute.get_strategy().num_replicas_in_sync == 1
        if alone and not (self._training and tiles_pay(inputs.dtype, kernel.shape, self.groups)):
            return super().convolution_op(inputs, kernel)
        return conv2d(inputs, kernel, self.strides, self.padding, self.dilation_rate, self.groups)
