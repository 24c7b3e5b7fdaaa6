"""Training any Keras model under tf.distribute: recipes, schedules, strategies, the fit loop, resume, callbacks.

`TrainConfig` and `recipes` import neither TensorFlow nor Keras; `train` does, at its first use.
"""

from kerascnn import _lazy
from kerascnn.training.config import TrainConfig

__all__ = ["ScheduleDropPath", "TrainConfig", "recipes", "train"]

__getattr__, __dir__ = _lazy.attach(__name__, {"callbacks": ["ScheduleDropPath"], "loop": ["train"]}, ["recipes"])
