"""Keras' optimizers with decoupled weight decay on kernels only, by name.

Decoupled decay (Loshchilov & Hutter 2019, arXiv:1711.05101) shrinks each kernel by `learning rate * weight_decay` per
step, beside the gradient step. An L2 penalty `c` adds `c * w` to the gradient instead, and with momentum `m` that
gradient counts `1 / (1 - m)` times over the following steps. So SGD with momentum m and L2 c shrinks the weights like
decoupled decay `c / (1 - m)`: a published L2 of 5e-4 at momentum 0.9 is `weight_decay=5e-3` here. (With Adam the two
differ in kind, because L2 is divided by the gradient's size.)

Biases and the scales and offsets of normalization layers are left alone: they are the variables with one axis or none,
and they do not add capacity (He et al. 2019, arXiv:1812.01187, section 3.1, "no bias decay"). So are the tokens and
position embeddings of transformers, as in the training of DeiT (arXiv:2012.12877) and Swin (arXiv:2103.14030): whatever
is not called a kernel.

The names are needed before TensorFlow is loaded, so Keras is imported where it is used.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for the hints alone
    import keras

    from kerascnn.training.config import TrainConfig


@dataclasses.dataclass(frozen=True)
class Rule:
    """One kind of step."""

    make: Callable[..., Any]  # (config, learning_rate, weight_decay) -> a Keras optimizer
    # Fields of a configuration that fit it, where a recipe for another rule has it replaced.
    defaults: Mapping[str, float] = dataclasses.field(default_factory=dict)
    takes_l2: bool = False  # a published L2 coefficient c means the decoupled c / (1 - momentum)


def _sgd(config, learning_rate, weight_decay):
    import keras

    return keras.optimizers.SGD(
        learning_rate, momentum=float(config.momentum), nesterov=config.nesterov, weight_decay=weight_decay
    )


def _rmsprop(config, learning_rate, weight_decay):
    import keras

    # Decay 0.9 and epsilon 1.0 inside the root: Szegedy et al. 2016 (arXiv:1512.00567, section 8).
    return keras.optimizers.RMSprop(
        learning_rate, rho=0.9, momentum=float(config.momentum), epsilon=1.0, weight_decay=weight_decay
    )


def _adam(config, learning_rate, weight_decay):
    import keras

    return keras.optimizers.Adam(learning_rate, weight_decay=weight_decay)


OPTIMIZERS: dict[str, Rule] = {
    "sgd": Rule(_sgd, takes_l2=True),
    "rmsprop": Rule(_rmsprop),
    "adam": Rule(_adam, {"learning_rate": 1e-3, "weight_decay": 1e-2}),
}


def undecayed(variables: "list[keras.Variable]") -> "list[keras.Variable]":
    """Those that weight decay leaves alone: biases, norm scales and offsets, tokens, position embeddings."""
    return [variable for variable in variables if len(variable.shape) <= 1 or "kernel" not in variable.name]


def build(
    config: "TrainConfig",
    learning_rate: "float | keras.optimizers.schedules.LearningRateSchedule",
    model: "keras.Model",
    starts: Mapping[str, int] | None = None,
) -> "keras.optimizers.Optimizer":
    """Makes the optimizer of a run.

    Args:
        config: `optimizer`, `momentum`, `nesterov`, `weight_decay`, `layer_decay` are used.
        learning_rate: number or schedule, of the head where there is a `layer_decay`.
        model: built; its trainable variables decide what is not decayed.
        starts: path of a variable -> the step from which it is trained, of those that are not from the first step on.

    Returns:
        A built optimizer, wrapped for loss scaling when the model computes in float16.
    """
    import keras

    decay = config.weight_decay or None
    optimizer = OPTIMIZERS[config.optimizer].make(config, learning_rate, decay)
    if config.layer_decay != 1 or starts:
        from kerascnn.training import rates

        optimizer = rates.by_variable(optimizer, rates.by_depth(model, config.layer_decay), starts or {})
    if decay:
        optimizer.exclude_from_weight_decay(var_list=undecayed(model.trainable_variables))
    if config.mixed_precision == "float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(model.trainable_variables)
    return optimizer


def last_rate(optimizer: "keras.optimizers.Optimizer") -> float:
    """The learning rate of the step taken last."""
    import keras

    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    schedule = getattr(optimizer, "_learning_rate", None)
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        return float(schedule(optimizer.iterations - 1))
    return float(optimizer.learning_rate)
