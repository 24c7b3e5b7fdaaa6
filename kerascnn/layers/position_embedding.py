"""Learned vectors that tell tokens apart by their place."""

import math
from collections.abc import Mapping
from typing import Any

import keras

from kerascnn._errors import InputError


@keras.saving.register_keras_serializable(package="kerascnn")
class PositionEmbedding(keras.layers.Layer):
    """Adds a learned vector to each token: [b, prefix + h * w, d], or a map [b, h, w, d], to the same shape.

    Args:
        grid: (h, w), the patches of an image; `kerascnn.weights.load_weights` resizes from another grid to this one.
        prefix: tokens before those of the grid, such as a class token.
        stddev: of the normal distribution that the vectors are drawn from.

    Raises:
        InputError: the grid or the prefix is no such number, or the tokens of the input are others.

    Source: Dosovitskiy et al., An image is worth 16x16 words, 2020, arXiv:2010.11929, section 3.1 and appendix D.4.
    """

    def __init__(self, grid: tuple[int, int], prefix: int = 0, stddev: float = 0.02, **kwargs: Any):
        super().__init__(**kwargs)
        if len(grid) != 2 or min(grid) < 1 or prefix < 0:
            raise InputError(
                f"grid must be two positive numbers, prefix at least 0. Received: grid={grid}, prefix={prefix}"
            )
        self.grid, self.prefix, self.stddev = (int(grid[0]), int(grid[1])), int(prefix), float(stddev)

    def build(self, input_shape: Any) -> None:
        """Makes the vectors: `prefix` [prefix, d] where there are such tokens, `positions` [h, w, d]."""
        self.compute_output_shape(input_shape)
        normal, width = keras.initializers.RandomNormal(stddev=self.stddev), input_shape[-1]
        self.first = None
        if self.prefix:
            self.first = self.add_weight(shape=(self.prefix, width), initializer=normal.clone(), name="prefix")
        self.positions = self.add_weight(shape=(*self.grid, width), initializer=normal, name="positions")

    def call(self, x: Any) -> Any:
        """x of one of the two shapes -> the same shape."""
        self.compute_output_shape(x.shape)
        positions = self.positions
        if len(x.shape) == 3:
            positions = keras.ops.reshape(positions, (-1, x.shape[-1]))
            if self.prefix:
                positions = keras.ops.concatenate([self.first, positions], axis=0)
        return x + keras.ops.cast(positions, x.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the input, if it has these tokens."""
        tokens = (self.prefix + math.prod(self.grid),)
        fits = tuple(input_shape[1:-1]) == tokens or (not self.prefix and tuple(input_shape[1:-1]) == self.grid)
        if not fits:
            raise InputError(
                f"The position embedding is one for {self.grid} patches and {self.prefix} other tokens, "
                f"[batch, {tokens[0]}, d]. Received: {tuple(input_shape)}"
            )
        return tuple(input_shape)

    def compute_output_spec(self, x: Any) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(x.shape), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {**super().get_config(), "grid": self.grid, "prefix": self.prefix, "stddev": self.stddev}

    def from_torch(self, entries: Mapping) -> list:
        """The variables from PyTorch's form, [1, prefix + n, d] or a map [1, d, h, w].

        Where n is a square number the n patches are taken to be a square, as timm does; else they must be the grid.

        Args:
            entries: the only parameter, a NumPy array, by its name.

        Returns:
            Arrays in the layout of this layer's variables, for the grid of the file; what has another form unchanged.
        """
        (array, *others) = entries.values()
        if others or array.ndim not in (3, 4) or len(array) != 1:
            return [array, *others]
        if array.ndim == 4:
            return [array[0].transpose(1, 2, 0)]
        first, positions = array[0, : self.prefix], array[0, self.prefix :]
        side = math.isqrt(len(positions))
        grid = (side, side) if side**2 == len(positions) else self.grid
        if len(positions) != math.prod(grid):
            return [array]
        positions = positions.reshape(*grid, -1)
        return [first, positions] if self.prefix else [positions]

    def to_torch(self, arrays: list) -> dict:
        """PyTorch's form of the variables, the inverse of `from_torch`.

        Args:
            arrays: of NumPy, in the order of the variables.

        Returns:
            {"": array}: the parameter has the name of the module.
        """
        *first, positions = arrays
        if len(self.input.shape) == 4:
            return {"": positions.transpose(2, 0, 1)[None]}
        rows = [*first, positions.reshape(-1, positions.shape[-1])]
        return {"": keras.ops.convert_to_numpy(keras.ops.concatenate(rows))[None]}

    def resized(self, arrays: list) -> list:
        """Variables that were made for another grid, interpolated to this one; those of other tokens as they are.

        Bicubic with antialiasing, as timm's `resample_abs_pos_embed`; the authors' JAX code interpolates linearly,
        torchvision bicubically with aligned corners.

        Args:
            arrays: of NumPy, in the order of the variables.

        Returns:
            The same, the positions with the shape [h, w, d].
        """
        *first, positions = arrays
        if len(arrays) != 1 + bool(self.prefix) or positions.ndim != 3 or positions.shape[:2] == self.grid:
            return arrays
        image = keras.ops.convert_to_tensor(positions.astype("float32"))
        image = keras.ops.image.resize(
            image, self.grid, interpolation="bicubic", antialias=True, data_format="channels_last"
        )
        return [*first, keras.ops.convert_to_numpy(image).astype(positions.dtype)]
