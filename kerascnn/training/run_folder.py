"""The folder of one run: names of its files, who may write to it, and whether a second start asks for the same run."""

import contextlib
import dataclasses
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from absl import logging

from kerascnn import _files, _records
from kerascnn._errors import InputError
from kerascnn.inference.run_record import read_config
from kerascnn.training import history
from kerascnn.training.config import TrainConfig
from kerascnn.training.schedules import SCHEDULES, stopped

try:
    import fcntl
except ImportError:  # no such locks on Windows
    fcntl = None

KEPT = 2  # checkpoints: the newest, and the one before in case the newest is damaged
# May differ between starts: where the data lies, on what the run computes, and which release computes it.
_IRRELEVANT = (
    "kerascnn", "starts", "asked", "recipe", "data.data_dir", "training.strategy", "training.virtual_devices",
    "training.recompute", "teacher.name",
)  # fmt: skip


class RunFolder:
    """Paths of a run. Nothing is made or written before `hold`.

    Args:
        path: the folder.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.history = self.path / "history.csv"
        self.best = self.path / "best.keras"
        self.curves = self.path / "curves.png"
        self.tensorboard = self.path / "tensorboard"
        self.checkpoints = self.path / "checkpoints"

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Makes the folder and keeps other processes from training in it.

        A folder that is still empty at the end is removed again, so that a start that fails claims nothing.

        Raises:
            InputError: it cannot be made or written, or another process trains in it.
        """
        new = not self.path.exists()
        _files.ensure_folder(self.path)
        with _locked(self.path):
            try:
                yield
            finally:
                for folder in (self.checkpoints, self.path) if new else ():
                    with contextlib.suppress(OSError):  # it is not empty
                        folder.rmdir()

    def checkpoint(self, epoch: int) -> Path:
        """The checkpoint written after `epoch` (counted from 1)."""
        return self.checkpoints / f"epoch_{epoch:04d}.keras"

    def average(self, epoch: int) -> Path:
        """The average of the weights that belongs to the checkpoint of `epoch`, where the run has one."""
        return self.checkpoints / f"epoch_{epoch:04d}.average.npz"

    def saved_epochs(self) -> list[int]:
        """Epochs with a checkpoint, ascending."""
        found = (re.fullmatch(r"epoch_([0-9]{4,9})\.keras", file.name) for file in self.checkpoints.glob("epoch_*"))
        return sorted(int(match[1]) for match in found if match)

    def is_finished(self, epochs: int | None = None) -> bool:
        """Whether the last epoch of the run has its checkpoint.

        Args:
            epochs: how many are wanted; None: as many as the run was started for.
        """
        if not self.config.is_file():
            return False
        training, saved = read_config(self.config)["training"], self.saved_epochs()
        if not saved:
            return False
        if saved[-1] >= (epochs or training["epochs"]):
            return True
        losses = [row["val_loss"] for row in history.read(self.history)]
        return len(losses) == saved[-1] and stopped(TrainConfig.from_dict(training), losses)

    def prune(self) -> None:
        """Deletes all but the newest checkpoints."""
        for epoch in self.saved_epochs()[:-KEPT]:
            self.checkpoint(epoch).unlink(missing_ok=True)
            self.average(epoch).unlink(missing_ok=True)

    def agree(self, record: dict[str, Any]) -> TrainConfig:
        """The settings with which this start continues what is in the folder, or begins.

        What was not asked for, neither now nor then, is kept as it was: a warm-up that followed from the number of
        epochs does not change when there are more of them.

        Args:
            record: what this start asks for, as in config.json: plain JSON values; "asked" tells which of "training"
                were asked for.

        Raises:
            InputError: the folder holds another run (the differences are listed), or results of an unknown one.
        """
        if not self.config.exists():
            if self.saved_epochs() or self.history.exists():
                raise InputError(f"The folder holds results but no config.json; choose another. Received: {self.path}")
            return TrainConfig.from_dict(record["training"])
        if not self.saved_epochs() and not self.history.exists():  # nothing was trained, so there is no other run
            return TrainConfig.from_dict(record["training"])
        old = read_config(self.config)
        if "validation" in record["data"].get("sizes", {}) and "validation" not in old["data"].get("sizes", {}):
            raise InputError(
                "A run of an earlier release, which chose its best epoch by the test images, cannot be resumed; "
                "evaluate, predict and export still read it: train in another folder. "
                f"Received: {self.path}"
            )
        training = kept(old, record)
        differing = differences(old, {**record, "training": training})
        if differing:
            raise InputError(
                f"The folder holds another run: {'; '.join(differing)}. Use the same settings to resume it, "
                f"or another folder. Received: {self.path}"
            )
        return TrainConfig.from_dict(training)

    def claim(self, record: dict[str, Any]) -> None:
        """Writes config.json, makes the folder of the checkpoints and deletes what killed runs left half-written.

        Args:
            record: what `agree` agreed to.
        """
        for folder in (self.path, _files.ensure_folder(self.checkpoints)):
            _files.clear_temporaries(folder)
        if self.saved_epochs():
            before = read_config(self.config)
            asked = {*before.get("asked", ()), *record.get("asked", ())}
            if "recipe" not in record.get("asked", ()):  # the default may have changed since: what was run is kept
                record = {name: value for name, value in record.items() if name != "recipe"}
                record |= {name: before[name] for name in ("recipe",) if name in before}
            record = {**record, "asked": sorted(asked)}
            if record.get("starts"):
                record["starts"] = [*before.get("starts", ()), *record["starts"]]
        _records.write(self.config, record)


def kept(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The settings of `new`, of which those that neither start asked for are as they were in `old`."""
    asked = {*old.get("asked", old["training"]), *new.get("asked", new["training"])}
    derived = {name: value for name, value in old["training"].items() if name not in asked and name in new["training"]}
    return {**new["training"], **derived}


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What keeps `new` from resuming `old`, in words; more epochs do not."""
    # Runs of the first release, which knew one task only, do not name it, and settings that came later are defaults.
    defaults = {field.name: field.default for field in dataclasses.fields(TrainConfig)}
    before, after = ({"task": "classification", **record} for record in (old, new))
    missing = {name: value for name, value in defaults.items() if name in new["training"]}
    before["training"] = {**missing, **old["training"]}
    schedule, words = old["training"].get("schedule"), []
    found = _records.differing(before, after)
    if before["data"].get("fingerprint") and before["data"]["fingerprint"] == after["data"].get("fingerprint"):
        found.pop("data.name", None)  # the same examples, wherever they lie now
    for name, (was, now) in found.items():
        if name.startswith(_IRRELEVANT):
            continue
        if name.startswith("data.fingerprint."):
            part = name.rpartition(".")[2]
            if f"data.sizes.{part}" not in found:
                words.append(f"{part} has other examples, as many as before")
            continue
        if name == "training.epochs" and isinstance(was, int) and now > was:
            spans = schedule in SCHEDULES and SCHEDULES[schedule].spans_run
            stretched = [f"the {schedule} schedule is"] if spans else []
            stretched += ["the plan of image sizes is"] if old["training"].get("progressive") else []
            if stretched:
                logging.warning(
                    "epochs was raised from %s to %s: %s stretched from here on, so the result is not that of one "
                    "uninterrupted run.", was, now, " and ".join(stretched),
                )  # fmt: skip
            continue
        words.append(f"{name.removeprefix('training.')} was {_short(was)}, now {_short(now)}")
    return words


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Holds the lock of a folder, which the system releases when the process ends, however it ends."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"Another process is training in this folder. Received: {folder}") from error
        except OSError as error:  # some network file systems have no locks
            logging.warning("%s cannot be locked (%s): start no second run in it.", folder, error.strerror)
        yield
    finally:
        os.close(descriptor)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
