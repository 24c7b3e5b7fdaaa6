"""ResizeLike: one map enlarged to the size of another."""

from typing import Any

import keras
import tensorflow as tf

from kerascnn._errors import InputError


@keras.saving.register_keras_serializable(package="kerascnn")
class ResizeLike(keras.layers.Layer):
    """Bilinear interpolation of a map to the height and width of another, whose values do not matter.

    [batch, height, width, channels] and [batch, new height, new width, ...] to [batch, new height, new width,
    channels]. Pixels are areas: output pixel i lies at (i + 1/2) * height / new height - 1/2 of the input, and beyond
    the outermost centers the border is repeated. It is Torch's `interpolate(mode="bilinear", align_corners=False)` and
    TensorFlow's `resize` without antialiasing. Computed in float32, also under mixed precision.

    Raises:
        InputError: it is not given two maps.
    """

    def call(self, inputs: Any) -> Any:
        """[x, like] -> x of the height and width of `like`."""
        x, like = inputs
        sizes = zip(like.shape[1:3], tf.unstack(tf.shape(like)[1:3]), strict=True)
        return tf.cast(tf.image.resize(x, [known or found for known, found in sizes]), self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """See `call`; unknown sizes stay unknown."""
        if len(input_shape) != 2 or not all(isinstance(s, list | tuple) and len(s) == 4 for s in input_shape):
            raise InputError(f"ResizeLike takes two maps [batch, height, width, channels]. Received: {input_shape}")
        x, like = input_shape
        return (x[0], *like[1:3], x[3])

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        shape = self.compute_output_shape([tuple(x.shape) for x in keras.tree.flatten(inputs)])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)
