"""BilinearUpsampling2D: the fixed transposed convolution of fully convolutional networks."""

from typing import Any

import keras

from kerascnn._errors import InputError


@keras.saving.register_keras_serializable(package="kerascnn")
class BilinearInitializer(keras.initializers.Initializer):
    """Kernels [height, width, channels, channels] that enlarge each channel by bilinear interpolation.

    Along an axis of k taps tap i is 1 - |i - c| / f with f = ceil(k / 2) and c = f - 1 for an odd, f - 1/2 for an even
    k, so that a stride of f enlarges f-fold; see Long, Shelhamer, Darrell 2014, arXiv:1411.4038, section 3.3.
    """

    def __call__(self, shape, dtype=None, **kwargs):
        """The kernel; InputError where the shape is not that of one kernel per channel."""
        if len(shape) != 4 or shape[2] != shape[3]:
            raise InputError(f"shape must be (height, width, channels, channels). Received: {tuple(shape)}")
        rows, columns = (self._taps(size) for size in shape[:2])
        taps = keras.ops.cast(rows[:, None] * columns, dtype or keras.config.floatx())
        return taps[..., None, None] * keras.ops.eye(shape[2], dtype=taps.dtype)

    @staticmethod
    def _taps(size):
        factor = (size + 1) // 2
        center = factor - (1.0 if size % 2 else 0.5)
        return 1.0 - keras.ops.abs(keras.ops.arange(size, dtype="float32") - center) / factor


@keras.saving.register_keras_serializable(package="kerascnn")
class BilinearUpsampling2D(keras.layers.Conv2DTranspose):
    """Enlarges each channel by bilinear interpolation, as a transposed convolution with weights that do not train.

    Kernel 2 * factor, stride factor, one dense kernel [2f, 2f, channels, channels] without bias, as in the authors'
    Caffe networks, where outside the map there is zero. [batch, h, w, channels] to [batch, f * h, f * w, channels] with
    padding "same", whose pixels lie as those of a resized image; with "valid" to [batch, f * h + f, f * w + f,
    channels], f / 2 more on each side.

    Args:
        filters: channels, in and out.
        factor: of the enlargement, an even number.
        padding: "same" or "valid".
        **kwargs: `name`, `dtype` and so on.

    Raises:
        InputError: `factor` is no even number of at least 2, or the channels are not `filters`.

    Source: Long, Shelhamer, Darrell: Fully Convolutional Networks for Semantic Segmentation, 2014, arXiv:1411.4038.
    """

    def __init__(self, filters: int, factor: int, padding: str = "same", *, trainable: bool = False, **kwargs: Any):
        if isinstance(factor, bool) or not isinstance(factor, int) or factor < 2 or factor % 2:
            raise InputError(f"`factor` must be an even whole number of at least 2. Received: factor={factor!r}")
        super().__init__(
            filters, 2 * factor, factor, padding, use_bias=False, kernel_initializer=BilinearInitializer(),
            trainable=trainable, **kwargs,
        )  # fmt: skip
        self.factor = factor

    def build(self, input_shape: Any) -> None:
        """Checks the channels."""
        if input_shape[-1] != self.filters:
            raise InputError(f"`filters` must be the channels. Received: {self.filters}, input {tuple(input_shape)}")
        super().build(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        base = keras.layers.Layer.get_config(self)
        return {**base, "filters": self.filters, "factor": self.factor, "padding": self.padding}
