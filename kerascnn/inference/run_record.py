"""config.json of a run folder: what was trained, on what, how."""

from pathlib import Path
from typing import Any

from kerascnn import _records
from kerascnn._errors import InputError

_NEEDED = ("class_names", "data", "model", "preprocessing", "training")


def read_config(path: Path) -> dict[str, Any]:
    """Reads the config.json of a run.

    Args:
        path: the file.

    Returns:
        The record.

    Raises:
        InputError: it is missing, damaged, or not that of a run.
    """
    record = _records.read(path, "The config.json of a run")
    if not set(_NEEDED) <= set(record):
        raise InputError(f"The config.json of a run must have {', '.join(_NEEDED)}. Received: {path}")
    return record
