"""What our pooling layers share: padding by numbers."""

from typing import Any

import keras

from kerascnn._errors import InputError
from kerascnn.ops._windows import output_sizes, pair, standardize_padding


class PaddedPooling:
    """Before a pooling layer of Keras among the bases: its `padding` may be numbers, and its sizes follow from them."""

    def __init__(
        self,
        pool_size: Any = (2, 2),
        strides: Any = None,
        padding: Any = "valid",
        data_format: Any = None,
        **kwargs: Any,
    ):
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

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """See `call`; unknown sizes stay unknown."""
        sizes = output_sizes(input_shape[1:3], self.pool_size, self.strides, (1, 1), self.padding)
        if 0 in sizes:
            raise InputError(
                "The window must fit into the padded input. "
                f"Received: input shape {tuple(input_shape)}, pool_size={self.pool_size}, padding={self.padding}"
            )
        return (input_shape[0], *sizes, input_shape[-1])

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.compute_dtype)
