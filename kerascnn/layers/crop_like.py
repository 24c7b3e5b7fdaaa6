"""CropLike: a window of one map, as large as another map."""

from typing import Any

import keras
import tensorflow as tf

from kerascnn._errors import InputError


@keras.saving.register_keras_serializable(package="kerascnn")
class CropLike(keras.layers.Layer):
    """Rows and columns from `offset` on, as many as another map has, whose values do not matter.

    [batch, height, width, channels] and [batch, new height, new width, ...] to [batch, new height, new width,
    channels]; Caffe's layer Crop on both spatial axes (Long, Shelhamer, Darrell 2014, arXiv:1411.4038).

    Args:
        offset: first row and first column that stay, from 0.

    Raises:
        InputError: `offset` is negative, it is not given two maps, or the window goes beyond the map.
    """

    def __init__(self, offset: int = 0, **kwargs: Any):
        super().__init__(**kwargs)
        if isinstance(offset, bool) or not isinstance(offset, int) or offset < 0:
            raise InputError(f"`offset` must be a whole number of at least 0. Received: offset={offset!r}")
        self.offset = offset

    def call(self, inputs: Any) -> Any:
        """[x, like] -> the window of x."""
        x, like = inputs
        height, width = tf.unstack(tf.shape(like)[1:3])
        y = tf.slice(x, [0, self.offset, self.offset, 0], [-1, height, width, -1])
        return tf.ensure_shape(y, self.compute_output_shape([x.shape, like.shape]))

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """See `call`; unknown sizes stay unknown."""
        if len(input_shape) != 2 or not all(len(shape) == 4 for shape in input_shape):
            raise InputError(f"CropLike takes two maps [batch, height, width, channels]. Received: {input_shape}")
        x, like = input_shape
        for given, wanted in zip(x[1:3], like[1:3], strict=True):
            if None not in (given, wanted) and self.offset + wanted > given:
                raise InputError(
                    "The window must lie within the map. "
                    f"Received: map {tuple(x)}, window of {tuple(like[1:3])} from {self.offset}"
                )
        return (x[0], *like[1:3], x[3])

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        shape = self.compute_output_shape([tuple(x.shape) for x in keras.tree.flatten(inputs)])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {**super().get_config(), "offset": self.offset}
