"""kerascnn: the CNN canon for Keras 3, exact to the parameter, with native ops, training and serving.

Importing this package imports neither TensorFlow nor Keras; the first use of a name below does. Where Keras is there
already, its `load_model` learns our layers at once, so that

    import keras
    import kerascnn

    model = keras.models.load_model("model.keras")

works in a process that has built nothing before.
"""

import importlib
import importlib.util
import sys

__version__ = "0.1.0"

_MODULES = ("analysis", "applications", "data", "evaluation", "layers", "ops", "serving", "training")
_FUNCTIONS = {
    "create_model": "applications",
    "fully_convolutional": "analysis",
    "list_models": "applications",
    "model_info": "applications",
}
__all__ = ["__version__", *_MODULES, *_FUNCTIONS]


def __getattr__(name: str):
    """Imports a public name at its first use (PEP 562)."""
    if name not in _MODULES and name not in _FUNCTIONS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if importlib.util.find_spec("tensorflow") is None:
        raise ModuleNotFoundError(
            "kerascnn needs TensorFlow 2.21: pip install 'kerascnn[cpu]', or 'kerascnn[gpu]' for NVIDIA GPUs.",
            name="tensorflow",
        )
    module = importlib.import_module(f"{__name__}.{_FUNCTIONS.get(name, name)}")
    return getattr(module, name) if name in _FUNCTIONS else module


def __dir__() -> list[str]:
    return sorted(__all__)


if "keras" in sys.modules:
    importlib.import_module(f"{__name__}.layers")
