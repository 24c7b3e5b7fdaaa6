"""SAF-pooling as a layer."""

from typing import Any

import keras

from kerascnn import ops
from kerascnn._errors import InputError
from kerascnn.ops._windows import Pair, output_sizes
from kerascnn.ops.saf_pool2d import check_arguments


@keras.saving.register_keras_serializable(package="kerascnn")
class SAFPooling2D(keras.layers.Layer):
    """Max-pools images and, while training, drops pooled values at random; see `kerascnn.ops.saf_pool2d`.

    The same as `keras.layers.MaxPooling2D` followed by `Dropout` (mode "element") or `SpatialDropout2D` (mode
    "channel"), in one pass. At inference it is plain max-pooling.

    Args:
        pool_size: the window, one int or (vertical, horizontal); None is the whole image (global pooling).
        strides: step between windows, one int or (vertical, horizontal); None is `pool_size`.
        padding: "valid" or "same".
        rate: probability of a pooled value to be dropped, at least 0 and less than 1.
        mode: "element" drops single values, as the paper's networks do; "channel" whole channels of an image, as the
            authors' later code does.
        seed: whole number that fixes what is dropped; None draws one from Keras' global seed. It is saved with the
            model; how often values were dropped is not, as in all of Keras' random layers.

    Input: [batch, height, width, channels]. Output: [batch, out height, out width, channels], of height and width 1
    where `pool_size` is None. No weights. It can be compiled by XLA.

    Raises:
        InputError: an argument breaks these rules, or the window does not fit into the image.

    Source: Hasanpour, Rouhani, Fayyaz, Sabokrou, Adeli, Towards principled design of deep convolutional networks:
    introducing SimpNet, 2018, arXiv:1802.06205.
    """

    def __init__(
        self,
        pool_size: Pair | None = 2,
        strides: Pair | None = None,
        padding: str = "valid",
        rate: float = 0.2,
        mode: str = "element",
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.pool_size, self.strides, self.padding = check_arguments(pool_size, strides, padding, rate, mode)
        self.rate, self.mode, self.seed = float(rate), mode, seed
        if rate:
            self.seed_generator = keras.random.SeedGenerator(seed)
        self.input_spec = keras.layers.InputSpec(ndim=4)
        self.supports_jit = True  # the op traces its plain form for XLA
        self.built = True

    def call(self, x: Any, training: bool | None = False) -> Any:
        """x [batch, height, width, channels] -> [batch, out height, out width, channels], the same dtype."""
        training = bool(training and self.rate)
        seed = self.seed_generator.next() if training else None
        return ops.saf_pool2d(
            x, self.pool_size, self.strides, self.padding, self.rate, self.mode, seed=seed, training=training
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """[batch, out height, out width, channels]."""
        batch, *sizes, channels = input_shape
        if self.pool_size is None:
            return batch, 1, 1, channels
        height, width = output_sizes(sizes, self.pool_size, self.strides, (1, 1), self.padding)
        if 0 in (height, width):
            raise InputError(
                f"The window must fit into the image. Received: {tuple(input_shape)}, pool_size={self.pool_size}"
            )
        return batch, height, width, channels

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        names = ("pool_size", "strides", "padding", "rate", "mode", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
