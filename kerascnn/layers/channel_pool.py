"""Maximum and mean over the channels."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="kerascnn")
class ChannelPool(keras.layers.Layer):
    """What the spatial gate of CBAM reads: [batch, height, width, channels] -> [batch, height, width, 2].

    The maximum over the channels comes first, then their mean.

    Source: Woo, Park, Lee, Kweon, CBAM: Convolutional Block Attention Module, 2018, arXiv:1807.06521, equation 3 (which
    names the mean first; the authors' code, whose trained weights count, the maximum).
    """

    def call(self, x: Any) -> Any:
        """x [b, h, w, c] -> [b, h, w, 2]."""
        both = [keras.ops.max(x, axis=-1, keepdims=True), keras.ops.mean(x, axis=-1, keepdims=True)]
        return keras.ops.concatenate(both, axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """See `call`; unknown sizes stay unknown."""
        return (*input_shape[:-1], 2)
