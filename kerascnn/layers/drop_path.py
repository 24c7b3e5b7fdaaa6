"""Stochastic depth: residual branches that are left out at random while training."""

from typing import Any

import keras

from kerascnn._errors import InputError

_MODES, _SCALES = ("row", "batch"), ("training", "inference")


@keras.saving.register_keras_serializable(package="kerascnn")
class DropPath(keras.layers.Layer):
    """Replaces its input, the residual branch, by zeros with probability `rate` while training.

    Args:
        rate: probability in [0, 1) that a branch is dropped.
        mode: "row" tosses one coin per example; "batch" one for the whole batch, as in the paper.
        scale_at: where the expectation is kept equal. "training" divides what survives by 1 - rate, and inference is
            the identity; "inference" leaves training unscaled and multiplies by 1 - rate at inference, as in the paper.
        seed: whole number that fixes the coins; None draws one from Keras' global seed. It is saved with the model; how
            many coins have been tossed is not, as in all of Keras' random layers.

    Input and output: [batch, ...], any rank from 1. No weights.

    Raises:
        InputError: an argument breaks these rules.

    Source: Huang, Sun, Liu, Sedra, Weinberger, Deep networks with stochastic depth, 2016, arXiv:1603.09382, sections
    3.1 and 3.2. The name is from Larsson, Maire, Shakhnarovich, FractalNet, 2016, arXiv:1605.07648.
    """

    def __init__(
        self, rate: float, mode: str = "row", scale_at: str = "training", seed: int | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        if not isinstance(rate, int | float) or not 0 <= rate < 1:
            raise InputError(f"rate must be in [0, 1). Received: {rate!r}")
        if mode not in _MODES:
            raise InputError(f"mode must be one of {_MODES}. Received: {mode!r}")
        if scale_at not in _SCALES:
            raise InputError(f"scale_at must be one of {_SCALES}. Received: {scale_at!r}")
        self.rate, self.mode, self.scale_at, self.seed = float(rate), mode, scale_at, seed
        if rate:
            self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True
        self.built = True

    def call(self, x: Any, training: bool | None = False) -> Any:
        """x [batch, ...] -> the same shape and dtype."""
        if not self.rate:
            return x
        survival = keras.ops.cast(1 - self.rate, x.dtype)
        if not training:
            return x * survival if self.scale_at == "inference" else x
        rank = len(x.shape)
        shape = (keras.ops.shape(x)[0], *(1,) * (rank - 1)) if self.mode == "row" else (1,) * rank
        # The coin is float32 under any policy: a 16-bit uniform number is too coarse for small rates.
        dropped = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator) < self.rate
        kept = x / survival if self.scale_at == "training" else x
        return keras.ops.where(dropped, keras.ops.zeros_like(x), kept)  # not a product: 0 · NaN would leak through

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the input."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        names = ("rate", "mode", "scale_at", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
