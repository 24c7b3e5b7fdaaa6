"""Local response normalization as a layer."""

from typing import Any

import keras

from kerascnn import ops
from kerascnn.ops.lrn import check_arguments


@keras.saving.register_keras_serializable(package="kerascnn")
class LocalResponseNormalization(keras.layers.Layer):
    """Divides each value by a power of the energy of its neighbors in channel; see `kerascnn.ops`.

    y[..., i] = x[..., i] / (bias + alpha · Σ x[..., j]²)^beta over |j - i| <= depth_radius. The defaults are AlexNet's.

    Args:
        depth_radius: channels on each side that belong to the window.
        bias: positive constant under the power.
        alpha: weight of the energy, at least 0.
        beta: the power, positive.
        alpha_convention: "sum" as written above; "mean" divides alpha by the window 2 · depth_radius + 1.

    Input and output: [..., channels], at least two dimensions. No weights. It can be compiled by XLA.

    Raises:
        InputError: an argument breaks these rules, or the input has fewer than two dimensions.

    Source: Krizhevsky, Sutskever, Hinton, ImageNet classification with deep convolutional neural networks, NIPS 2012,
    section 3.3.
    """

    def __init__(
        self,
        depth_radius: int = 2,
        bias: float = 2.0,
        alpha: float = 1e-4,
        beta: float = 0.75,
        alpha_convention: str = "sum",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_arguments(depth_radius, bias, alpha, beta, alpha_convention)
        self.depth_radius, self.alpha_convention = int(depth_radius), alpha_convention
        self.bias, self.alpha, self.beta = float(bias), float(alpha), float(beta)
        self.supports_jit = True  # the op traces its plain form for XLA
        self.supports_masking = True
        self.built = True

    def call(self, x: Any) -> Any:
        """x [..., channels] -> the same shape and dtype."""
        return ops.local_response_normalization(
            x, self.depth_radius, self.bias, self.alpha, self.beta, self.alpha_convention
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the input."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        names = ("depth_radius", "bias", "alpha", "beta", "alpha_convention")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
