"""Attributes of a package that are imported at their first use (PEP 562), and what to do once a module is imported."""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any


def attach(
    package: str, homes: Mapping[str, Sequence[str]], modules: Sequence[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Makes `__getattr__` and `__dir__` of a package.

    Args:
        package: its `__name__`.
        homes: module below the package ("checking"), or elsewhere ("kerascnn.surgery"), -> the public names it holds.
        modules: modules below the package that are public themselves.

    Returns:
        The two functions.

    Example:

        __getattr__, __dir__ = _lazy.attach(__name__, {"checking": ["check"]}, ["client"])
    """
    root = f"{package.partition('.')[0]}."
    places = {
        name: module if module.startswith(root) else f"{package}.{module}"
        for module, names in homes.items()
        for name in names
    }

    def __getattr__(name: str) -> Any:
        if name in places:
            return getattr(importlib.import_module(places[name]), name)
        if name in modules:
            return importlib.import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted([*places, *modules])

    return __getattr__, __dir__


def when_imported(name: str, then: Callable[[], None]) -> None:
    """Calls `then` at once where a top-level module is imported already, else right after it is.

    Args:
        name: of the module.
        then: takes no arguments.
    """
    module = sys.modules.get(name)
    if module is not None and not getattr(module.__spec__, "_initializing", False):
        then()
    else:
        sys.meta_path.insert(0, _Watcher(name, then))


class _Watcher(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds one module as it would be found without it, and calls a function after the module's own code has run."""

    def __init__(self, name: str, then: Callable[[], None]):
        self._name, self._then = name, then
        self._loader: Any = None
        self._asking = False

    def find_spec(self, fullname, path=None, target=None) -> importlib.machinery.ModuleSpec | None:
        """The module's own specification, with this object as its loader."""
        if fullname != self._name or self._asking:
            return None
        self._asking = True  # a caller may ask without importing, so this finder stays until the module is executed
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._asking = False
        if spec is None or spec.loader is None:
            return spec
        self._loader, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec) -> ModuleType | None:
        """As the module's own loader does."""
        return self._loader.create_module(spec)

    def exec_module(self, module) -> None:
        """Runs the module, gives it its own loader back, and calls the function."""
        module.__spec__.loader = module.__loader__ = self._loader
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        self._loader.exec_module(module)
        self._then()
