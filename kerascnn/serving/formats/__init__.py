"""What a network can be exported as: one file a format, found by listing this folder.

A module here is a format, and has

    write(predictor, folder, **options)   fills an empty folder; the options are keyword arguments, such as precision
    load(folder) -> Predictor             reads it back
    check(folder) -> CheckReport          compares its answers with those that the network gave when it was written
    FILE                                  name of its main file, by which `load` in here knows it; may be missing

`quantize` is no format: it prepares what several of them need for int8. Importing this package imports none of them.
"""

import importlib
import os
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from kerascnn import _check

if TYPE_CHECKING:
    from kerascnn.inference.predictor import Predictor

_SHARED = ("quantize",)  # modules that are no format


def names() -> tuple[str, ...]:
    """The formats, alphabetically."""
    found = (module.name for module in pkgutil.iter_modules(__path__) if module.name not in _SHARED)
    return tuple(sorted(name for name in found if not name.startswith("_")))


def get(name: str) -> ModuleType:
    """The module of a format.

    Args:
        name: one of `names()`.

    Raises:
        InputError: there is no such format.
    """
    return importlib.import_module(f"{__name__}.{_check.one_of('format', name, names())}")


def recognize(path: str | os.PathLike) -> tuple[str, Path] | None:
    """What an exported folder holds.

    Args:
        path: the folder of a version, or the folder above, of which the highest version counts.

    Returns:
        The format's name and the folder of the version; None where there is no export in it.
    """
    from kerascnn.inference.saved_model import versions

    folder = Path(path)
    if not folder.is_dir():
        return None
    numbers = versions(folder)
    for place in (folder, *([folder / str(numbers[-1])] if numbers else [])):
        for name in names():
            file = getattr(get(name), "FILE", None)
            if file is not None and (place / file).is_file():
                return name, place
    return None


def load(path: str | os.PathLike) -> "Predictor":
    """Loads an export, in whichever format it is; it runs in that format's own runtime.

    Args:
        path: the folder of a version, or the folder above, of which the highest version is taken.

    Returns:
        The network in use; it has no Keras model.

    Raises:
        InputError: there is no export, it is damaged, or its runtime is not installed.

    Example:

        from kerascnn import inference
        from kerascnn.serving import formats

        predictor = formats.load("exported/digits")
        inference.predict("photos", predictor)
    """
    found = recognize(path)
    if found is None:
        from kerascnn.inference import saved_model

        return saved_model.load(path)  # says what is missing
    name, folder = found
    return get(name).load(folder)
