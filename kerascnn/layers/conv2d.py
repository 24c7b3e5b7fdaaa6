"""Conv2D: keras.layers.Conv2D with fast groups, explicit padding, and stride together with dilation."""

from typing import Any

import keras

from kerascnn._errors import InputError
from kerascnn.ops._windows import output_sizes, pair, standardize_padding
from kerascnn.ops.convolution import conv2d


@keras.saving.register_keras_serializable(package="kerascnn")
class Conv2D(keras.layers.Conv2D):
    """A drop-in for `keras.layers.Conv2D` that calls `kerascnn.ops.conv2d`.

    Same constructor, weights and saved form, with three differences. Grouped convolutions run as one op instead of
    through XLA, and dilated ones without the detour over `SpaceToBatchND`. `padding` also takes one int for all four
    sides or ((top, bottom), (left, right)). `strides` and `dilation_rate` may both exceed 1. Images are
    [batch, height, width, channels]; `data_format="channels_first"` is refused.

    Args:
        filters: output channels; a multiple of `groups`.
        kernel_size: taps, one int or (vertical, horizontal).
        strides: step between outputs, one int or (vertical, horizontal).
        padding: "valid", "same", one int, or ((top, bottom), (left, right)).
        data_format: None or "channels_last".
        dilation_rate: step between taps, one int or (vertical, horizontal).
        groups: groups that convolve separately; divides the input channels and `filters`.
        **kwargs: everything else that `keras.layers.Conv2D` takes (activation, use_bias, kernel_initializer, ...).

    Raises:
        InputError: `padding`, `strides`, `dilation_rate` or `data_format` breaks these rules.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: Any = "valid",
        data_format: Any = None,
        dilation_rate: Any = (1, 1),
        groups: int = 1,
        **kwargs: Any,
    ):
        if (data_format or keras.config.image_data_format()) != "channels_last":
            raise InputError(
                '`data_format` must be "channels_last": kerascnn computes on [batch, height, width, channels]. '
                f"Received: data_format={data_format or keras.config.image_data_format()!r}"
            )
        dilation = pair(dilation_rate, "dilation_rate")
        # Keras refuses explicit padding and stride with dilation, so both are set after its own checks.
        super().__init__(
            filters,
            kernel_size,
            strides=pair(strides, "strides"),
            padding="valid",
            data_format="channels_last",
            dilation_rate=1,
            groups=groups,
            **kwargs,
        )
        self.padding = standardize_padding(padding)
        self.dilation_rate = dilation

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        return conv2d(inputs, kernel, self.strides, self.padding, self.dilation_rate, self.groups)

    def call(self, inputs: Any) -> Any:
        """inputs [batch, height, width, channels] -> [batch, out height, out width, filters]; see `ops.conv2d`."""
        relu = self.activation is keras.activations.relu
        own = type(self).convolution_op is Conv2D.convolution_op  # else a subclass convolves in another way
        if not (own and self.use_bias and (relu or self.activation is keras.activations.linear)):
            return super().call(inputs)
        window = (self.strides, self.padding, self.dilation_rate, self.groups)
        bias = keras.ops.cast(self.bias, self.compute_dtype)
        return conv2d(inputs, self.kernel, *window, bias, "relu" if relu else None)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        sizes = output_sizes(input_shape[1:3], self.kernel_size, self.strides, self.dilation_rate, self.padding)
        if 0 in sizes:
            raise InputError(
                "The kernel must fit into the padded input. "
                f"Received: input shape {tuple(input_shape)}, kernel_size={self.kernel_size}, padding={self.padding}, "
                f"dilation_rate={self.dilation_rate}"
            )
        return (input_shape[0], *sizes, self.filters)

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.compute_dtype)
