"""Convolution whose filters are brought to mean 0 and variance 1 before use."""

from typing import Any

import keras

from kerascnn.layers.conv2d import Conv2D


@keras.saving.register_keras_serializable(package="kerascnn")
class WeightStandardizedConv2D(Conv2D):
    """`kerascnn.layers.Conv2D` with the filters (w - mean) / sqrt(variance + epsilon), each over all its taps.

    Mean and population variance are taken over [kernel height, kernel width, channels in / groups], in the dtype of the
    variable, also under mixed precision. The stored kernel is the one before standardization.

    Args:
        *args: as for `kerascnn.layers.Conv2D`.
        epsilon: added to the variance; the authors of BiT use 1e-10.
        **kwargs: as for `kerascnn.layers.Conv2D`.

    Source: Qiao, Wang, Liu, Shen, Yuille, Micro-batch training with batch-channel normalization and weight
    standardization, 2019, arXiv:1903.10520.
    """

    def __init__(self, *args: Any, epsilon: float = 1e-10, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.epsilon = float(epsilon)

    def add_weight(self, *args: Any, **kwargs: Any) -> Any:
        """As Keras', but mixed precision does not round the variable: its variance may be too small for float16."""
        return super().add_weight(*args, **{**kwargs, "autocast": False})

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """inputs [batch, height, width, channels], kernel [kh, kw, in / groups, filters] before standardization."""
        mean, variance = keras.ops.moments(kernel, axes=[0, 1, 2], keepdims=True)
        kernel = (kernel - mean) * keras.ops.rsqrt(variance + self.epsilon)
        outputs = super().convolution_op(inputs, keras.ops.cast(kernel, inputs.dtype))
        # Keras adds the bias in its own dtype, which must not be the result's.
        return keras.ops.cast(outputs, self.bias.dtype) if self.use_bias else outputs

    def call(self, inputs: Any) -> Any:
        """inputs [batch, height, width, channels] -> [batch, out height, out width, filters]."""
        return keras.ops.cast(super().call(inputs), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {**super().get_config(), "epsilon": self.epsilon}
