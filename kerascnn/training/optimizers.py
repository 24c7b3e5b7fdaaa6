"""Optimizers by name, with weight decay on kernels only.

Decoupled decay (Loshchilov & Hutter 2019, arXiv:1711.05101) shrinks each kernel by `learning rate * weight_decay` per
step, beside the gradient step. An L2 penalty `c` adds `c * w` to the gradient instead (the field `l2` does this), and
with momentum `m` that gradient counts `1 / (1 - m)` times over the following steps. So SGD with momentum m and L2 c
shrinks the weights like decoupled decay `c / (1 - m)`: a published L2 of 5e-4 at momentum 0.9 is `weight_decay=5e-3`
here. (With Adam and RMSProp the two differ in kind, because L2 is divided by the gradient's size.)

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

OWN = ("epsilon", "beta_1", "beta_2")  # fields of a configuration that are 0 where the optimizer's own value is meant


@dataclasses.dataclass(frozen=True)
class Rule:
    """One kind of step."""

    make: Callable[..., Any]  # (learning_rate, **arguments) -> a Keras optimizer
    arguments: Mapping[str, Any]  # field of a configuration -> what it is where the field is 0; see `OWN`
    # Fields of a configuration that fit it, where a recipe for another rule has it replaced.
    defaults: Mapping[str, float] = dataclasses.field(default_factory=dict)
    scaling: float = 1.0  # the rate goes with the size of the batch to this power
    takes_l2: bool = False  # a published L2 coefficient c means the decoupled c / (1 - momentum)


def _keras(name: str, **renamed: str) -> Callable[..., Any]:
    def make(learning_rate, **arguments):
        import keras

        kind = getattr(keras.optimizers, name)
        return kind(learning_rate, **{renamed.get(key, key): value for key, value in arguments.items()})

    return make


def _own(name: str, **renamed: str) -> Callable[..., Any]:
    def make(learning_rate, **arguments):
        from kerascnn.training import rules

        return getattr(rules, name)(learning_rate, **{renamed.get(key, key): value for key, value in arguments.items()})

    return make


_ADAM = {"epsilon": 1e-7, "beta_1": 0.9, "beta_2": 0.999}
OPTIMIZERS: dict[str, Rule] = {
    "sgd": Rule(_keras("SGD"), {"momentum": None, "nesterov": None}, takes_l2=True),
    # Decay 0.9 and epsilon 1.0 inside the root: Szegedy et al. 2016 (arXiv:1512.00567, section 8).
    "rmsprop": Rule(_keras("RMSprop", beta_2="rho"), {"momentum": None, "epsilon": 1.0, "beta_2": 0.9}),
    # Tan & Le 2019 (arXiv:1905.11946, section 5.2) and its code: decay 0.9, momentum 0.9, epsilon 1e-3.
    "rmsprop_tf": Rule(
        _own("RMSpropTF", beta_2="rho"), {"momentum": None, "epsilon": 1e-3, "beta_2": 0.9}, {"learning_rate": 0.016}
    ),
    # Zeiler 2012 (arXiv:1212.5701).
    "adadelta": Rule(_keras("Adadelta", beta_2="rho"), {"epsilon": 1e-6, "beta_2": 0.95}, {"learning_rate": 1.0}),
    "adam": Rule(_keras("Adam"), _ADAM, {"learning_rate": 1e-3, "weight_decay": 1e-2}),
    "adamw": Rule(_own("AdamW"), {**_ADAM, "epsilon": 1e-8}, {"learning_rate": 1e-3, "weight_decay": 5e-2}),
    # You et al. 2019 (arXiv:1904.00962); epsilon 1e-6 and rates as in arXiv:2110.00476, table 2.
    "lamb": Rule(_own("Lamb"), {**_ADAM, "epsilon": 1e-6}, {"learning_rate": 5e-3, "weight_decay": 2e-2}, scaling=0.5),
    # Chen et al. 2023 (arXiv:2302.06675, section 5): a rate 3 to 10 times below AdamW's, a decay as much above it.
    "lion": Rule(
        _keras("Lion"), {"beta_1": 0.9, "beta_2": 0.99}, {"learning_rate": 1e-4, "weight_decay": 0.5}
    ),
}  # fmt: skip


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
        config: `optimizer`, `momentum`, `nesterov`, `epsilon`, `beta_1`, `beta_2`, `weight_decay`, `l2`, `clip_norm`,
            `clip_value`, `clip_adaptive`, `accumulate`, `layer_decay`, `mixed_precision` are used.
        learning_rate: number or schedule, of the head where there is a `layer_decay`.
        model: built; its trainable variables decide what is not decayed.
        starts: path of a variable -> the step from which it is trained, of those that are not from the first step on.

    Returns:
        A built optimizer, wrapped for loss scaling when the model computes in float16.
    """
    import keras

    rule = OPTIMIZERS[config.optimizer]
    arguments = {
        name: (getattr(config, name) or own) if name in OWN else getattr(config, name)
        for name, own in rule.arguments.items()
    }
    optimizer = rule.make(learning_rate, weight_decay=config.weight_decay or None, **arguments)
    if needs_steps(config) or starts:
        from kerascnn.training import rates, steps

        units = steps.unit_axes(model) if config.clip_adaptive else None
        optimizer = steps.extended(
            optimizer, factors=rates.by_depth(model, config.layer_decay), starts=starts or {}, l2=config.l2,
            clip_norm=config.clip_norm, clip_value=config.clip_value, clip_adaptive=config.clip_adaptive,
            units=units, accumulate=config.accumulate,
        )  # fmt: skip
    if config.weight_decay or config.l2:
        optimizer.exclude_from_weight_decay(var_list=undecayed(model.trainable_variables))
    if config.mixed_precision == "float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(model.trainable_variables)
    return optimizer


def needs_steps(config: "TrainConfig") -> bool:
    """Whether a configuration asks for what Keras' optimizers lack, or do wrong; see `kerascnn.training.steps`."""
    clipped = config.clip_norm or config.clip_value or config.clip_adaptive
    return bool(config.layer_decay != 1 or config.l2 or clipped or config.accumulate > 1)


def last_rate(optimizer: "keras.optimizers.Optimizer") -> float:
    """The learning rate of the step taken last."""
    import keras

    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    schedule = getattr(optimizer, "_learning_rate", None)
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        return float(schedule(getattr(optimizer, "batches", optimizer.iterations) - 1))
    return float(optimizer.learning_rate)
