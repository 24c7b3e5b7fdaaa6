"""What readers of foreign files share: regular files alone, memory in proportion to them, one line for any damage."""

import contextlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from kerascnn._errors import InputError

# Weights hardly compress, so a file that promises much more than it holds is an accident or an attack.
_EXPANSION = 16
_FLOOR = 64 * 2**20  # bytes, for small files full of zeros
_NAME = 300  # characters of the longest name of a layer or parameter


class Unsafe(Exception):
    """Something that no writer of weights makes; the message says what."""


def shown(path: str | os.PathLike) -> str:
    """A path for a message: in one line, whatever bytes it has."""
    text = os.fspath(path)
    return text if isinstance(text, str) and text.isprintable() else ascii(text)


def as_path(path: str | os.PathLike) -> Path:
    """The path as an object.

    Raises:
        InputError: it is no text.
    """
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise InputError(f"The path of a weights file must be text. Received: {str(path)[:80]!a}")
    return Path(path)


def regular_file(path: str | os.PathLike) -> Path:
    """The path, where a file is there: no folder, pipe or device, whose reading may never end.

    Raises:
        InputError: it is not.
    """
    path = as_path(path)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # a NUL byte in the name is a ValueError
        raise InputError(f"There is no such weights file. Received: {shown(path)}") from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, socket or device"
        raise InputError(f"A weights file must be a regular file; this is {kind}. Received: {shown(path)}")
    return path


def budget(path: Path) -> int:
    """Bytes that the arrays of a file may take in memory."""
    return _EXPANSION * path.stat().st_size + _FLOOR


def sound_name(name: str) -> str:
    """A name of a layer or parameter, where it can be shown in one line.

    Raises:
        Unsafe: it is empty, very long, or has characters that do not print.
    """
    if not name or len(name) > _NAME or not name.isprintable():
        raise Unsafe(f"a name that is empty, longer than {_NAME} characters or does not print: {name[:40]!a}")
    return name


def json_object(text: bytes) -> dict:
    """An object of JSON, in which every name stands once.

    Raises:
        Unsafe: a name stands twice, or it is nested without end.
        ValueError: it is no JSON, or no object.
    """
    try:
        found = json.loads(text.decode("utf-8"), object_pairs_hook=_once)
    except RecursionError as error:
        raise Unsafe("JSON that is nested without end") from error
    if not isinstance(found, dict):
        raise ValueError("the header is no object")
    return found


def _once(pairs: list) -> dict:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Unsafe("a name that occurs twice")
    return made


@contextlib.contextmanager
def one_line(path: Path) -> Iterator[None]:
    """Turns whatever a broken file leads to into an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except Unsafe as error:
        raise InputError(f"The weights file is not safe to read ({error}). Received: {shown(path)}") from error
    except Exception as error:  # h5py, zipfile and the decompressors raise a dozen kinds
        raise InputError(
            f"The weights file cannot be read; it is truncated, damaged or of another format ({_reason(error)}). "
            f"Received: {shown(path)}"
        ) from error


def _reason(error: Exception) -> str:
    text = " ".join(str(error).strip("'\" ").split())
    return "".join(c if c.isprintable() else "?" for c in text)[:120] or type(error).__name__
