"""From a trained model to a SavedModel that an unmodified TensorFlow Serving loads, and back as a client.

`kerascnn.serving.client` needs the standard library and NumPy only, so names are imported at their first use.
"""

import importlib

_HOMES = {
    "CheckReport": "checking",
    "Client": "client",
    "SavedModel": "loading",
    "check": "checking",
    "export": "exporting",
    "fold_batch_norm": "folding",
    "load": "loading",
    "read_report": "checking",
}
__all__ = ["CheckReport", "Client", "SavedModel", "check", "export", "fold_batch_norm", "load", "read_report"]


def __getattr__(name: str):
    """Imports a public name at its first use (PEP 562)."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
