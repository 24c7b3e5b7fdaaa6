"""Training any Keras model under tf.distribute: plans, recipes, schedules, strategies, the fit loop, resume, callbacks.

Everything but `train` and the callbacks imports neither TensorFlow nor Keras.
"""

from typing import TYPE_CHECKING

from kerascnn import _lazy
from kerascnn.training.config import TrainConfig
from kerascnn.training.finetuning import FineTuning, finetuning_plan
from kerascnn.training.plan import Plan, plan
from kerascnn.training.weighting import class_weights, measure_unweighted

if TYPE_CHECKING:
    from kerascnn.training import callbacks, optimizers, progressive, recipes, runs, teachers, workers
    from kerascnn.training.adversarial import train_adversarially
    from kerascnn.training.callbacks import ScheduleDropPath
    from kerascnn.training.distillation import distill
    from kerascnn.training.loop import train
    from kerascnn.training.recomputing import Saving, recompute

__all__ = [
    "FineTuning",
    "Plan",
    "Saving",
    "ScheduleDropPath",
    "TrainConfig",
    "callbacks",
    "class_weights",
    "distill",
    "finetuning_plan",
    "measure_unweighted",
    "optimizers",
    "plan",
    "progressive",
    "recipes",
    "recompute",
    "runs",
    "teachers",
    "train",
    "train_adversarially",
    "workers",
]

__getattr__, __dir__ = _lazy.attach(
    __name__,
    {
        "adversarial": ["train_adversarially"],
        "callbacks": ["ScheduleDropPath"],
        "distillation": ["distill"],
        "loop": ["train"],
        "recomputing": ["Saving", "recompute"],
    },
    ["callbacks", "optimizers", "progressive", "recipes", "runs", "teachers", "workers"],
)
