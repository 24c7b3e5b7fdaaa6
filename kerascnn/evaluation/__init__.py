"""Measuring and using trained models: accuracy, the confusion matrix, predictions for image files."""

import importlib

_HOMES = {
    "Report": "report",
    "evaluate": "report",
    "plot_confusion": "confusion",
    "predict": "predict",
}
__all__ = [*_HOMES]


def __getattr__(name: str):
    """Imports a public name at its first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value  # over the submodule of the same name, which the import has just put here
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
