"""A file that only grows: a line of settings, then one for each finished evaluation, each on the disk before the next.

A kill may leave half a line at its end, which is no finished evaluation: it is cut off when the file is opened again.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerascnn import _check, _records
from kerascnn._errors import InputError

try:
    import fcntl
except ImportError:  # Windows: two processes that write one journal are not refused there
    fcntl = None

_FORMAT, _VERSION = "kerascnn search", 1
LARGEST = 2**30  # bytes of a journal that is read


class Ledger:
    """Opens or begins a journal, for this process alone.

    Args:
        path: the file; its folder exists.
        settings: plain JSON values that every line depends on.
        about: what else its first line says, which may differ later: versions.

    Raises:
        InputError: it is damaged, no journal, that of a search with other settings, or another process writes it.
        OSError: it cannot be written.
    """

    def __init__(self, path: str | os.PathLike, settings: Mapping[str, Any], about: Mapping[str, Any] | None = None):
        self.path = Path(path)
        try:
            settings = json.loads(json.dumps(settings))
        except (TypeError, ValueError) as error:
            raise _check.refuse("settings", "plain JSON values", settings) from error
        self._file = open(self.path, "a+b")  # noqa: SIM115
        try:
            self._lock()
            self.rows = self._begin(settings, dict(about or {}))
        except BaseException:
            self.close()
            raise

    def _lock(self):
        if fcntl is not None:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process, however that ends
            except OSError as error:
                raise InputError(
                    f"A journal must be written by one process; another one has it open. Received: {self.path}"
                ) from error

    def _begin(self, settings, about) -> list[dict[str, Any]]:
        self._file.seek(0)
        whole = self._file.read(LARGEST + 1).rpartition(b"\n")
        length = len(whole[0]) + len(whole[1])
        if length > LARGEST:
            raise InputError(f"A journal must be smaller than {LARGEST >> 20} MiB. Received: {self.path}")
        if not length:
            self._file.truncate(0)
            self._write({"format": _FORMAT, "version": _VERSION, "settings": settings, **about})
            return []
        kept, rows = parse(whole[0], self.path)
        changed = _records.differing(kept, settings)
        if changed:
            words = "; ".join(f"{name} was {json.dumps(was)[:80]}, now {json.dumps(now)[:80]}"
                              for name, (was, now) in changed.items())  # fmt: skip
            raise InputError(f"The folder holds another search: {words}. Use the same settings to resume it, or "
                             f"another folder. Received: {self.path.parent}")  # fmt: skip
        self._file.truncate(length)
        return rows

    def add(self, row: Mapping[str, Any]) -> None:
        """Appends a line and waits until it is on the disk.

        Args:
            row: plain JSON values.

        Raises:
            OSError: it cannot be written.
        """
        self._write(row)

    def _write(self, row: Mapping[str, Any]):
        self._file.write(json.dumps(row, separators=(",", ":")).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Lets others open it."""
        self._file.close()


def read(path: str | os.PathLike) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Reads a journal without opening it for writing, while a search runs, too.

    Args:
        path: the file.

    Returns:
        The settings, and the rows of finished evaluations.

    Raises:
        InputError: there is no such file, it is damaged, or no journal.
    """
    try:
        with open(path, "rb") as file:
            whole = file.read(LARGEST).rpartition(b"\n")[0]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"The journal of a search cannot be read ({reason}). Received: {path}") from error
    return parse(whole, path)


def parse(whole: bytes, path: str | os.PathLike) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The settings and the rows of whole lines.

    Args:
        whole: the lines.
        path: named in messages.

    Returns:
        Both.

    Raises:
        InputError: they are no journal.
    """
    rows = []
    for number, line in enumerate(whole.split(b"\n"), 1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"The journal of a search is damaged (line {number}). Received: {path}") from error
        if not isinstance(row, dict):
            raise InputError(f"The journal of a search is damaged (line {number}). Received: {path}")
        rows.append(row)
    head = rows[0]
    if head.get("format") != _FORMAT or not isinstance(head.get("settings"), dict):
        raise InputError(f'A journal must begin with "format": "{_FORMAT}" and settings. Received: {path}')
    if head.get("version") != _VERSION:
        raise InputError(f"The version of a journal must be {_VERSION}. Received: {head.get('version')!r} in {path}")
    return head["settings"], rows[1:]
