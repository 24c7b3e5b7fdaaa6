"""The parameter-free shortcut of residual networks."""

from typing import Any

import keras
import tensorflow as tf

from kerascnn.ops import _native


@keras.saving.register_keras_serializable(package="kerascnn")
class ZeroPadShortcut(keras.layers.Layer):
    """Takes every `strides`-th pixel and appends zero channels: [b, h, w, c] -> [b, h/s, w/s, filters].

    Option A of He et al. 2015, arXiv:1512.03385, section 3.3. The zeros come after the features, as in the authors'
    Torch release; since the next convolution sees all channels alike, their place only matters to trained weights.

    Args:
        filters: number of channels out, at least as many as come in.
        strides: step of the sub-sampling, from the top left pixel.
    """

    def __init__(self, filters: int, strides: int = 1, **kwargs: Any):
        super().__init__(**kwargs)
        self.filters, self.strides = int(filters), int(strides)

    def build(self, input_shape: Any) -> None:
        """Checks that no channel would have to go."""
        if input_shape[-1] > self.filters:
            raise ValueError(f"filters must be at least the channels of x. Received: {self.filters}, {input_shape[-1]}")
        super().build(input_shape)

    def call(self, x: Any) -> Any:
        """x [b, h, w, c] -> [b, ceil(h/s), ceil(w/s), filters]."""
        if self.strides > 1 and not _native.has_gpu():
            # The same pixels: a strided slice, and its gradient, are slow on a CPU.
            x = tf.nn.avg_pool2d(x, 1, self.strides, "VALID")
        else:
            x = x[:, :: self.strides, :: self.strides, :]
        return keras.ops.pad(x, [[0, 0], [0, 0], [0, 0], [0, self.filters - x.shape[-1]]])

    def compute_output_shape(self, input_shape: Any) -> Any:
        """See `call`; unknown sizes stay unknown."""
        batch, *sizes, _ = input_shape
        return (batch, *(None if size is None else -(-size // self.strides) for size in sizes), self.filters)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {**super().get_config(), "filters": self.filters, "strides": self.strides}
