"""The networks: one file per family, one public CamelCase builder per network, and a registry over them.

The family modules are imported at the first use of the registry or of a builder, not with this package.
"""

import importlib
import importlib.util

from kerascnn.applications._registry import ModelInfo, builders, create_model, list_models, load_families, model_info
from kerascnn.applications._scaling import Scaled, compound_scale

__all__ = ["ModelInfo", "Scaled", "compound_scale", "create_model", "feature_strides", "list_models", "model_info"]


def __getattr__(name: str):
    """Imports a family module (`resnet`), a builder (`ResNet50`) or `feature_strides` at its first use (PEP 562)."""
    if name == "feature_strides":
        return importlib.import_module(f"{__name__}._build").feature_strides
    if not name.startswith("_"):
        if name[0].isupper():
            if name in builders():
                return builders()[name]
        elif importlib.util.find_spec(f"{__name__}.{name}"):
            return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    load_families()
    return sorted([*__all__, *builders()])
