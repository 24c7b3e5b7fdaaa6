"""Stochastic depth as published: one coin per mini-batch, rescaled at test time."""

import keras

from kerascnn._errors import InputError


@keras.saving.register_keras_serializable(package="kerascnn")
class BatchStochasticDepth(keras.layers.Layer):
    """Keeps or drops a whole residual branch for the whole mini-batch; at test time scales it by its survival.

    `DropPath` tosses one coin per example and rescales while training instead; both have the same expectation.

    Args:
        survival: probability in (0, 1] that the branch is kept.
        seed: of the coin; None takes Keras' global seed.

    Input and output: [batch, ...]. Training: x with probability `survival`, else zeros. Otherwise: x · survival.

    Raises:
        InputError: survival outside (0, 1].

    Source: Huang, Sun, Liu, Sedra, Weinberger, Deep networks with stochastic depth, 2016, arXiv:1603.09382, equation 5.
    """

    def __init__(self, survival: float, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        if not 0 < survival <= 1:
            raise InputError(f"survival must be in (0, 1]. Received: {survival}")
        self.survival, self.seed = survival, seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, x, training=False):
        if not training:
            return x * keras.ops.cast(self.survival, x.dtype)
        kept = keras.random.uniform((), seed=self.seed_generator) < self.survival
        return keras.ops.where(kept, x, keras.ops.zeros_like(x))  # where, so that a dropped branch cannot leak NaN

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "survival": self.survival, "seed": self.seed}
