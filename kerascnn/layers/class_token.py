"""A token that no patch stands for."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="kerascnn")
class ClassToken(keras.layers.Layer):
    """Puts learned tokens, the same for all images, before those of the image: [b, n, d] -> [b, count + n, d].

    Args:
        count: how many.
        initializer: of the tokens; zeros as in the authors' code.

    Source: Dosovitskiy et al., An image is worth 16x16 words, 2020, arXiv:2010.11929, section 3.1; the idea is BERT's
    (arXiv:1810.04805).
    """

    def __init__(self, count: int = 1, initializer: Any = "zeros", **kwargs: Any):
        super().__init__(**kwargs)
        self.count, self.initializer = int(count), keras.initializers.get(initializer)

    def build(self, input_shape: Any) -> None:
        """Makes the tokens [1, count, d]."""
        shape = (1, self.count, input_shape[-1])
        self.token = self.add_weight(shape=shape, initializer=self.initializer, name="token")

    def call(self, x: Any) -> Any:
        """x [b, n, d] -> [b, count + n, d]."""
        shape = (keras.ops.shape(x)[0], *self.token.shape[1:])
        return keras.ops.concatenate([keras.ops.broadcast_to(keras.ops.cast(self.token, x.dtype), shape), x], axis=1)

    def to_torch(self, arrays: list) -> dict:
        """The tokens as PyTorch has them: a parameter with the name of the module."""
        return {"": arrays[0]}

    def compute_output_shape(self, input_shape: Any) -> Any:
        """See `call`; unknown sizes stay unknown."""
        batch, tokens, width = input_shape
        return (batch, None if tokens is None else tokens + self.count, width)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {
            **super().get_config(),
            "count": self.count,
            "initializer": keras.initializers.serialize(self.initializer),
        }
