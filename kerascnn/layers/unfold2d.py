"""The pixels of each window side by side."""

from typing import Any

import keras

from kerascnn._errors import InputError
from kerascnn.ops._guards import guarded
from kerascnn.ops._windows import output_sizes, pair, standardize_padding


@keras.saving.register_keras_serializable(package="kerascnn")
class Unfold2D(keras.layers.Layer):
    """Overlapping patches as channels: [b, h, w, c] -> [b, h', w', c * kernel height * kernel width].

    Channel (i * kernel height + row) * kernel width + column of the output is channel i of the input at that row and
    column of the window, the order of PyTorch's `Unfold`. Pixels outside the image are zero. It is computed as a
    depthwise convolution with ones, whose gradient is the quickest that TensorFlow has for this; an infinite or NaN
    pixel spreads over its windows.

    Args:
        kernel_size: of the window, one int or (vertical, horizontal).
        strides: step between windows, the same along both axes, as TensorFlow's depthwise convolution has it.
        padding: "valid", "same", one int for all sides, or ((top, bottom), (left, right)).

    Raises:
        InputError: an argument breaks these rules, or no window fits into the image.
    """

    def __init__(self, kernel_size: Any, strides: int = 1, padding: Any = "valid", **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(strides, int) or strides < 1:
            raise InputError(f"`strides` must be a whole number, at least 1. Received: {strides!r}")
        self.kernel_size, self.strides = pair(kernel_size, "kernel_size"), strides
        self.padding = standardize_padding(padding)

    def call(self, x: Any) -> Any:
        """x [b, h, w, c] -> [b, h', w', c * kernel height * kernel width]."""
        ops, channels = keras.ops, x.shape[-1]
        if channels is None:
            raise InputError(f"The number of channels must be known. Received: input shape {tuple(x.shape)}")
        count = self.kernel_size[0] * self.kernel_size[1]
        ones = ops.reshape(ops.eye(count, dtype=x.dtype), (*self.kernel_size, 1, count))
        ones = ops.tile(ones, (1, 1, channels, 1))

        def compute(x):
            if isinstance(self.padding, str):
                return ops.depthwise_conv(x, ones, self.strides, self.padding)
            padded = ops.pad(x, [[0, 0], *map(list, self.padding), [0, 0]])
            return ops.depthwise_conv(padded, ones, self.strides, "valid")

        return guarded(compute, x, self.kernel_size, (self.strides,) * 2, self.padding)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """See `call`; unknown sizes stay unknown."""
        sizes = output_sizes(input_shape[1:3], self.kernel_size, (self.strides,) * 2, (1, 1), self.padding)
        if 0 in sizes:
            raise InputError(
                f"The window must fit into the padded input. Received: input shape {tuple(input_shape)}, "
                f"kernel_size={self.kernel_size}, padding={self.padding}"
            )
        return (input_shape[0], *sizes, input_shape[-1] * self.kernel_size[0] * self.kernel_size[1])

    def compute_output_spec(self, x: Any) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(x.shape), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        names = ("kernel_size", "strides", "padding")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
