"""DepthwiseConv2D: keras.layers.DepthwiseConv2D with explicit padding, any strides, and strides with dilation."""

from typing import Any

import keras

from kerascnn._errors import InputError
from kerascnn.ops._windows import output_sizes, pair, standardize_padding
from kerascnn.ops.convolution import conv2d


@keras.saving.register_keras_serializable(package="kerascnn")
class DepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """A drop-in for `keras.layers.DepthwiseConv2D` that calls `kerascnn.ops.conv2d` with one group a channel.

    Same constructor, weights and saved form, with three differences. `padding` also takes one int for all four sides or
    ((top, bottom), (left, right)). `strides` may differ between the axes, and exceed 1 together with `dilation_rate`.
    Images are [batch, height, width, channels]; `data_format="channels_first"` is refused.

    Args:
        kernel_size: taps, one int or (vertical, horizontal).
        strides: step between outputs, one int or (vertical, horizontal).
        padding: "valid", "same", one int, or ((top, bottom), (left, right)).
        depth_multiplier: outputs of each channel: channel c gives outputs c·depth_multiplier and following.
        data_format: None or "channels_last".
        dilation_rate: step between taps, one int or (vertical, horizontal).
        **kwargs: everything else that `keras.layers.DepthwiseConv2D` takes (activation, use_bias, ...).

    Input: [batch, height, width, channels]. Output: [batch, out height, out width, channels · depth_multiplier].

    Raises:
        InputError: `padding`, `strides`, `dilation_rate`, `depth_multiplier` or `data_format` breaks these rules.
    """

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: Any = "valid",
        depth_multiplier: int = 1,
        data_format: Any = None,
        dilation_rate: Any = (1, 1),
        **kwargs: Any,
    ):
        if (data_format or keras.config.image_data_format()) != "channels_last":
            raise InputError(
                '`data_format` must be "channels_last": kerascnn computes on [batch, height, width, channels]. '
                f"Received: data_format={data_format or keras.config.image_data_format()!r}"
            )
        if not isinstance(depth_multiplier, int) or isinstance(depth_multiplier, bool) or depth_multiplier < 1:
            raise InputError(
                "`depth_multiplier` must be a whole number of at least 1. "
                f"Received: depth_multiplier={depth_multiplier!r}"
            )
        dilation = pair(dilation_rate, "dilation_rate")
        # Keras refuses explicit padding, which is set after its own checks.
        super().__init__(
            kernel_size,
            strides=pair(strides, "strides"),
            padding="valid",
            depth_multiplier=depth_multiplier,
            data_format="channels_last",
            dilation_rate=dilation,
            **kwargs,
        )
        self.padding = standardize_padding(padding)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={-1: input_shape[-1]})

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        return conv2d(inputs, kernel, self.strides, self.padding, self.dilation_rate, groups=inputs.shape[-1])

    def call(self, inputs: Any) -> Any:
        # Output channel c * depth_multiplier + j is kernel[..., c, j] convolved with channel c.
        kernel = keras.ops.reshape(self.kernel, (*self.kernel_size, 1, inputs.shape[-1] * self.depth_multiplier))
        outputs = self.convolution_op(inputs, kernel)
        if self.use_bias:
            outputs = keras.ops.add(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        sizes = output_sizes(input_shape[1:3], self.kernel_size, self.strides, self.dilation_rate, self.padding)
        if 0 in sizes:
            raise InputError(
                "The kernel must fit into the padded input. "
                f"Received: input shape {tuple(input_shape)}, kernel_size={self.kernel_size}, padding={self.padding}, "
                f"dilation_rate={self.dilation_rate}"
            )
        return (input_shape[0], *sizes, input_shape[-1] * self.depth_multiplier)

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.compute_dtype)
