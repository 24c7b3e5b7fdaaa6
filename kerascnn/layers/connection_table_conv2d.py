"""A convolution in which each output map sees only the input maps that a table lists."""

from collections.abc import Sequence
from typing import Any

import keras

from kerascnn._errors import InputError
from kerascnn.ops.convolution import conv2d


@keras.saving.register_keras_serializable(package="kerascnn")
class ConnectionTableConv2D(keras.layers.Layer):
    """Convolution (stride 1, no padding) over a partial connection table, as in layer C3 of LeNet-5.

    Only the listed connections have weights: `kernel` is [k, k, connections], ordered as the table is read. A dense
    kernel with zeros at the missing connections is made from it at each call.

    Args:
        table: for each output map the indices of the input maps it sees.
        kernel_size: side k of the square window, in pixels.
        kernel_initializer: for a weight of fan-in F = k²·(inputs of its map): "fan_in" draws from U(-2.4/F, 2.4/F), the
            paper's rule; anything else is a Keras initializer of `kernel`.

    Input: [batch, height, width, maps]. Output: [batch, height - k + 1, width - k + 1, len(table)].

    Raises:
        InputError: the table is empty, lists a map twice or one that the input lacks.

    Source: LeCun, Bottou, Bengio, Haffner, Gradient-based learning applied to document recognition, 1998, Table I.
    """

    def __init__(
        self, table: Sequence[Sequence[int]], kernel_size: int, kernel_initializer: Any = "fan_in", **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.table = [[int(i) for i in row] for row in table]
        if not self.table or any(not row or len(set(row)) < len(row) or min(row) < 0 for row in self.table):
            raise InputError(f"table must list distinct input maps for each output map. Received: {table}")
        self.kernel_size = kernel_size
        self.kernel_initializer = kernel_initializer

    def build(self, input_shape: Any) -> None:
        maps, last = input_shape[-1], max(i for row in self.table for i in row)
        if last >= maps:
            raise InputError(f"table lists map {last}, so the input needs {last + 1} maps. Received: {maps}")
        pairs = [(i, o) for o, row in enumerate(self.table) for i in row]
        # Where each weight goes in the dense kernel's maps: one 1 a row of [connections, maps in * maps out].
        columns = [i * len(self.table) + o for i, o in pairs]
        self._place = [[float(c == column) for c in range(maps * len(self.table))] for column in columns]
        initializer = self.kernel_initializer
        self.kernel = self.add_weight(
            shape=(self.kernel_size, self.kernel_size, len(pairs)),
            initializer=self._fan_in_uniform if initializer == "fan_in" else keras.initializers.get(initializer),
            name="kernel",
        )
        self.bias = self.add_weight(shape=(len(self.table),), initializer="zeros", name="bias")

    def _fan_in_uniform(self, shape, dtype=None):
        bounds = [2.4 / (self.kernel_size**2 * len(row)) for row in self.table for _ in row]
        return keras.random.uniform(shape, -1, 1, dtype) * keras.ops.convert_to_tensor(bounds, dtype)

    def call(self, x: Any) -> Any:
        kernel = keras.ops.matmul(self.kernel, keras.ops.convert_to_tensor(self._place, self.compute_dtype))
        kernel = keras.ops.reshape(kernel, (self.kernel_size, self.kernel_size, x.shape[-1], len(self.table)))
        return conv2d(x, kernel, padding="valid", bias=keras.ops.cast(self.bias, self.compute_dtype))

    def compute_output_shape(self, input_shape: Any) -> Any:
        sides = [None if side is None else side - self.kernel_size + 1 for side in input_shape[1:3]]
        return (input_shape[0], *sides, len(self.table))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "table": self.table,
            "kernel_size": self.kernel_size,
            "kernel_initializer": self.kernel_initializer,
        }
