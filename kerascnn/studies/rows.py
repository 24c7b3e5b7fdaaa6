"""Rows of a table that processes compute together and that an interruption does not lose."""

import json
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kerascnn._errors import InputError
from kerascnn._files import atomic_write, ensure_folder

try:
    import fcntl
except ImportError:  # no such locks on Windows: one process at a time
    fcntl = None

_WAIT = 0.5  # seconds between looks at rows that others compute
_RECORD = "rows.json"


def shared_rows(
    folder: str | os.PathLike | None, count: int, row: Callable[[int], np.ndarray], record: Mapping[str, Any]
) -> np.ndarray:
    """`np.stack([row(0), row(1), ...])`, of which a folder keeps what is done.

    Each row is computed by the process that has locked it; a lock ends with its process, however that ends, and the row
    is then another's.

    Args:
        folder: is made; None: nothing is kept.
        count: how many rows.
        row: number -> array of numbers, always of the same shape.
        record: what the rows depend on, as JSON takes it; a folder with another record is refused.

    Returns:
        float64 [count, ...].

    Raises:
        InputError: the folder has rows of another table.
        OSError: the folder cannot be written.
    """
    if folder is None:
        return np.stack([row(number) for number in range(count)]).astype("float64")
    folder = ensure_folder(folder)
    _agree(folder / _RECORD, dict(record))
    missing = list(range(count))
    while missing:
        for number in missing:
            path = folder / f"row_{number:04d}.npy"
            with open(folder / f"row_{number:04d}.lock", "ab") as lock:
                if not _locks(lock) or path.exists():
                    continue
                values = np.asarray(row(number), "float64")
                with atomic_write(path, "wb") as file:
                    np.save(file, values, allow_pickle=False)
        missing = [number for number in missing if not (folder / f"row_{number:04d}.npy").exists()]
        if missing:  # others are at them
            time.sleep(_WAIT)
    return np.stack([np.load(folder / f"row_{number:04d}.npy", allow_pickle=False) for number in range(count)])


def _locks(file) -> bool:
    """Whether the lock is this process's now."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _agree(path, record: dict[str, Any]) -> None:
    record = json.loads(json.dumps(record))
    if not path.exists():
        with atomic_write(path) as file:
            file.write(json.dumps(record, indent=1) + "\n")
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"The record of the rows is damaged; remove the folder. Received: {path}") from error
    if found != record:
        keys = [key for key in record if not isinstance(found, dict) or found.get(key) != record[key]]
        raise InputError(f"The folder has rows of another study: {', '.join(keys)} differ. Received: {path.parent}")
