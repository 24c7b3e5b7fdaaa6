"""AveragePooling2D: keras.layers.AveragePooling2D with explicit padding that no mean counts."""

import keras
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.ops._windows import output_sizes, pair, standardize_padding


@keras.saving.register_keras_serializable(package="kerascnn")
class AveragePooling2D(keras.layers.AveragePooling2D):
    """A drop-in for `keras.layers.AveragePooling2D` whose `padding` may be numbers, as in Torch.

    A mean is that of the pixels inside the image (Torch's `count_include_pad=False`), as with "same" in TensorFlow.

    Args:
        pool_size: window, one int or (vertical, horizontal).
        strides: step between windows, one int or (vertical, horizontal); None: `pool_size`.
        padding: "valid", "same", one int for all four sides, or ((top, bottom), (left, right)), less than the window.
        data_format: None or "channels_last".
        **kwargs: `name`, `dtype` and so on.

    Input: [batch, height, width, channels]. Output: [batch, out height, out width, channels].

    Raises:
        InputError: `padding`, `pool_size`, `strides` or `data_format` breaks these rules.
    """

    def __init__(self, pool_size=(2, 2), strides=None, padding="valid", data_format=None, **kwargs):
        if (data_format or keras.config.image_data_format()) != "channels_last":
            raise InputError(
                '`data_format` must be "channels_last": kerascnn computes on [batch, height, width, channels]. '
                f"Received: data_format={data_format or keras.config.image_data_format()!r}"
            )
        pool_size = pair(pool_size, "pool_size")
        strides = pool_size if strides is None else pair(strides, "strides")
        # Keras refuses explicit padding, which is set after its own checks.
        super().__init__(pool_size, strides, padding="valid", data_format="channels_last", **kwargs)
        self.padding = standardize_padding(padding)
        if not isinstance(self.padding, str):
            if any(max(sides) >= size for sides, size in zip(self.padding, pool_size, strict=True)):
                raise InputError(
                    "Each side of `padding` must be less than the window, else a window would hold padding alone. "
                    f"Received: padding={padding!r}, pool_size={pool_size}"
                )

    def call(self, inputs):
        """inputs [batch, height, width, channels] -> [batch, out height, out width, channels]."""
        if isinstance(self.padding, str):
            return super().call(inputs)
        # How much of each window lies inside; float32, in which small counts over small areas are exact enough.
        inside = self._pool(tf.ones(tf.concat([[1], tf.shape(inputs)[1:3], [1]], 0)))
        return self._pool(inputs) / tf.cast(inside, inputs.dtype)

    def _pool(self, x):
        x = tf.pad(x, [(0, 0), *self.padding, (0, 0)])
        return tf.nn.avg_pool2d(x, self.pool_size, self.strides, "VALID")

    def compute_output_shape(self, input_shape) -> tuple[int | None, ...]:
        """See `call`; unknown sizes stay unknown."""
        sizes = output_sizes(input_shape[1:3], self.pool_size, self.strides, (1, 1), self.padding)
        if 0 in sizes:
            raise InputError(
                "The window must fit into the padded input. "
                f"Received: input shape {tuple(input_shape)}, pool_size={self.pool_size}, padding={self.padding}"
            )
        return (input_shape[0], *sizes, input_shape[-1])

    def compute_output_spec(self, inputs) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.compute_dtype)
