"""Scaled dot-product attention among the tokens of an image."""

from typing import Any

import keras

from kerascnn._errors import InputError
from kerascnn.ops import _native
from kerascnn.ops.self_attention import self_attention


@keras.saving.register_keras_serializable(package="kerascnn")
class SelfAttention(keras.layers.Layer):
    """Each token reads all: queries, keys and values side by side, [b, n, 3 d], to [b, n, d]. No weights.

    The last axis is [query, key, value], each [head, d / heads]. Scores are multiplied by `scale`; their softmax is
    float32 under mixed precision. The dense layers before and after it are layers of their own, by
    `kerascnn.blocks.self_attention`: one product for all three projections takes a tenth less time on a CPU than the
    three of `keras.layers.MultiHeadAttention`, and may lack biases where the last projection has some. In float32 on a
    CPU the layer is one op, see `kerascnn.ops.self_attention`.

    Args:
        heads: number of heads, which divides d.
        scale: None: 1 / sqrt(d / heads).

    Raises:
        InputError: the width of the input is not 3 times a multiple of heads.

    Source: Vaswani et al., Attention is all you need, 2017, arXiv:1706.03762, section 3.2.
    """

    def __init__(self, heads: int, scale: float | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        if heads < 1:
            raise InputError(f"heads must be at least 1. Received: {heads}")
        self.heads, self.scale = int(heads), None if scale is None else float(scale)
        self.built = True

    def call(self, x: Any) -> Any:
        """x [b, n, 3 d] -> [b, n, d]."""
        tokens, width = self.compute_output_shape(x.shape)[1:]
        if x.dtype == self.compute_dtype == "float32" and _native.usable():
            return self_attention(x, self.heads, self.scale)
        tokens = keras.ops.shape(x)[1] if tokens is None else tokens
        size = width // self.heads
        query, key, value = keras.ops.unstack(keras.ops.reshape(x, (-1, tokens, 3, self.heads, size)), axis=2)
        y = keras.ops.dot_product_attention(query, key, value, scale=self.scale)
        return keras.ops.reshape(y, (-1, tokens, width))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """See `call`; unknown sizes stay unknown."""
        if len(input_shape) != 3 or input_shape[-1] % (3 * self.heads):
            raise InputError(
                f"The input must be [batch, tokens, 3 d], d a multiple of {self.heads} heads. "
                f"Received: {tuple(input_shape)}"
            )
        return (*input_shape[:2], input_shape[-1] // 3)

    def compute_output_spec(self, x: Any) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(x.shape), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {**super().get_config(), "heads": self.heads, "scale": self.scale}
