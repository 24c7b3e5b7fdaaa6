"""kerascnn: the CNN canon for Keras 3, exact to the parameter, with native ops, training and serving.

Importing this package imports neither TensorFlow nor Keras, nor does asking `list_models` and `model_info`; the first
use of another name below does. Once Keras is imported, before this package or after it, its `load_model` knows our
layers, losses and schedules, so that

    import keras
    import kerascnn

    model = keras.models.load_model("model.keras")

works in a process that has built nothing before.
"""

import importlib
import importlib.util
from typing import TYPE_CHECKING

from kerascnn import _environment, _lazy, _quiet
from kerascnn._errors import InputError

if TYPE_CHECKING:  # what type checkers and editors see of the names below
    from kerascnn import (
        analysis,
        applications,
        benchmark,
        cells,
        data,
        evaluation,
        explain,
        inference,
        layers,
        models,
        ops,
        search,
        serving,
        studies,
        surgery,
        tasks,
        training,
        weights,
    )
    from kerascnn.applications import create_model, list_models, model_info
    from kerascnn.inference import features
    from kerascnn.layers import model_preprocessing
    from kerascnn.surgery import fully_convolutional

__version__ = "0.1.0"

_FUNCTIONS = {
    "applications": ("create_model", "list_models", "model_info"),
    "inference": ("features",),
    "layers": ("model_preprocessing",),
    "surgery": ("fully_convolutional",),
}
# Modules whose classes a .keras file may name.
_REGISTERED = ("layers", "models", "tasks.losses", "tasks.metrics", "training.divergence", "training.rules",
               "training.steps", "training.warm_up")  # fmt: skip
_WITHOUT_TENSORFLOW = ("applications", "list_models", "model_info")
__all__ = [
    "analysis",
    "applications",
    "benchmark",
    "cells",
    "create_model",
    "data",
    "evaluation",
    "explain",
    "features",
    "fully_convolutional",
    "inference",
    "layers",
    "list_models",
    "model_info",
    "model_preprocessing",
    "models",
    "ops",
    "search",
    "serving",
    "studies",
    "surgery",
    "tasks",
    "training",
    "weights",
]
_MODULES = tuple(name for name in __all__ if not any(name in names for names in _FUNCTIONS.values()))

_find, __dir__ = _lazy.attach(__name__, _FUNCTIONS, _MODULES)


def __getattr__(name: str):
    """Imports a public name at its first use (PEP 562)."""
    if name in _WITHOUT_TENSORFLOW:
        return _find(name)
    if name in __all__ and importlib.util.find_spec("tensorflow") is None:
        raise ModuleNotFoundError(
            "kerascnn needs TensorFlow 2.21: pip install 'kerascnn[cpu]', or 'kerascnn[gpu]' for NVIDIA GPUs.",
            name="tensorflow",
        )
    if name in __all__:
        _environment.check_environment()
    return _find(name)


def _register() -> None:
    try:
        _environment.check_environment()
    except InputError:  # said when one of our names is used; Keras itself may be meant for something else
        return
    for module in _REGISTERED:
        importlib.import_module(f"{__name__}.{module}")


_lazy.around_import("tensorflow", _quiet.without_chatter)
_lazy.when_imported("keras", _register)
