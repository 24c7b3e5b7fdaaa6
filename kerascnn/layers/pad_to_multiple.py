"""Zeros that make the sides of a map multiples of a number."""

from typing import Any

import keras

from kerascnn._errors import InputError


@keras.saving.register_keras_serializable(package="kerascnn")
class PadToMultiple(keras.layers.Layer):
    """Appends rows and columns of zeros, as few as make height and width multiples of `multiple`.

    Args:
        multiple: what the sides are to be multiples of.

    Input: [batch, height, width, channels], sizes known or not. Output: the same, padded at the bottom and
    right; `CropLike` undoes it.

    Raises:
        InputError: `multiple` is no whole number of at least 1.
    """

    def __init__(self, multiple: int, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(multiple, int) or multiple < 1:
            raise InputError(f"multiple must be a whole number, at least 1. Received: {multiple!r}")
        self.multiple = multiple

    def call(self, x: Any) -> Any:
        """x [b, h, w, c] -> [b, h', w', c], h' and w' the next multiples."""
        _, *sizes, _ = keras.ops.shape(x)
        height, width = (-size % self.multiple for size in sizes)
        return keras.ops.pad(x, [[0, 0], [0, height], [0, width], [0, 0]])

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """See `call`; unknown sizes stay unknown."""
        batch, *sizes, channels = input_shape
        return (batch, *(None if size is None else size + -size % self.multiple for size in sizes), channels)

    def compute_output_spec(self, x: Any) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(x.shape), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {**super().get_config(), "multiple": self.multiple}
