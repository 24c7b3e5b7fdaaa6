"""config.json of a run folder: what was trained, on what, how."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kerascnn import _records
from kerascnn._errors import InputError
from kerascnn.tasks import TASKS

_MOST = 2**31 - 1  # classes, pixels


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 40


def _is_maybe_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_record(value: Any) -> bool:
    return isinstance(value, dict)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10**15


def _object_of(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(map(check, value.values()))


def _list_of(check: Callable[[Any], bool], least: int = 0, most: int = _MOST) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and least <= len(value) <= most and all(map(check, value))


# Dotted name -> (what it must be, in words, and as a function). What is optional was not written by every release.
_NEEDED = {
    "class_names": ("a list of texts", _list_of(_is_text, 1)),
    "data": ("an object", _is_record),
    "data.name": ("a text", _is_text),
    "model": ("an object", _is_record),
    "model.input_shape": ("three whole numbers", _list_of(_is_count, 3, 3)),
    "preprocessing": ("an object", _is_record),
    "preprocessing.mean": ("a list of numbers", _list_of(_is_number, 1)),
    "preprocessing.std": ("a list of numbers", _list_of(_is_number, 1)),
    "preprocessing.crop_fraction": ("a number", _is_number),
    "preprocessing.interpolation": ("a word", _is_word),
    "preprocessing.fit": ("a word", _is_word),
    "training": ("an object", _is_record),
}
_OPTIONAL = {
    "task": (f"one of {', '.join(TASKS)}", lambda value: isinstance(value, str) and value in TASKS),
    "asked": ("a list of texts", _list_of(_is_text)),
    "starts": ("a list of objects", _list_of(_is_record)),
    "data.data_dir": ("a text or null", _is_maybe_text),
    "data.sizes": ("an object of whole numbers", _object_of(_is_size)),
    "data.fingerprint": ("an object of texts", _object_of(_is_text)),
    "model.name": ("a text", _is_text),
    "model.options": ("an object", _is_record),
    "model.classes": ("a whole number", _is_count),
}


def read_config(path: Path) -> dict[str, Any]:
    """Reads the config.json of a run.

    Args:
        path: the file, which may be anything.

    Returns:
        The record; what every user of it relies on is there and of its type.

    Raises:
        InputError: it is missing, damaged, or not that of a run; the message names what is wrong in it.
    """
    record = _records.read(path, "The config.json of a run")
    for name, (rule, check) in {**_NEEDED, **_OPTIONAL}.items():
        found, value = _find(record, name)
        if not found and name in _OPTIONAL:
            continue
        if not found or not check(value):
            text = repr(value) if found else "nothing"
            text = text if len(text) <= 80 else text[:77] + "..."
            raise InputError(f"The config.json of a run must have {name}: {rule}. Received: {text} in {path}")
    channels = len(record["preprocessing"]["mean"])
    if len(record["preprocessing"]["std"]) != channels or record["model"]["input_shape"][2] != channels:
        rule = "mean and std for each of the channels of input_shape"
        raise InputError(f"The config.json of a run must have {rule}. Received: others in {path}")
    return record


def _find(record: Mapping[str, Any], name: str) -> tuple[bool, Any]:
    value: Any = record
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            return False, None
        value = value[part]
    return True, value
