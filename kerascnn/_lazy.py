"""Attributes of a package that are imported at their first use (PEP 562), and what to do once a module is imported."""

import contextlib
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
    if _is_imported(name):
        then()
        return

    @contextlib.contextmanager
    def context():
        yield
        then()

    around_import(name, context)


def around_import(name: str, context: Callable[[], contextlib.AbstractContextManager]) -> None:
    """Runs a top-level module's code, where it is not imported yet, within a context.

    Args:
        name: of the module.
        context: makes the context when the module is imported.
    """
    if not _is_imported(name):
        sys.meta_path.insert(0, _Watcher(name, context))


def _is_imported(name: str) -> bool:
    module = sys.modules.get(name)
    return module is not None and not getattr(module.__spec__, "_initializing", False)


class _Watcher(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds one module as it would be found without it, and runs its code within a context."""

    def __init__(self, name: str, context: Callable[[], contextlib.AbstractContextManager]):
        self._name, self._context = name, context
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
        """Gives the module its own loader back, and runs it."""
        module.__spec__.loader = module.__loader__ = self._loader
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        with self._context():
            self._loader.exec_module(module)
