"""The packages of the extras: whether they are there, and which."""

import importlib.metadata
import importlib.util
from collections.abc import Sequence

from kerascnn._errors import InputError


def need(name: str, modules: Sequence[str]) -> None:
    """Refuses a format whose packages are not installed.

    Args:
        name: of the format, and of the extra.
        modules: what is imported.

    Raises:
        InputError: one is missing.
    """
    absent = [module for module in modules if importlib.util.find_spec(module) is None]
    if absent:
        raise InputError(f'The format {name} needs pip install "kerascnn[{name}]". Received: no {", ".join(absent)}')


def versions_of(*packages: str) -> dict[str, str]:
    """The versions of installed packages by their names."""
    return {package: importlib.metadata.version(package) for package in packages}
