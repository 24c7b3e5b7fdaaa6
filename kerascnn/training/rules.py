"""Steps that Keras computes otherwise than the papers, or not at all: RMSProp as in TensorFlow 1, AdamW, LAMB.

tests/training/test_rules.py holds the formulas and shows in what Keras' own optimizers differ.
"""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kerascnn.rules")
class RMSpropTF(keras.optimizers.RMSprop):
    """RMSProp as TensorFlow 1 computed it, with which MobileNet, EfficientNet and their like were trained.

    s = rho s + (1 - rho) g^2, beginning with s = 1; m = momentum m + rate g / sqrt(s + epsilon); w = w - m. Keras'
    optimizer, too, has epsilon within the root, but begins with s = 0, so that its first steps are up to
    1 / sqrt(1 - rho) times as long as the rate.

    Args:
        learning_rate: number or schedule.
        rho: how much of the mean square is kept, in [0, 1).
        momentum: in [0, 1).
        epsilon: within the root.
        **options: as every Keras optimizer takes them.

    Source:
        Tieleman, Hinton 2012, lecture 6.5 of "Neural networks for machine learning"; the form is that of
        `tf.compat.v1.train.RMSPropOptimizer`, used by Tan & Le 2019 (arXiv:1905.11946, section 5.2).

    Example:

        from kerascnn.training.rules import RMSpropTF

        model.compile(RMSpropTF(0.016, momentum=0.9, epsilon=1e-3), "sparse_categorical_crossentropy")
    """

    def add_optimizer_variables(self, trainable_variables, name, initializer="zeros"):
        """See `keras.optimizers.Optimizer`; the mean square begins with ones."""
        started = "ones" if name == "velocity" else initializer
        return super().add_optimizer_variables(trainable_variables, name, initializer=started)


@keras.saving.register_keras_serializable(package="kerascnn.rules")
class AdamW(keras.optimizers.Adam):
    """Adam with decoupled weight decay, epsilon where the papers and PyTorch have it.

    w = w - rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon), after w = w - rate weight_decay w. Keras'
    optimizer adds epsilon to the root of the uncorrected v: in the first step that is as if epsilon were 32 times as
    large.

    Args:
        learning_rate: number or schedule.
        beta_1, beta_2: how much of the mean of gradients and of their squares is kept.
        epsilon: beside the root.
        **options: as every Keras optimizer takes them.

    Source:
        Kingma & Ba 2015 (arXiv:1412.6980), algorithm 1; Loshchilov & Hutter 2019 (arXiv:1711.05101), algorithm 2.

    Example:

        from kerascnn.training.rules import AdamW

        model.compile(AdamW(1e-3, weight_decay=0.05), "sparse_categorical_crossentropy")
    """

    def update_step(self, gradient, variable, learning_rate):
        update = _adam(self, gradient, variable)
        self.assign_sub(variable, ops.cast(learning_rate, variable.dtype) * update)


@keras.saving.register_keras_serializable(package="kerascnn.rules")
class Lamb(keras.optimizers.Lamb):
    """LAMB: Adam's step and the weight decay together, as long as the weights are.

    u = Adam's step + weight_decay w; w = w - rate (|w| / |u|) u for what is decayed. What is excluded from weight decay
    (biases, norms) takes Adam's step as it is, as in the authors' code. Where |w| or |u| is 0 the factor is 1. Keras'
    optimizer decays beside the step, outside of the ratio, and scales biases and norms too.

    Args:
        learning_rate: number or schedule.
        beta_1, beta_2: how much of the mean of gradients and of their squares is kept.
        epsilon: beside the root.
        **options: as every Keras optimizer takes them.

    Source:
        You et al. 2019 (arXiv:1904.00962), algorithm 2.

    Example:

        from kerascnn.training.rules import Lamb

        model.compile(Lamb(5e-3, weight_decay=0.02), "sparse_categorical_crossentropy")
    """

    def _apply_weight_decay(self, variables: Any) -> None:
        """Nothing: `update_step` has it in the ratio."""

    def update_step(self, gradient, variable, learning_rate):
        rate = ops.cast(learning_rate, variable.dtype)
        update = _adam(self, gradient, variable)
        if self._use_weight_decay(variable):
            value = ops.convert_to_tensor(variable)
            update = update + ops.cast(self.weight_decay or 0.0, variable.dtype) * value
            weights, step = (ops.sqrt(ops.sum(ops.square(x))) for x in (value, update))
            usable = ops.logical_and(weights > 0, step > 0)
            rate = rate * ops.where(usable, weights / ops.where(usable, step, 1.0), 1.0)
        self.assign_sub(variable, rate * update)


def _adam(optimizer, gradient, variable):
    """Adam's step for a rate of 1, with the bias of both averages corrected; updates the averages."""
    gradient = ops.cast(gradient, variable.dtype)
    index = optimizer._get_variable_index(variable)
    first, second = optimizer._momentums[index], optimizer._velocities[index]
    taken = ops.cast(optimizer.iterations + 1, variable.dtype)
    betas = (ops.cast(beta, variable.dtype) for beta in (optimizer.beta_1, optimizer.beta_2))
    corrections = [1 - ops.power(beta, taken) for beta in betas]
    optimizer.assign_add(first, (gradient - first) * (1 - optimizer.beta_1))
    optimizer.assign_add(second, (ops.square(gradient) - second) * (1 - optimizer.beta_2))
    return (first / corrections[0]) / (ops.sqrt(second / corrections[1]) + optimizer.epsilon)
