"""Keras' optimizers with decoupled weight decay on kernels only.

Decoupled decay (Loshchilov & Hutter 2019, arXiv:1711.05101) shrinks each kernel by `learning rate * weight_decay` per
step, beside the gradient step. An L2 penalty `c` adds `c * w` to the gradient instead, and with momentum `m` that
gradient counts `1 / (1 - m)` times over the following steps. So SGD with momentum m and L2 c shrinks the weights like
decoupled decay `c / (1 - m)`: a published L2 of 5e-4 at momentum 0.9 is `weight_decay=5e-3` here. (With Adam the two
differ in kind, because L2 is divided by the gradient's size.)

Biases and the scales and offsets of normalisation layers are left alone: they are the variables with one axis or none,
and they do not add capacity (He et al. 2019, arXiv:1812.01187, section 3.1, "no bias decay"). So are the tokens and
position embeddings of transformers, as in the training of DeiT (arXiv:2012.12877) and Swin (arXiv:2103.14030): whatever
is not called a kernel.
"""

import keras

from kerascnn.training.config import TrainConfig


def undecayed(variables: list[keras.Variable]) -> list[keras.Variable]:
    """Those that weight decay leaves alone: biases, norm scales and offsets, tokens, position embeddings."""
    return [variable for variable in variables if len(variable.shape) <= 1 or "kernel" not in variable.name]


def build(
    config: TrainConfig, learning_rate: float | keras.optimizers.schedules.LearningRateSchedule, model: keras.Model
) -> keras.optimizers.Optimizer:
    """Makes the optimizer of a run.

    Args:
        config: `optimizer`, `momentum`, `nesterov`, `weight_decay` are used.
        learning_rate: number or schedule.
        model: built; its trainable variables decide what is not decayed.

    Returns:
        A built optimizer, wrapped for loss scaling when the model computes in float16.
    """
    decay = config.weight_decay or None
    if config.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(
            learning_rate, momentum=float(config.momentum), nesterov=config.nesterov, weight_decay=decay
        )
    elif config.optimizer == "rmsprop":
        # Decay 0.9 and epsilon 1.0 inside the root: Szegedy et al. 2016 (arXiv:1512.00567, section 8).
        optimizer = keras.optimizers.RMSprop(
            learning_rate, rho=0.9, momentum=float(config.momentum), epsilon=1.0, weight_decay=decay
        )
    else:
        optimizer = keras.optimizers.Adam(learning_rate, weight_decay=decay)
    if decay:
        optimizer.exclude_from_weight_decay(var_list=undecayed(model.trainable_variables))
    if config.mixed_precision == "float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(model.trainable_variables)
    return optimizer
