"""Zeros that make the sides of a map multiples of a number, and their removal."""

import keras

from kerascnn._errors import InputError


@keras.saving.register_keras_serializable(package="kerascnn")
class PadToMultiple(keras.layers.Layer):
    """Appends rows and columns of zeros, as few as make height and width multiples of `multiple`.

    Args:
        multiple: what the sides are to be multiples of.

    Input: [batch, height, width, channels], sizes known or not. Output: the same, padded at the bottom and right.

    Raises:
        InputError: `multiple` is no whole number of at least 1.
    """

    def __init__(self, multiple: int, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(multiple, int) or multiple < 1:
            raise InputError(f"multiple must be a whole number, at least 1. Received: {multiple!r}")
        self.multiple = multiple

    def call(self, x):
        """x [b, h, w, c] -> [b, h', w', c], h' and w' the next multiples."""
        _, *sizes, _ = keras.ops.shape(x)
        height, width = (-size % self.multiple for size in sizes)
        return keras.ops.pad(x, [[0, 0], [0, height], [0, width], [0, 0]])

    def compute_output_shape(self, input_shape) -> tuple[int | None, ...]:
        """See `call`; unknown sizes stay unknown."""
        batch, *sizes, channels = input_shape
        return (batch, *(None if size is None else size + -size % self.multiple for size in sizes), channels)

    def compute_output_spec(self, x) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(x.shape), dtype=self.compute_dtype)

    def get_config(self):
        """Arguments of the constructor."""
        return {**super().get_config(), "multiple": self.multiple}


@keras.saving.register_keras_serializable(package="kerascnn")
class CropLike(keras.layers.Layer):
    """Keeps the top left of a map, of the size of another: undoes `PadToMultiple`.

    Input: two maps, [batch, h', w', channels] and [batch, h, w, any], h <= h' and w <= w'. Output: [batch, h, w,
    channels].

    Raises:
        InputError: the second map is the larger one.
    """

    def call(self, inputs):
        """[x [b, h', w', c], like [b, h, w, any]] -> [b, h, w, c]."""
        x, like = inputs
        _, height, width, _ = keras.ops.shape(like)
        return x[:, :height, :width]

    def compute_output_shape(self, input_shape) -> tuple[int | None, ...]:
        """See `call`; unknown sizes stay unknown."""
        (batch, *sizes, channels), (_, *kept, _) = input_shape
        for size, keep in zip(sizes, kept, strict=True):
            if size is not None and keep is not None and keep > size:
                raise InputError(f"The second map must not be larger than the first. Received: {input_shape}")
        return (batch, *kept, channels)

    def compute_output_spec(self, inputs) -> keras.KerasTensor:
        shapes = [tuple(x.shape) for x in inputs]
        return keras.KerasTensor(self.compute_output_shape(shapes), dtype=self.compute_dtype)
