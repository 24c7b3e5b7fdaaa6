"""What a network can be exported as: one file a format, found by listing this folder.

A module here is a format, and has

    write(predictor, folder, **options)   fills an empty folder
    load(folder) -> Predictor             reads it back
    check(folder) -> CheckReport          compares its answers with those that the network gave when it was written

Importing this package imports none of them.
"""

import importlib
import pkgutil
from types import ModuleType

from kerascnn import _check


def names() -> tuple[str, ...]:
    """The formats, alphabetically."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")))


def get(name: str) -> ModuleType:
    """The module of a format.

    Args:
        name: one of `names()`.

    Raises:
        InputError: there is no such format.
    """
    return importlib.import_module(f"{__name__}.{_check.one_of('format', name, names())}")
