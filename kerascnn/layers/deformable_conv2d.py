"""DeformableConv2D: a convolution that learns where its taps look."""

from typing import Any

import keras

from kerascnn import ops
from kerascnn._errors import InputError
from kerascnn.layers.conv2d import Conv2D
from kerascnn.ops._windows import pair


@keras.saving.register_keras_serializable(package="kerascnn")
class DeformableConv2D(Conv2D):
    """A convolution whose taps move by offsets, weighed by a mask, which a second convolution reads off the input.

    That second convolution has the same window (kernel, strides, padding, dilation), all input channels and a bias. It
    starts at zero, so that the layer starts as an ordinary convolution: offsets are 0, and masks, which are the sigmoid
    of its result, are 1/2, as in the paper of version 2, which trains it at a tenth of the learning rate
    (`offset_learning_rate=0.1`). See `kerascnn.ops.deform_conv2d` for the sampling and its conventions.

    Args:
        filters: output channels; a multiple of `groups`.
        kernel_size: taps, one int or (vertical, horizontal).
        strides: step between outputs, one int or (vertical, horizontal).
        padding: "valid", "same", one int, or ((top, bottom), (left, right)).
        data_format: None or "channels_last".
        dilation_rate: step between taps, one int or (vertical, horizontal).
        groups: groups that convolve separately; divides the input channels and `filters`.
        offset_groups: groups of input channels with offsets and masks of their own; divides the input channels.
        modulated: whether there is a mask (version 2) or offsets alone (version 1).
        offset_initializer: of the second convolution's kernel; its bias starts at zero.
        offset_regularizer, offset_constraint: of the second convolution's kernel.
        offset_dilation_rate: step between the second convolution's taps, one int or (vertical, horizontal), at most
            `dilation_rate`, with that much less padding; None: `dilation_rate`.
        offset_learning_rate: factor on the gradients of the second convolution's weights, in (0, 1]. With SGD, momentum
            or not, it is one on their learning rate; rules that divide by the gradients' size, as Adam does, undo it.
        **kwargs: everything else that `keras.layers.Conv2D` takes (activation, use_bias, kernel_initializer, ...).

    Input: [batch, height, width, channels]; output: [batch, new height, new width, filters]. Weights: `kernel`, `bias`,
    `offset_kernel` [height, width, channels, offset_groups · taps · (3 or 2)] and `offset_bias`: first the offsets as
    the op takes them, then the masks. It can be compiled by XLA.

    Raises:
        InputError: an argument breaks these rules, or the channels are no multiple of `offset_groups`.

    Source: Dai et al., Deformable convolutional networks, ICCV 2017, section 2.1; Zhu et al., Deformable ConvNets v2:
    more deformable, better results, CVPR 2019, section 3.2.
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
        offset_groups: int = 1,
        modulated: bool = True,
        offset_initializer: Any = "zeros",
        offset_regularizer: Any = None,
        offset_constraint: Any = None,
        offset_dilation_rate: Any = None,
        offset_learning_rate: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(filters, kernel_size, strides, padding, data_format, dilation_rate, groups, **kwargs)
        if isinstance(offset_groups, bool) or not hasattr(offset_groups, "__index__") or offset_groups < 1:
            raise InputError(f"`offset_groups` must be a whole number of at least 1. Received: {offset_groups=}")
        self.offset_groups, self.modulated = int(offset_groups), bool(modulated)
        self.offset_initializer = keras.initializers.get(offset_initializer)
        self.offset_regularizer = keras.regularizers.get(offset_regularizer)
        self.offset_constraint = keras.constraints.get(offset_constraint)
        given = dilation_rate if offset_dilation_rate is None else offset_dilation_rate
        self.offset_dilation_rate = pair(given, "offset_dilation_rate")
        self.offset_padding = self._second_padding()
        if not isinstance(offset_learning_rate, int | float) or not 0 < offset_learning_rate <= 1:
            raise InputError(f"`offset_learning_rate` must be in (0, 1]. Received: {offset_learning_rate!r}")
        self.offset_learning_rate = float(offset_learning_rate)
        self.supports_jit = True  # the op traces its plain form for XLA

    def _second_padding(self):
        """Padding of the second convolution: less than that of the first, where it is dilated less."""
        axes = zip(self.kernel_size, self.dilation_rate, self.offset_dilation_rate, strict=True)
        less = [(taps - 1) * (own - second) for taps, own, second in axes]
        if not any(less) or (self.padding == "same" and min(less) >= 0):
            return self.padding
        if self.padding not in ("same", "valid") and min(less) >= 0:
            axes = zip(self.padding, less, strict=True)
            sides = tuple((before - cut // 2, after - (cut - cut // 2)) for (before, after), cut in axes)
            if min(map(min, sides)) >= 0:
                return sides
        raise InputError(
            "`offset_dilation_rate` must be at most `dilation_rate`, and the padding hold the difference. "
            f"Received: offset_dilation_rate={self.offset_dilation_rate}, dilation_rate={self.dilation_rate}, "
            f"padding={self.padding}"
        )

    def build(self, input_shape: Any) -> None:
        if input_shape[-1] is not None and input_shape[-1] % self.offset_groups:
            raise InputError(
                "`offset_groups` must divide the input channels. "
                f"Received: input shape {tuple(input_shape)}, offset_groups={self.offset_groups}"
            )
        super().build(input_shape)
        taps = self.kernel_size[0] * self.kernel_size[1] * self.offset_groups
        self._offset_channels = 2 * taps
        made = taps * (3 if self.modulated else 2)
        self.offset_kernel = self.add_weight(
            name="offset_kernel",
            shape=(*self.kernel_size, input_shape[-1], made),
            initializer=self.offset_initializer,
            regularizer=self.offset_regularizer,
            constraint=self.offset_constraint,
        )
        self.offset_bias = self.add_weight(name="offset_bias", shape=(made,), initializer="zeros")

    def offsets(self, inputs: Any) -> Any:
        """How far the taps move, in pixels of the input, and their masks.

        Args:
            inputs: [batch, height, width, channels], in the layer's compute dtype.

        Returns:
            [batch, out height, out width, offset_groups * taps * 2] with (y, x) per tap, and [batch, out height, out
            width, offset_groups * taps], or None where the layer has no masks.
        """
        window = (self.strides, self.offset_padding, self.offset_dilation_rate)
        moves = ops.conv2d(inputs, self._slowed(self.offset_kernel), *window) + self._slowed(self.offset_bias)
        mask = keras.ops.sigmoid(moves[..., self._offset_channels :]) if self.modulated else None
        return moves[..., : self._offset_channels], mask

    def _slowed(self, weight):
        """The weight, whose gradient is multiplied by `offset_learning_rate`."""
        value = keras.ops.convert_to_tensor(weight)
        if self.offset_learning_rate == 1:
            return value
        fixed = keras.ops.stop_gradient(value)
        return fixed + self.offset_learning_rate * (value - fixed)  # the difference is exactly 0

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        window = (self.strides, self.padding, self.dilation_rate)
        return ops.deform_conv2d(inputs, kernel, *self.offsets(inputs), *window, self.groups, self.offset_groups)

    # Keras' convolutions save kernel and bias alone.
    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        if self.built:
            store["offset_kernel"], store["offset_bias"] = self.offset_kernel, self.offset_bias

    def load_own_variables(self, store: Any) -> None:
        super().load_own_variables(store)
        if self.built:
            self.offset_kernel.assign(store["offset_kernel"])
            self.offset_bias.assign(store["offset_bias"])

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {
            **super().get_config(),
            "offset_groups": self.offset_groups,
            "modulated": self.modulated,
            "offset_initializer": keras.initializers.serialize(self.offset_initializer),
            "offset_regularizer": keras.regularizers.serialize(self.offset_regularizer),
            "offset_constraint": keras.constraints.serialize(self.offset_constraint),
            "offset_dilation_rate": self.offset_dilation_rate,
            "offset_learning_rate": self.offset_learning_rate,
        }
