"""Sub-sampling with a trainable coefficient and bias per map."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="kerascnn")
class Subsampling2D(keras.layers.Layer):
    """Sum over non-overlapping windows, times a trainable coefficient, plus a trainable bias, both per map.

    Args:
        pool_size: side of the square window, in pixels; rows and columns left over are dropped.

    Input: [batch, height, width, maps]. Output: [batch, height // pool_size, width // pool_size, maps].

    The coefficient starts in U(-2.4/F, 2.4/F) with fan-in F = pool_size², the paper's rule for all weights.

    Source: LeCun, Bottou, Bengio, Haffner, Gradient-based learning applied to document recognition, 1998, S2 and S4.
    """

    def __init__(self, pool_size: int = 2, **kwargs: Any):
        super().__init__(**kwargs)
        self.pool_size = pool_size

    def build(self, input_shape: Any) -> None:
        bound = 2.4 / self.pool_size**2
        start = keras.initializers.RandomUniform(-bound, bound)
        self.coefficient = self.add_weight(shape=(input_shape[-1],), initializer=start, name="coefficient")
        self.bias = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="bias")

    def call(self, x: Any) -> Any:
        mean = keras.ops.average_pool(x, self.pool_size, padding="valid", data_format="channels_last")
        return mean * (self.coefficient * self.pool_size**2) + self.bias

    def compute_output_shape(self, input_shape: Any) -> Any:
        sides = [None if side is None else side // self.pool_size for side in input_shape[1:3]]
        return (input_shape[0], *sides, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pool_size": self.pool_size}
