"""Attention in linear time, by random features of its kernel."""

import math
from typing import Any

import keras

from kerascnn._errors import InputError


@keras.saving.register_keras_serializable(package="kerascnn")
class PerformerAttention(keras.layers.Layer):
    """Each token reads all, one head: keys, queries and values side by side, [b, n, 3 d], to [b, n, d].

    exp(q·k) is estimated as f(q)·f(k) with f(x) = exp(W x - |x|² / 2) / sqrt(m), where the m rows of W are orthogonal
    and sqrt(m) long; so the sum over keys is made once for all queries. Computed in float32 under mixed precision.

    Args:
        features: m, the number of random features.
        seed: whole number that fixes W, which is drawn once, saved with the model and not trained.

    Input: the last axis is [key, query, value], each d, in this order.
    Weight: `projections` [m, d], not trainable.

    Raises:
        InputError: an argument is no such number, or the width of the input no multiple of 3.

    Source: Choromanski et al., Rethinking attention with performers, 2020, arXiv:2009.14794, section 2; the length of
    the rows as in the release of T2T-ViT (arXiv:2101.11986), which has sqrt(m) where the paper has about sqrt(d).
    """

    def __init__(self, features: int, seed: int = 0, **kwargs: Any):
        super().__init__(**kwargs)
        for key, value, least in (("features", features, 1), ("seed", seed, 0)):
            if not isinstance(value, int) or value < least:
                raise InputError(f"{key} must be a whole number, at least {least}. Received: {value!r}")
        self.features, self.seed = features, seed

    def build(self, input_shape: Any) -> None:
        """Draws the projections."""
        width = self.compute_output_shape(input_shape)[-1]
        self.projections = self.add_weight(
            shape=(self.features, width),
            initializer=keras.initializers.Orthogonal(gain=math.sqrt(self.features), seed=self.seed),
            trainable=False,
            autocast=False,
            name="projections",
        )

    def call(self, kqv: Any) -> Any:
        """kqv [b, n, 3 d] -> [b, n, d]."""
        ops = keras.ops
        exact = keras.backend.result_type(self.compute_dtype, "float32")
        key, query, value = ops.split(ops.cast(kqv, exact), 3, axis=-1)
        key, query = self._features(key), self._features(query)
        sums = ops.einsum("bnm,bnd->bmd", key, value)
        weights = ops.einsum("bnm,bm->bn", query, ops.sum(key, axis=1))[..., None]
        y = ops.einsum("bnm,bmd->bnd", query, sums) / (weights + 1e-8)  # as released
        return ops.cast(y, self.compute_dtype)

    def _features(self, x):
        """x [b, n, d] -> [b, n, m]."""
        ops = keras.ops
        projected = ops.einsum("bnd,md->bnm", x, ops.cast(self.projections, x.dtype))
        return ops.exp(projected - ops.sum(ops.square(x), axis=-1, keepdims=True) / 2) / math.sqrt(self.features)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """See `call`; unknown sizes stay unknown."""
        if len(input_shape) != 3 or input_shape[-1] % 3:
            raise InputError(f"The input must be [batch, tokens, 3 d]. Received: {tuple(input_shape)}")
        return (*input_shape[:2], input_shape[-1] // 3)

    def compute_output_spec(self, kqv: Any) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(kqv.shape), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {**super().get_config(), "features": self.features, "seed": self.seed}
