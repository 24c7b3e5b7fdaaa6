"""What a search of the command line was begun with: one file in its folder, which another search is refused."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from kerascnn import _records
from kerascnn._errors import InputError
from kerascnn.search import catalogue


def read(path: Path, kind: str, names: Collection[str]) -> dict[str, Any]:
    """The settings in a file.

    Args:
        path: the file.
        kind: its "format".
        names: of all settings.

    Returns:
        Values of `names`.

    Raises:
        InputError: the file cannot be read, is another, or has other settings.
    """
    found = catalogue.read_file(path, "The settings of a search", kind)
    if set(found) != {"format", "version", *names}:
        raise InputError(f"The settings of a search must be {', '.join(names)}. Received: {path}")
    return {name: found[name] for name in names}


def begin(path: Path, kind: str, names: Collection[str], record: Mapping[str, Any], fixed: Collection[str]) -> None:
    """Writes the settings of a search that begins or goes on.

    Args:
        path: the file.
        kind: its "format".
        names: of all settings.
        record: their values.
        fixed: names of those that a search which goes on keeps.

    Raises:
        InputError: the folder holds another search.
        OSError: the file cannot be written.
    """
    if path.exists():
        kept = read(path, kind, names)
        if changed := [name for name in fixed if kept[name] != record[name]]:
            words = "; ".join(f"{name} was {kept[name]}, now {record[name]}" for name in changed)
            raise InputError(f"The folder holds another search: {words}. Received: {path.parent}")
    _records.write(path, {"format": kind, "version": 1, **record})
