"""The file of a search: what was asked for, and a row for each finished candidate."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerascnn._errors import InputError
from kerascnn._files import atomic_write


class Journal:
    """Reads or begins a journal; `add` rewrites it whole, so that a kill leaves all finished rows.

    Args:
        path: the JSON file; its folder exists.
        settings: plain JSON values that every row depends on.

    Raises:
        InputError: the file is damaged, no journal, or that of a search with other settings, which are listed.
        OSError: it cannot be written.
    """

    def __init__(self, path, settings: Mapping[str, Any]):
        self.path = Path(path)
        self.settings = json.loads(json.dumps(settings))
        self.rows: list[dict[str, Any]] = []
        if self.path.exists():
            self._read()
        else:
            self._write()

    def _read(self):
        try:
            record = json.loads(self.path.read_text(encoding="utf-8"))
            settings, self.rows = dict(record["settings"]), [dict(row) for row in record["rows"]]
        except (ValueError, KeyError, TypeError) as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
            raise InputError(f"The journal is damaged or not one of a search. Received: {self.path}") from error
        old, new = _flat(settings), _flat(self.settings)
        changed = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
        if changed:
            words = "; ".join(f"{name} was {_short(old.get(name))}, now {_short(new.get(name))}" for name in changed)
            raise InputError(
                f"The folder holds another search: {words}. Use the same settings to go on with it, or another "
                f"folder. Received: {self.path.parent}"
            )

    def find(self, **key: Any) -> dict[str, Any] | None:
        """The row with these values, or None."""
        return next((row for row in self.rows if all(row.get(name) == value for name, value in key.items())), None)

    def add(self, row: Mapping[str, Any]) -> None:
        """Appends a row of plain JSON values and writes the file."""
        self.rows.append(dict(row))
        self._write()

    def _write(self):
        with atomic_write(self.path) as file:
            json.dump({"settings": self.settings, "rows": self.rows}, file, indent=1)
            file.write("\n")


def _flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in record.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
