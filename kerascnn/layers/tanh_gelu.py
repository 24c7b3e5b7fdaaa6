"""GELU by a hyperbolic tangent."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="kerascnn")
def tanh_gelu(x: Any) -> Any:
    """0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))): Flax's default for GELU, within 5e-4 of the exact x Phi(x).

    Args:
        x: a float tensor of any shape.

    Returns:
        The same shape.

    Source: Hendrycks, Gimpel, Gaussian error linear units, 2016, arXiv:1606.08415, section 2.
    """
    return keras.activations.gelu(x, approximate=True)
