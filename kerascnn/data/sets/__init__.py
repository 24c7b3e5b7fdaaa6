"""Where labeled images come from, one file a kind of set. A new kind is a new file here that exposes `KIND`."""

import functools
import importlib
import pkgutil

from kerascnn.data.sets.kind import Kind, Wanted

__all__ = ["Kind", "Wanted", "kinds"]


@functools.cache
def kinds() -> dict[str, Kind]:
    """All kinds by the names of their modules, found by listing this folder, in the order in which folders are tried.

    Returns:
        Module name -> kind.
    """
    names = [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    modules = {name: importlib.import_module(f"{__name__}.{name}") for name in names if name != "kind"}
    found = {name: module.KIND for name, module in modules.items()}
    return dict(sorted(found.items(), key=lambda item: item[1].order))
