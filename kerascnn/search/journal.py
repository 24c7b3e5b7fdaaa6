"""The file of a search: what was asked for, and a row for each finished candidate."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kerascnn import _records
from kerascnn._errors import InputError


class Journal:
    """Reads or begins a journal; `add` rewrites it whole, so that a kill leaves all finished rows.

    Args:
        path: the JSON file; its folder exists.
        settings: plain JSON values that every row depends on.
        numbers: what every row has, beside whatever else: finite numbers.

    Raises:
        InputError: the file is damaged, no journal, or that of a search with other settings, which are listed.
        OSError: it cannot be written.
    """

    def __init__(self, path: str | os.PathLike, settings: Mapping[str, Any], numbers: Sequence[str] = ()):
        self.path, self._numbers = Path(path), tuple(numbers)
        self.settings = json.loads(json.dumps(settings))
        self.rows: list[dict[str, Any]] = []
        if self.path.exists():
            self._read()
        else:
            self._write()

    def _read(self):
        record = _records.read(self.path, "The journal of a search")
        settings, rows = record.get("settings"), record.get("rows")
        if not isinstance(settings, dict) or not isinstance(rows, list) or not all(map(self._is_row, rows)):
            rule = f"settings and a list of rows with finite {', '.join(self._numbers)}"
            raise InputError(f"The journal of a search must have {rule}. Received: others in {self.path}")
        changed = _records.differing(settings, self.settings)
        if changed:
            words = "; ".join(f"{name} was {_short(was)}, now {_short(now)}" for name, (was, now) in changed.items())
            raise InputError(
                f"The folder holds another search: {words}. Use the same settings to resume it, or another folder. "
                f"Received: {self.path.parent}"
            )
        self.rows = rows

    def _is_row(self, row: Any) -> bool:
        def sound(value):
            return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30

        return isinstance(row, dict) and all(sound(row.get(name)) for name in self._numbers)

    def find(self, **key: Any) -> dict[str, Any] | None:
        """The row with these values, or None."""
        return next((row for row in self.rows if all(row.get(name) == value for name, value in key.items())), None)

    def add(self, row: Mapping[str, Any]) -> None:
        """Appends a row of plain JSON values and writes the file."""
        self.rows.append(dict(row))
        self._write()

    def _write(self):
        _records.write(self.path, {"settings": self.settings, "rows": self.rows})


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
