"""Learning rates as functions of the step (saved with the model), and of the validation losses so far (plateau)."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from kerascnn.training.config import TrainConfig


@keras.saving.register_keras_serializable(package="kerascnn")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """Multiplies another schedule by step / steps during the first `steps` steps.

    Args:
        after: the schedule, counted from step 0 (not from the end of the warm-up).
        steps: length of the warm-up.
    """

    def __init__(self, after: keras.optimizers.schedules.LearningRateSchedule, steps: int):
        self.after = after
        self.steps = steps

    def __call__(self, step):
        share = tf.cast(step, tf.float32) / self.steps
        return self.after(step) * tf.minimum(share, 1.0)

    def get_config(self):
        return {"after": keras.saving.serialize_keras_object(self.after), "steps": self.steps}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["after"]), config["steps"])


def learning_rate(config: TrainConfig, steps_per_epoch: int) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """What to give an optimizer as its learning rate.

    Args:
        config: `schedule`, `learning_rate`, `warmup_epochs`, `epochs`, `milestones`, `decay_rate` are used.
        steps_per_epoch: batches in an epoch.

    Returns:
        A schedule of the optimizer's step, or, for "plateau", the peak as a number that a callback then changes.
    """
    peak = config.learning_rate
    total = config.epochs * steps_per_epoch
    warm = round(config.warmup_epochs * steps_per_epoch)
    schedules = keras.optimizers.schedules
    if config.schedule == "plateau":
        return peak
    if config.schedule == "cosine":  # Loshchilov & Hutter 2017, eq. 5 with one cycle, from the end of the warm-up
        rest = max(total - warm, 1)
        if warm == 0:
            return schedules.CosineDecay(peak, rest)
        return schedules.CosineDecay(0.0, rest, warmup_target=peak, warmup_steps=warm)
    if config.schedule == "step":
        boundaries = [round(part * total) - 1 for part in config.milestones]  # Keras keeps the old value at a boundary
        values = [peak * config.decay_rate**i for i in range(len(boundaries) + 1)]
        schedule = schedules.PiecewiseConstantDecay(boundaries, values)
    elif config.schedule == "poly":  # Chen et al. 2016 (arXiv:1606.00915), section 4.1.2: (1 - step / total)^0.9
        schedule = schedules.PolynomialDecay(peak, total, end_learning_rate=0.0, power=0.9)
    elif config.schedule == "exponential":
        schedule = schedules.ExponentialDecay(peak, total, config.decay_rate)
    else:
        schedule = schedules.ExponentialDecay(peak, total, 1.0)  # constant, as a schedule so that it takes a warm-up
    return WarmUp(schedule, warm) if warm else schedule


def plateau(config: TrainConfig, losses: Sequence[float]) -> float:
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
