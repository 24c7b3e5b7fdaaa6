"""Fixed vectors of sines and cosines that tell tokens apart by their place in the sequence."""

from typing import Any

import keras

from kerascnn.layers.position_embedding import PositionEmbedding


@keras.saving.register_keras_serializable(package="kerascnn")
class SinusoidEmbedding(PositionEmbedding):
    """Adds to token t the sines and cosines of t / 10000^(2i / d), in turns, for i = 0, 1, ..., d/2 - 1.

    Tokens are counted from 0, the first of `prefix` on, then the patches row by row. Nothing is trained, but saved
    with the model, since another grid's vectors are interpolated to this one as in `PositionEmbedding`.

    Args:
        grid: (h, w), the patches of an image.
        prefix: tokens before those of the grid, such as a class token.

    Input and output: [b, prefix + h * w, d], or without other tokens a map [b, h, w, d].

    Raises:
        InputError: the grid or the prefix is no such number, or the tokens of the input are others.

    Source: Vaswani et al., Attention is all you need, 2017, arXiv:1706.03762, section 3.5.
    """

    def __init__(self, grid: tuple[int, int], prefix: int = 0, **kwargs: Any):
        super().__init__(grid, prefix, **kwargs)

    def build(self, input_shape: Any) -> None:
        """Makes the vectors: `prefix` [prefix, d] where there are such tokens, `positions` [h, w, d]."""
        self.compute_output_shape(input_shape)
        width = input_shape[-1]
        self.first = None
        if self.prefix:
            self.first = self._table((self.prefix, width), 0, "prefix")
        self.positions = self._table((*self.grid, width), self.prefix, "positions")

    def _table(self, shape, start, name):
        """A weight with the vectors of the tokens from `start` on."""

        def values(shape, dtype=None):
            ops, (*places, width) = keras.ops, shape
            count = places[0] * (places[1] if len(places) > 1 else 1)
            token = ops.arange(start, start + count, dtype="float64")[:, None]
            channel = ops.arange(width)[None, :]
            angle = token / 10000.0 ** (ops.cast(channel // 2 * 2, "float64") / width)
            table = ops.where(channel % 2 == 0, ops.sin(angle), ops.cos(angle))
            return ops.cast(ops.reshape(table, shape), dtype)

        return self.add_weight(shape=shape, initializer=values, trainable=False, name=name)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        config = super().get_config()
        del config["stddev"]
        return config
