"""The versions in a model's folder: which there are, and whether one has changed since it was tried."""

import os
from pathlib import Path

from kerascnn.serving.server.status import Refusal

_LARGEST = 2**63 - 1
_DEEP = 3  # folders below a version whose files count


def numbered(folder: Path) -> dict[int, Path]:
    """The folders in a model's folder whose names are version numbers, ascending.

    Args:
        folder: of the model.

    Returns:
        Number -> folder; of "1" and "01" the one whose name is shorter.

    Raises:
        Refusal: the folder cannot be read.
    """
    try:
        names = [entry.name for entry in os.scandir(folder) if entry.name.isascii() and entry.name.isdigit()]
        named = [(int(name), folder / name) for name in sorted(names, key=lambda name: -len(name)) if len(name) < 20]
        found = {number: path for number, path in named if number <= _LARGEST and path.is_dir()}
    except OSError as error:
        told = f"Could not find base path {folder} ({error.strerror})"
        raise Refusal("NOT_FOUND", told) from error
    return dict(sorted(found.items()))


def fingerprint(folder: Path) -> tuple:
    """Names, sizes and times of a version's files: another one means that they were written anew.

    Args:
        folder: of the version.
    """
    return tuple(sorted(_files(folder, "", _DEEP)))


def _files(folder: Path, prefix: str, deep: int) -> list[tuple[str, int, int]]:
    found = []
    try:
        for entry in os.scandir(folder):
            if entry.is_dir() and deep > 1:
                found += _files(folder / entry.name, f"{prefix}{entry.name}/", deep - 1)
            else:
                facts = entry.stat()
                found.append((prefix + entry.name, facts.st_size, facts.st_mtime_ns))
    except OSError:  # it is being written or deleted: what is there counts
        pass
    return found
