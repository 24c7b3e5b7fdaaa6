"""Learning rates by name, as functions of the step, which files keep, and of the validation losses (plateau).

The names are needed before TensorFlow is loaded, so Keras is imported where it is used.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for the hints alone
    import keras

    from kerascnn.training.config import TrainConfig


@dataclasses.dataclass(frozen=True)
class Schedule:
    """One way in which the rate falls."""

    # (config, steps of the run, steps of the warm-up) -> a Keras schedule, or the peak for a callback to change
    make: Callable[..., Any]
    spans_run: bool  # the rate at a step depends on how long the run is
    warms_up: bool = False  # `make` has the warm-up in it


def _constant(config, total, warm):
    import keras

    return keras.optimizers.schedules.ExponentialDecay(config.learning_rate, total, 1.0)  # a schedule takes a warm-up


def _step(config, total, warm):
    import keras

    boundaries = [round(part * total) - 1 for part in config.milestones]  # Keras keeps the old value at a boundary
    values = [config.learning_rate * config.decay_rate**i for i in range(len(boundaries) + 1)]
    return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, values)


def _plateau(config, total, warm):
    return config.learning_rate


def _cosine(config, total, warm):
    """Loshchilov & Hutter 2017 (arXiv:1608.03983), equation 5 with one cycle, from the end of the warm-up."""
    import keras

    rest = max(total - warm, 1)
    if warm == 0:
        return keras.optimizers.schedules.CosineDecay(config.learning_rate, rest)
    return keras.optimizers.schedules.CosineDecay(0.0, rest, warmup_target=config.learning_rate, warmup_steps=warm)


def _exponential(config, total, warm):
    import keras

    return keras.optimizers.schedules.ExponentialDecay(config.learning_rate, total, config.decay_rate)


def _poly(config, total, warm):
    """Chen et al. 2016 (arXiv:1606.00915), section 4.1.2: (1 - step / total)^power, theirs 0.9."""
    import keras

    return keras.optimizers.schedules.PolynomialDecay(
        config.learning_rate, total, end_learning_rate=0.0, power=config.power
    )


def _every(config, total, warm):
    """Szegedy et al. 2014 (arXiv:1409.4842), section 6: the rate falls by 4 % every 8 epochs."""
    import keras

    steps = max(round(total / config.epochs * config.decay_every), 1)
    return keras.optimizers.schedules.ExponentialDecay(config.learning_rate, steps, config.decay_rate, staircase=True)


def _restarts(config, total, warm):
    """Loshchilov & Hutter 2017 (arXiv:1608.03983), equation 5."""
    import keras

    steps = max(round(total / config.epochs * config.restart_epochs), 1)
    return keras.optimizers.schedules.CosineDecayRestarts(config.learning_rate, steps, t_mul=config.restart_factor)


SCHEDULES: dict[str, Schedule] = {
    "constant": Schedule(_constant, spans_run=False),
    "step": Schedule(_step, spans_run=True),
    "plateau": Schedule(_plateau, spans_run=False, warms_up=True),
    "cosine": Schedule(_cosine, spans_run=True, warms_up=True),
    "exponential": Schedule(_exponential, spans_run=True),
    "poly": Schedule(_poly, spans_run=True),
    "every": Schedule(_every, spans_run=False),
    "restarts": Schedule(_restarts, spans_run=False),
}


def learning_rate(
    config: "TrainConfig", steps_per_epoch: int
) -> "float | keras.optimizers.schedules.LearningRateSchedule":
    """What to give an optimizer as its learning rate.

    Args:
        config: `schedule`, `learning_rate`, `warmup_epochs`, `epochs`, `milestones`, `decay_rate`, `decay_every`,
            `power`, `restart_epochs`, `restart_factor` are used.
        steps_per_epoch: batches in an epoch.

    Returns:
        A schedule of the optimizer's step, or, for "plateau", the peak as a number that a callback then changes.
    """
    from kerascnn.training.warm_up import WarmUp

    total = config.epochs * steps_per_epoch
    warm = round(config.warmup_epochs * steps_per_epoch)
    kind = SCHEDULES[config.schedule]
    schedule = kind.make(config, total, warm)
    return WarmUp(schedule, warm) if warm and not kind.warms_up else schedule


def plateau(config: "TrainConfig", losses: Sequence[float]) -> float:
    """The rate of the next epoch under the "plateau" schedule; a pure function, so that a resumed run gets the same.

    Args:
        config: `learning_rate`, `decay_rate` and `patience` are used.
        losses: validation loss of each epoch so far.

    Returns:
        The peak times `decay_rate` for each `patience` epochs in a row without a lower loss.
    """
    rate, best, waited = config.learning_rate, float("inf"), 0
    for loss in losses:
        if loss < best:
            best, waited = loss, 0
            continue
        waited += 1
        if waited == config.patience:
            rate, waited = rate * config.decay_rate, 0
    return rate


def stopped(config: "TrainConfig", losses: Sequence[float]) -> bool:
    """Whether a run ends before its last epoch; a pure function, so that a resumed run ends as another.

    Args:
        config: `early_stopping` is used.
        losses: validation loss of each epoch so far.

    Returns:
        Whether the last `early_stopping` epochs, where it is not 0, were all without a loss below the lowest before.
    """
    wait = config.early_stopping
    if not wait or len(losses) <= wait:
        return False
    return min(losses[-wait:]) >= min(losses[:-wait])
