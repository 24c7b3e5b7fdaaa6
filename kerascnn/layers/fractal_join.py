"""The joins of fractal networks, and drop-path, which silences some of their inputs while training."""

from typing import Any

import keras

from kerascnn._errors import InputError


@keras.saving.register_keras_serializable(package="kerascnn")
class FractalPath(keras.layers.Layer):
    """Chooses, for all joins of a network at once, how drop-path acts on the present mini-batch.

    Its output, one whole number, says which column alone is to be heard ("global"), counted from the deepest, 0; or -1:
    every join decides for itself ("local"). At inference it is always -1.

    Args:
        columns: of the network, at least 1; each is as likely as another.
        global_rate: probability in [0, 1] of a global choice, 1/2 in the paper.
        seed: whole number that fixes the draws; None draws one from Keras' global seed.

    Input: any tensor, which only ties the layer to the network. Output: int32 [1]. No weights.

    Source: Larsson, Maire, Shakhnarovich, FractalNet: ultra-deep neural networks without residuals, 2016,
    arXiv:1605.07648, section 3.
    """

    def __init__(self, columns: int, global_rate: float = 0.5, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(columns, int) or columns < 1:
            raise InputError(f"columns must be a whole number, at least 1. Received: {columns!r}")
        if not 0 <= global_rate <= 1:
            raise InputError(f"global_rate must be in [0, 1]. Received: {global_rate!r}")
        self.columns, self.global_rate, self.seed = columns, float(global_rate), seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        """Any tensor -> int32 [1]."""
        none = keras.ops.full((1,), -1, dtype="int32")
        if not training:
            return none
        column = keras.random.randint((1,), 0, self.columns, dtype="int32", seed=self.seed_generator)
        coin = keras.random.uniform((1,), dtype="float32", seed=self.seed_generator)
        return keras.ops.where(coin < self.global_rate, column, none)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """One number."""
        return (1,)

    def compute_output_spec(self, inputs: Any, training: bool | None = False) -> Any:
        """One whole number."""
        return keras.KerasTensor((1,), dtype="int32")

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        names = ("columns", "global_rate", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package="kerascnn")
class FractalJoin(keras.layers.Layer):
    """The mean of the columns that meet, in training of those that drop-path leaves.

    "Local" drops each input with probability `rate`, but never all: if none is left, one of them, any, is kept.
    "Global" keeps the column that the network's `FractalPath` names; a join that this column does not reach, whose
    output nobody hears then, takes the mean. As in the authors' Caffe layer, a draw holds for the whole mini-batch.

    Args:
        rate: probability in [0, 1) that an input is dropped locally, 0.15 in the paper.
        seed: whole number that fixes the draws; None draws one from Keras' global seed.

    Input: [choice, x_1, ..., x_n]: what `FractalPath` gave, and the columns [batch, ...], the deepest last. Output: the
    shape and dtype of a column. No weights.

    Source: Larsson, Maire, Shakhnarovich, FractalNet: ultra-deep neural networks without residuals, 2016,
    arXiv:1605.07648, section 3.
    """

    def __init__(self, rate: float = 0.15, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(rate, int | float) or not 0 <= rate < 1:
            raise InputError(f"rate must be in [0, 1). Received: {rate!r}")
        self.rate, self.seed = float(rate), seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        """[choice, x_1, ..., x_n] -> [batch, ...]."""
        choice, *columns = inputs
        if not training:
            return sum(columns[1:], columns[0]) / len(columns)
        alive = self._alive(choice, len(columns))
        kept = [keras.ops.where(alive[i], x, keras.ops.zeros_like(x)) for i, x in enumerate(columns)]
        count = keras.ops.sum(keras.ops.cast(alive, columns[0].dtype))
        return sum(kept[1:], kept[0]) / count

    def _alive(self, choice, count):
        """Which of `count` columns are heard, bool [count]."""
        places = keras.ops.arange(count, dtype="int32")
        alive = keras.random.uniform((count,), dtype="float32", seed=self.seed_generator) >= self.rate
        lucky = places == keras.random.randint((1,), 0, count, dtype="int32", seed=self.seed_generator)
        local = keras.ops.where(keras.ops.any(alive), alive, lucky)
        alone = (places == count - 1 - choice) | (choice >= count)
        return keras.ops.where(choice < 0, local, alone)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of a column."""
        return tuple(input_shape[1])

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
