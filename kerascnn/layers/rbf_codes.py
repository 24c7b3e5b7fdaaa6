"""Radial basis function units with fixed centers."""

from collections.abc import Sequence
from typing import Any

import keras

from kerascnn._errors import InputError


@keras.saving.register_keras_serializable(package="kerascnn")
class RBFCodes(keras.layers.Layer):
    """Negative squared distance of the input to one fixed code per class; no weights.

    Args:
        codes: [classes, features], the values +1 and -1.

    Input: [batch, features]. Output: [batch, classes], `-sum_j (x_j - code_j)²`, so that the nearest code scores
    highest and a softmax over it is the paper's discriminative criterion without its constant for rubbish.

    Raises:
        InputError: a code holds another value, or the input has another number of features.

    Source: LeCun, Bottou, Bengio, Haffner, Gradient-based learning applied to document recognition, 1998, equation 7.
    """

    def __init__(self, codes: Sequence[Sequence[int]], **kwargs: Any):
        super().__init__(**kwargs)
        self.codes = [[int(value) for value in code] for code in codes]
        values = {value for code in self.codes for value in code}
        if len({len(code) for code in self.codes}) != 1 or not values <= {-1, 1}:
            raise InputError(f"codes must be rows of +1 and -1, all of one length. Received: {codes}")

    def build(self, input_shape: Any) -> None:
        if input_shape[-1] != len(self.codes[0]):
            raise InputError(f"The input must have {len(self.codes[0])} features. Received: {input_shape[-1]}")

    def call(self, x: Any) -> Any:
        # |x - c|² = |x|² - 2 x·c + |c|², and every |c|² is the number of features.
        products = keras.ops.matmul(x, keras.ops.transpose(keras.ops.convert_to_tensor(self.codes, x.dtype)))
        return 2 * products - keras.ops.sum(x * x, axis=-1, keepdims=True) - len(self.codes[0])

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], len(self.codes))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "codes": self.codes}
