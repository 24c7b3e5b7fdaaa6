"""What a network can be trained for: one file a task, found by listing this folder.

A module that has a `TASK` is a task. Importing this package imports neither TensorFlow nor Keras; `losses` and
`metrics` do, at their first use, and register what a .keras file may name.

    from kerascnn.tasks import TASKS

    TASKS["segmentation"].measures(classes=21)  # ["accuracy", "mean_iou"]
"""

import importlib
import pkgutil
from typing import TYPE_CHECKING

from kerascnn import _lazy
from kerascnn.tasks.task import Task

if TYPE_CHECKING:
    from kerascnn.tasks import losses, metrics

_WITH_KERAS = ("losses", "metrics")  # no tasks, and dear to import

__all__ = ["TASKS", "Task", "losses", "metrics"]


def _listed() -> dict[str, Task]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _WITH_KERAS)
    modules = (importlib.import_module(f"{__name__}.{name}") for name in names)
    return {module.TASK.name: module.TASK for module in modules if hasattr(module, "TASK")}


TASKS: dict[str, Task] = _listed()

__getattr__, __dir__ = _lazy.attach(__name__, {}, _WITH_KERAS)
