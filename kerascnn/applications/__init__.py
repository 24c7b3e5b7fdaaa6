"""The networks: one file per family, one public CamelCase builder per network, and a registry over them.

Listing networks and asking about them imports no family, and neither TensorFlow nor Keras; a family module is imported
at the first use of one of its builders.
"""

import importlib
from typing import TYPE_CHECKING, Any

from kerascnn.applications import _registry
from kerascnn.applications._classes import imagenet_classes
from kerascnn.applications._registry import ModelInfo, create_model, list_models, model_info
from kerascnn.applications._scaling import Scaled, compound_scale

if TYPE_CHECKING:
    from kerascnn.applications._build import feature_strides

__all__ = [
    "ModelInfo",
    "Scaled",
    "compound_scale",
    "create_model",
    "feature_strides",
    "imagenet_classes",
    "list_models",
    "model_info",
]


def __getattr__(name: str) -> Any:
    """Imports a family module (`resnet`), a builder (`ResNet50`) or `feature_strides` at its first use (PEP 562)."""
    if name == "feature_strides":
        return importlib.import_module(f"{__name__}._build").feature_strides
    if not name.startswith("_"):
        if name[0].isupper():
            if name in _registry.builders():
                return _registry.builder(_registry.builders()[name])
        elif name in _registry.families():
            return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_registry.builders()])
