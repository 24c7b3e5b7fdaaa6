"""Scheduled drop-path: paths of a cell that are left out at random, the more often the longer training has lasted."""

from typing import Any

import keras

from kerascnn._errors import InputError


@keras.saving.register_keras_serializable(package="kerascnn")
class Progress(keras.layers.Layer):
    """How much of the training is done, one number in [0, 1], as a weight: files keep it, and a run resumes from it.

    The weight `progress` is 1 until `kerascnn.training.ScheduleDropPath`, or anybody, assigns it. One such layer serves
    all `ScheduledDropPath` layers of a network.

    Input: any tensor, which only ties the layer to the network. Output: float32 [1]. One weight, not trainable.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(autocast=False, **kwargs)

    def build(self, input_shape: Any) -> None:
        """Makes the weight."""
        self.progress = self.add_weight(
            shape=(), initializer="ones", dtype="float32", trainable=False, autocast=False, name="progress"
        )

    def call(self, x: Any) -> Any:
        """Any tensor -> float32 [1]."""
        return keras.ops.reshape(keras.ops.convert_to_tensor(self.progress), (1,))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """One number."""
        return (1,)

    def compute_output_spec(self, x: Any) -> Any:
        """One number."""
        return keras.KerasTensor((1,), dtype="float32")


@keras.saving.register_keras_serializable(package="kerascnn")
class ScheduledDropPath(keras.layers.Layer):
    """Replaces its input, a path inside a cell, by zeros with probability `rate` · progress while training.

    Each example of a batch has a coin of its own. What survives is divided by the probability to survive; inference is
    the identity.

    Args:
        rate: probability in [0, 1) at the end of training.
        seed: whole number that fixes the coins; None draws one from Keras' global seed. It is saved with the model; how
            many coins have been tossed is not, as in all of Keras' random layers.

    Input: [x, progress]: the path [batch, ...] and what `Progress` put out. Output: the shape and dtype of x. No
    weights.

    Raises:
        InputError: `rate` is something else.

    Source: Zoph, Vasudevan, Shlens, Le, Learning transferable architectures for scalable image recognition, 2017,
    arXiv:1707.07012, appendix A.3.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(autocast=False, **kwargs)  # progress stays float32
        if not isinstance(rate, int | float) or isinstance(rate, bool) or not 0 <= rate < 1:
            raise InputError(f"rate must be in [0, 1). Received: {rate!r}")
        self.rate, self.seed = float(rate), seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        """[x, progress] -> the shape and dtype of x."""
        x, progress = inputs
        if not training:
            return x
        rate = self.rate * keras.ops.cast(progress, "float32")  # [1]
        ones = (1,) * (len(x.shape) - 1)
        # The coin is float32 under any policy: a 16-bit uniform number is too coarse for small rates.
        coin = keras.random.uniform((keras.ops.shape(x)[0], *ones), dtype="float32", seed=self.seed_generator)
        kept = x * keras.ops.cast(1 / (1 - rate), x.dtype)
        return keras.ops.where(coin < rate, keras.ops.zeros_like(x), kept)  # not a product: 0 · NaN would leak through

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of x."""
        return tuple(input_shape[0])

    def compute_output_spec(self, inputs: Any, training: bool | None = False) -> Any:
        """Shape and dtype of x."""
        return keras.KerasTensor(inputs[0].shape, dtype=inputs[0].dtype)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
