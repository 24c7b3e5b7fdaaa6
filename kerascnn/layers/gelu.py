"""GELU as an activation."""

from typing import Any

import keras

from kerascnn.ops.gelu import gelu as _gelu


@keras.saving.register_keras_serializable(package="kerascnn")
def gelu(x: Any) -> Any:
    """x Φ(x), exactly: `keras.activations.gelu` as one op on CPUs, see `kerascnn.ops.gelu`.

    Args:
        x: a float tensor of any shape.

    Returns:
        The same shape.

    Source: Hendrycks, Gimpel, Gaussian error linear units, 2016, arXiv:1606.08415, section 2.
    """
    return keras.activations.gelu(x, approximate=False) if isinstance(x, keras.KerasTensor) else _gelu(x)
