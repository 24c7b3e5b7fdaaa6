"""Self-attention inside windows of a map, which may be shifted."""

import math
from typing import Any

import keras

from kerascnn._errors import InputError

_APART = -100.0  # added to the logits of places that were not neighbors before the cyclic shift


@keras.saving.register_keras_serializable(package="kerascnn")
class WindowAttention(keras.layers.Layer):
    """Multi-head self-attention of each window's places among themselves, with a learned bias for each offset.

    Windows tile the map. With `shift`, the map is rolled up and left by so many places before and back afterwards;
    places that only the roll made neighbors do not attend to each other. Along an axis that one window covers there is
    no shift. Queries, keys and values come from a dense layer before, whose units are those of all heads' queries, then
    keys, then values. The softmax is computed in float32 at least.

    Args:
        heads: number of heads; divides the channels.
        window: side of a window, in places.
        shift: places by which the windows are shifted, at least 0 and less than `window`.

    Input: [batch, height, width, 3 * channels], height and width multiples of `window` (see `PadToMultiple`), known or
    not. Output: [batch, height, width, channels].
    Weight: `relative_position_bias_table` [(2 * window - 1)², heads], offsets row by row.

    Raises:
        InputError: an argument or the shape of the input breaks these rules.

    Source: Liu, Lin, Cao, Hu, Wei, Zhang, Lin, Guo: Swin Transformer: Hierarchical Vision Transformer using Shifted
    Windows, 2021, arXiv:2103.14030, section 3.2.
    """

    def __init__(self, heads: int, window: int, shift: int = 0, **kwargs: Any):
        super().__init__(**kwargs)
        for key, value, least in (("heads", heads, 1), ("window", window, 1), ("shift", shift, 0)):
            if not isinstance(value, int) or value < least:
                raise InputError(f"{key} must be a whole number, at least {least}. Received: {value!r}")
        if shift >= window:
            raise InputError(f"shift must be less than window. Received: shift={shift}, window={window}")
        self.heads, self.window, self.shift = heads, window, shift

    def build(self, input_shape: Any) -> None:
        """Makes the table of biases."""
        self.compute_output_shape(input_shape)
        self.relative_position_bias_table = self.add_weight(
            shape=((2 * self.window - 1) ** 2, self.heads),
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
            autocast=False,  # it is added to logits in float32
            name="relative_position_bias_table",
        )
        super().build(input_shape)

    def call(self, qkv: Any) -> Any:
        """qkv [batch, height, width, 3 * channels] -> [batch, height, width, channels]."""
        ops, side = keras.ops, self.window
        _, *sizes, depth = ops.shape(qkv)
        rows, columns = (size // side for size in sizes)
        shifts = [self._shift(size) for size in sizes]
        moved = self.shift and any(not isinstance(shift, int) or shift for shift in shifts)

        x = ops.roll(qkv, [-shift for shift in shifts], axis=(1, 2)) if moved else qkv
        x = ops.reshape(x, (-1, rows, side, columns, side, depth))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        x = ops.reshape(x, (-1, rows * columns, side * side, 3, self.heads, depth // (3 * self.heads)))
        query, key, value = ops.unstack(ops.transpose(x, (3, 0, 1, 4, 2, 5)), 3, axis=0)

        query = query * (depth // (3 * self.heads)) ** -0.5
        logits = ops.einsum("bnhtd,bnhsd->bnhts", query, key)
        exact = keras.backend.result_type(self.compute_dtype, "float32")
        bias = ops.cast(self._bias(), exact)
        if moved:
            bias = bias + ops.cast(self._mask(sizes, shifts), exact)
        weights = ops.softmax(ops.cast(logits, exact) + bias)
        y = ops.einsum("bnhts,bnhsd->bnthd", ops.cast(weights, self.compute_dtype), value)

        y = ops.reshape(y, (-1, rows, columns, side, side, depth // 3))
        y = ops.transpose(y, (0, 1, 3, 2, 4, 5))
        y = ops.reshape(y, (-1, *sizes, depth // 3))
        return ops.roll(y, shifts, axis=(1, 2)) if moved else y

    def _shift(self, size):
        """The shift along an axis of that size, a number or a tensor."""
        if isinstance(size, int):
            return self.shift if size > self.window else 0
        return keras.ops.where(size > self.window, self.shift, 0)

    def _bias(self):
        """[heads, t, t] for the t places of a window; gathered along the last axis, so that its gradient is dense."""
        ops, side = keras.ops, self.window
        place = ops.arange(side * side)
        row, column = place // side, place % side
        down, right = (axis[:, None] - axis[None, :] + side - 1 for axis in (row, column))  # of query, of key
        table = ops.transpose(ops.convert_to_tensor(self.relative_position_bias_table))
        return ops.take(table, (2 * side - 1) * down + right, axis=1)

    def _mask(self, sizes, shifts):
        """[windows, 1, t, t]: 0 where two places of a window of the rolled map belong together, else -100."""
        ops, side = keras.ops, self.window
        regions = []
        for size, shift in zip(
            sizes, shifts, strict=True
        ):  # 0 | 1 | 2: before the last window | in it | rolled into it
            place = ops.arange(size)
            last, rolled = place >= size - side, place >= size - shift
            regions.append(ops.reshape(ops.cast(last, "int32") + ops.cast(rolled, "int32"), (-1, side)))
        rows, columns = regions
        region = 3 * rows[:, None, :, None] + columns[None, :, None, :]
        region = ops.reshape(region, (-1, side * side))
        apart = ops.not_equal(region[:, :, None], region[:, None, :])
        return ops.where(apart, _APART, 0.0)[:, None]

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """See `call`; unknown sizes stay unknown."""
        batch, *sizes, depth = input_shape
        if depth % (3 * self.heads):
            raise InputError(
                f"The channels must be those of query, key and value of {self.heads} heads, a multiple of "
                f"{3 * self.heads}. Received: {tuple(input_shape)}"
            )
        if any(size is not None and size % self.window for size in sizes):
            raise InputError(
                f"Height and width must be multiples of the window, {self.window}. Received: {tuple(input_shape)}"
            )
        return (batch, *sizes, depth // 3)

    def compute_output_spec(self, qkv: Any) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(qkv.shape), dtype=self.compute_dtype)

    def resized(self, arrays: list) -> list:
        """The table of windows of another size, interpolated to this one; `kerascnn.weights.load_weights` asks for it.

        Bicubic, as in the authors' code for fine-tuning, whose kernel is PyTorch's (a = -0.75) where this is Keys'
        (a = -0.5).

        Args:
            arrays: one table [(2 * other - 1)², heads], of NumPy.

        Returns:
            One table [(2 * window - 1)², heads]; what is no such table unchanged.
        """
        side = math.isqrt(len(arrays[0])) if len(arrays) == 1 and arrays[0].ndim == 2 else 0
        if side % 2 == 0 or side**2 != len(arrays[0]):
            return arrays
        offsets, new = keras.ops.reshape(arrays[0], (side, side, -1)), (2 * self.window - 1,) * 2
        offsets = keras.ops.image.resize(offsets, new, interpolation="bicubic", data_format="channels_last")
        return [keras.ops.convert_to_numpy(keras.ops.reshape(offsets, (-1, arrays[0].shape[1])))]

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {**super().get_config(), "heads": self.heads, "window": self.window, "shift": self.shift}
