"""The four places of each 2x2 patch become channels."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="kerascnn")
class PatchMerging(keras.layers.Layer):
    """Concatenates the channels of each 2x2 patch; odd maps get a row or column of zeros at the bottom or right.

    The order is top left, bottom left, top right, bottom right (`tf.nn.space_to_depth` goes by rows), as in the
    authors' release.

    Input: [batch, h, w, c], sizes known or not. Output: [batch, ceil(h/2), ceil(w/2), 4c].

    Source: Liu, Lin, Cao, Hu, Wei, Zhang, Lin, Guo: Swin Transformer: Hierarchical Vision Transformer using Shifted
    Windows, 2021, arXiv:2103.14030, section 3.1, of whose patch merging this is the concatenation.
    """

    def call(self, x: Any) -> Any:
        """x [b, h, w, c] -> [b, ceil(h/2), ceil(w/2), 4c]."""
        ops = keras.ops
        _, height, width, channels = ops.shape(x)
        if not (isinstance(height, int) and isinstance(width, int) and height % 2 == width % 2 == 0):
            x = ops.pad(x, [[0, 0], [0, height % 2], [0, width % 2], [0, 0]])
        rows, columns = (height + 1) // 2, (width + 1) // 2
        x = ops.reshape(x, (-1, rows, 2, columns, 2, channels))
        return ops.reshape(ops.transpose(x, (0, 1, 3, 4, 2, 5)), (-1, rows, columns, 4 * channels))

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """See `call`; unknown sizes stay unknown."""
        batch, *sizes, channels = input_shape
        return (batch, *(None if size is None else (size + 1) // 2 for size in sizes), 4 * channels)

    def compute_output_spec(self, x: Any) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(x.shape), dtype=self.compute_dtype)
