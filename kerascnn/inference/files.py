"""The image files that a prediction is asked for, each alone: one that cannot be read does not stop the others."""

import os
from collections.abc import Iterable
from pathlib import Path

from kerascnn._errors import InputError
from kerascnn.data.preprocessing import FORMATS
from kerascnn.data.sets._files import visible

Found = tuple[Path, str | None]  # a path, and why it is no image that can be read (None: it may be one)


def expand(paths: str | os.PathLike | Iterable[str | os.PathLike]) -> list[Found]:
    """The files themselves; for a folder, the images anywhere below it, sorted by path, hidden ones left out.

    Args:
        paths: one path or several.

    Returns:
        Each file, with the reason where it is not there or no regular file.

    Raises:
        InputError: nothing was given, or something that is no path.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else paths
    if not isinstance(given, Iterable) or isinstance(given, bytes):
        raise InputError(f"paths must be a path or a list of paths. Received: {paths!r}")
    found: list[Found] = []
    for path in given:
        if not isinstance(path, str | os.PathLike):
            raise InputError(f"paths must be a path or a list of paths. Received: {path!r} in the list")
        found += _below(Path(path), os.fspath(path))
    if not found:
        raise InputError("At least one image or folder must be given. Received: none")
    return found


def refuse_if_none(reasons: Iterable[str | None]) -> None:
    """For after a prediction: that nothing at all could be read is an error, and not a list of errors.

    Args:
        reasons: of each image, why it could not be read; None where it could.

    Raises:
        InputError: not one could be read; says why the first could not.
    """
    reasons = list(reasons)
    if reasons and None not in reasons:
        more = f" (and {len(reasons) - 1} more that cannot be read)" if len(reasons) > 1 else ""
        raise InputError(f"{reasons[0]}{more}")


def _below(path: Path, given: str) -> list[Found]:
    try:
        if not given or not os.path.lexists(path):
            return [(path, f"There is no such image. Received: {given!r}" if not given else _missing(path))]
        if not path.is_dir():
            return [_checked(path)]
    except (OSError, ValueError) as error:  # a NUL byte in the name is a ValueError
        return [(path, f"The image cannot be read ({getattr(error, 'strerror', None) or error}). Received: {given!r}")]
    found = _walk(path, frozenset())
    return found or [(path, f"The folder must have images ({', '.join(FORMATS)}). Received: {path}")]


def _missing(path):
    return f"There is no such image. Received: {path}"


def _walk(folder: Path, above: frozenset[tuple[int, int]]) -> list[Found]:
    """The images below a folder; a link to a folder that it is in is not followed."""
    found: list[Found] = []
    try:
        status = folder.stat()
        here = (status.st_dev, status.st_ino)
        if here in above:
            return []
        for entry in visible(folder):
            if entry.is_dir():
                found += _walk(entry, above | {here})
            elif entry.suffix.lower() in FORMATS:
                found.append(_checked(entry))
    except OSError as error:
        found.append((folder, f"The folder cannot be read ({error.strerror}). Received: {folder}"))
    except InputError as error:
        found.append((folder, str(error)))
    return found


def _checked(path: Path) -> Found:
    if path.is_file():
        return path, None
    if not path.exists():
        return path, _missing(path)
    return path, f"An image must be a regular file. Received: {path}"  # opening a named pipe would wait for ever
