"""The folder of one run: names of its files, and whether a second start asks for the same run."""

import json
from pathlib import Path
from typing import Any

from absl import logging

from kerascnn._errors import InputError
from kerascnn._files import atomic_write, ensure_folder

KEPT = 2  # checkpoints: the newest, and the one before in case the newest is damaged
# May differ between starts: where the data lies, on what the run computes, and which release computes it.
_IRRELEVANT = ("kerascnn", "data.data_dir", "training.strategy", "training.virtual_devices")


class RunFolder:
    """Paths of a run.

    Args:
        path: the folder, made if it is not there.

    Raises:
        InputError: it cannot be made or written.
    """

    def __init__(self, path):
        self.path = ensure_folder(path)
        self.config = self.path / "config.json"
        self.history = self.path / "history.csv"
        self.best = self.path / "best.keras"
        self.curves = self.path / "curves.png"
        self.tensorboard = self.path / "tensorboard"
        self.checkpoints = ensure_folder(self.path / "checkpoints")

    def checkpoint(self, epoch: int) -> Path:
        """The checkpoint written after `epoch` (counted from 1)."""
        return self.checkpoints / f"epoch_{epoch:04d}.keras"

    def saved_epochs(self) -> list[int]:
        """Epochs with a checkpoint, ascending."""
        stems = (file.stem.removeprefix("epoch_") for file in self.checkpoints.glob("epoch_*.keras"))
        return sorted(int(stem) for stem in stems if stem.isdigit())

    def prune(self):
        """Deletes all but the newest checkpoints, and what killed runs left half-written."""
        for epoch in self.saved_epochs()[:-KEPT]:
            self.checkpoint(epoch).unlink(missing_ok=True)

    def clear_temporaries(self):
        """Deletes what a killed run left half-written."""
        for folder in (self.path, self.checkpoints):
            for file in folder.glob(".tmp-*"):
                file.unlink(missing_ok=True)

    def claim(self, record: dict[str, Any]):
        """Writes config.json, or checks that the one there asks for the same run.

        Args:
            record: what this start asks for; plain JSON values.

        Raises:
            InputError: the folder holds another run (the differences are listed), or checkpoints of an unknown one.
        """
        self.clear_temporaries()
        if not self.config.exists():
            if self.saved_epochs() or self.history.exists():
                raise InputError(f"The folder holds results but no config.json; choose another. Received: {self.path}")
        else:
            differing = differences(read_config(self.config), record)
            if differing:
                raise InputError(
                    f"The folder holds another run: {'; '.join(differing)}. Use the same settings to go on with it, "
                    f"or another folder. Received: {self.path}"
                )
        with atomic_write(self.config) as file:
            json.dump(record, file, indent=2)
            file.write("\n")


def read_config(path: Path) -> dict[str, Any]:
    """Reads a config.json.

    Raises:
        InputError: it is missing or not one of ours.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"A run folder has a config.json; there is none. Received: {path}") from error
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are ones
        raise InputError(f"config.json is damaged ({error}). Received: {path}") from error
    needed = {"model", "class_names", "preprocessing", "data", "training"}
    if not isinstance(record, dict) or not needed <= set(record):
        raise InputError(f"config.json must have {', '.join(sorted(needed))}. Received: {path}")
    return record


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What keeps `new` from going on with `old`, in words; more epochs do not."""
    # Runs of the first release, which knew one task only, do not name it.
    before, after = (_flat({"task": "classification", **json.loads(json.dumps(record))}) for record in (old, new))
    words = []
    for name in sorted(set(before) | set(after)):
        was, now = before.get(name), after.get(name)
        if was == now or name.startswith(_IRRELEVANT):
            continue
        if name == "training.epochs" and now > was:
            if before.get("training.schedule") in ("cosine", "step", "exponential", "poly"):
                logging.warning(
                    "epochs was raised from %s to %s: the %s schedule is stretched from here on, so the result is not "
                    "that of one uninterrupted run.", was, now, before["training.schedule"],
                )  # fmt: skip
            continue
        words.append(f"{name.removeprefix('training.')} was {_short(was)}, now {_short(now)}")
    return words


def _flat(record: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in record.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = value
    return flat


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
