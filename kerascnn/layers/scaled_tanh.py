"""The squashing function of LeNet-5."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="kerascnn")
def scaled_tanh(x: Any) -> Any:
    """1.7159 tanh(2/3 x), with which +1 and -1 are fixed points.

    Args:
        x: a float tensor of any shape.

    Returns:
        The same shape, between -1.7159 and 1.7159.

    Source: LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document Recognition, 1998, appendix A.
    """
    return 1.7159 * keras.ops.tanh(x * (2 / 3))
