"""The folder of one run: names of its files, and whether a second start asks for the same run."""

import json
from pathlib import Path
from typing import Any

from absl import logging

from kerascnn import _records
from kerascnn._errors import InputError
from kerascnn._files import ensure_folder
from kerascnn.inference.run_record import read_config

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
        _records.write(self.config, record)


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What keeps `new` from going on with `old`, in words; more epochs do not."""
    # Runs of the first release, which knew one task only, do not name it.
    before, after = ({"task": "classification", **record} for record in (old, new))
    schedule, words = old["training"].get("schedule"), []
    for name, (was, now) in _records.differing(before, after).items():
        if name.startswith(_IRRELEVANT):
            continue
        if name == "training.epochs" and now > was:
            if schedule in ("cosine", "step", "exponential", "poly"):
                logging.warning(
                    "epochs was raised from %s to %s: the %s schedule is stretched from here on, so the result is not "
                    "that of one uninterrupted run.", was, now, schedule,
                )  # fmt: skip
            continue
        words.append(f"{name.removeprefix('training.')} was {_short(was)}, now {_short(now)}")
    return words


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
