"""JSON records: read without trusting them, written whole, compared in words."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerascnn._errors import InputError
from kerascnn._files import atomic_write

LARGEST = 64 * 2**20  # bytes; a record of ours has a few thousand
_DEEPEST = 64  # brackets within brackets


def read(path: str | os.PathLike, what: str) -> dict[str, Any]:
    """Reads a JSON object from a file that may be anything.

    Args:
        path: the file.
        what: it is called in messages: "config.json".

    Returns:
        The object.

    Raises:
        InputError: it is missing, unreadable, too large, no JSON, nested too deep, or no object.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise InputError(f"{what} must be a file; there is none. Received: {path}")
        with open(path, "rb") as file:
            contents = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # a ValueError: a NUL byte in the name
        reason = getattr(error, "strerror", None) or error
        if isinstance(error, InputError):
            raise
        raise InputError(f"{what} cannot be read ({reason}). Received: {path}") from error
    if len(contents) > LARGEST:
        raise InputError(f"{what} must be smaller than {LARGEST >> 20} MiB. Received: {path}")
    try:
        record = json.loads(contents.decode("utf-8-sig"))
        shallow = _is_shallow(record)
    except (ValueError, RecursionError) as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        reason = "nested too deep" if isinstance(error, RecursionError) else " ".join(str(error).split())[:120]
        raise InputError(f"{what} is damaged ({reason}). Received: {path}") from error
    if not shallow:
        raise InputError(f"{what} is damaged (nested too deep). Received: {path}")
    if not isinstance(record, dict):
        raise InputError(f"{what} must hold a JSON object. Received: {type(record).__name__} in {path}")
    return record


def write(path: str | os.PathLike, record: Mapping[str, Any]) -> None:
    """Writes a JSON object, whole or not at all.

    Args:
        path: the file.
        record: plain JSON values.
    """
    with atomic_write(path) as file:
        json.dump(record, file, indent=2)
        file.write("\n")


def flatten(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}."""
    flat = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = value
    return flat


def differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What differs between two records.

    Args:
        old, new: plain JSON values.

    Returns:
        Dotted name -> (old value, new value), None where there is none, sorted by name.
    """
    before, after = (flatten(json.loads(json.dumps(record))) for record in (old, new))
    names = sorted(set(before) | set(after))
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}


def _is_shallow(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return True
    return False
