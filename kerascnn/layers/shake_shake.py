"""Shake-Shake: two branches mixed at random, and at random otherwise in the gradient."""

from typing import Any

import keras
import tensorflow as tf


@tf.custom_gradient
def _mix(x, y, forward, backward):
    """forward * x + (1 - forward) * y, with the gradient of backward * x + (1 - backward) * y."""

    def gradient(upstream):
        return backward * upstream, (1 - backward) * upstream, None, None

    return forward * x + (1 - forward) * y, gradient


@keras.saving.register_keras_serializable(package="kerascnn")
class ShakeShake(keras.layers.Layer):
    """a * x + (1 - a) * y for the two branches [x, y] of a residual block.

    In training `a` is drawn from U(0, 1) for every image, and the gradient flows as if it were `b`, drawn
    independently: the paper's "Shake-Shake-Image". At inference a = 1/2.

    Args:
        seed: whole number that fixes the draws; None draws one from Keras' global seed.

    Input: two tensors [batch, ...] of one shape. Output: that shape. No weights.

    Source: Gastaldi, Shake-Shake regularization, 2017, arXiv:1705.07485, section 1.
    """

    def __init__(self, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        """[x, y], both [batch, ...] -> the same shape and dtype."""
        x, y = inputs
        if not training:
            return (x + y) * keras.ops.cast(0.5, x.dtype)
        shape = (keras.ops.shape(x)[0], *(1,) * (len(x.shape) - 1))
        # Drawn here, not in the gradient: a variable such as the seed must not change there.
        forward, backward = (
            keras.ops.cast(keras.random.uniform(shape, dtype="float32", seed=self.seed_generator), x.dtype)
            for _ in range(2)
        )
        return _mix(x, y, forward, backward)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of either branch."""
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {**super().get_config(), "seed": self.seed}
