"""Training any Keras model under tf.distribute: recipes, schedules, strategies, the fit loop, resume, callbacks.

`TrainConfig` and `recipes` import neither TensorFlow nor Keras; `train` and `checkpoint` do, at their first use.
"""

import importlib

from kerascnn.training.config import TrainConfig

__all__ = ["ScheduleDropPath", "TrainConfig", "checkpoint", "recipes", "train"]


def __getattr__(name: str):
    if name == "ScheduleDropPath":
        return importlib.import_module(f"{__name__}.callbacks").ScheduleDropPath
    if name == "train":
        return importlib.import_module(f"{__name__}.loop").train
    if name in ("checkpoint", "recipes"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
