"""What callbacks that tell another program about a run have in common; MLflow and W&B."""

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
from absl import logging

from kerascnn import _provenance, _records
from kerascnn._errors import InputError
from kerascnn.training.optimizers import last_rate

_KEPT = "trackers.json"  # in the folder: which runs of other programs belong to it
_ARTIFACTS = ("config.json", "history.csv", "curves.png", "best.keras")
_PRIVATE = ("starts", "asked", "class_names")  # of config.json: command line and machine; and what is no setting
_LONGEST = 250  # letters of a value


class Tracker(keras.callbacks.Callback):
    """Tells another program the settings of a run, the measures of each epoch, and at the end its files.

    The other program's name for the run is kept in the folder, so that a run that is resumed goes on there. Whatever
    fails at the beginning is refused; later the training goes on, and a warning says once what was not told.

    Args:
        folder: the run folder; its config.json tells the settings, if there is one.
        settings: to be told too; in a script of one's own, where there is no config.json.
        name: of the run there; None: the folder's.

    Raises:
        InputError: the package is not installed.
    """

    package, title = "", ""

    def __init__(self, folder, settings: Mapping[str, Any] | None = None, name: str | None = None):
        super().__init__()
        if importlib.util.find_spec(self.package) is None:
            rule = f"{self.title} must be installed: pip install 'kerascnn[{self.package}]'"
            raise InputError(f"{rule}. Received: log={self.package}")
        self._folder, self._settings = Path(folder), dict(settings or {})
        self._name = name or self._folder.resolve().name
        self._is_open, self._warned = False, False

    def start(self, known: str | None, settings: Mapping[str, Any]) -> str:
        """Begins a run, or goes on with the one that was called `known`; returns what it is called there."""
        raise NotImplementedError

    def tell(self, epoch: int, values: Mapping[str, float]) -> None:
        """Tells the measures of an epoch, counted from 1."""
        raise NotImplementedError

    def finish(self, files: list[Path], is_whole: bool) -> None:
        """Hands over files and says that the run has ended, or was interrupted."""
        raise NotImplementedError

    def on_train_begin(self, logs=None):
        kept = self._folder / _KEPT
        runs = _records.read(kept, _KEPT) if kept.exists() else {}
        try:
            identity = self.start(runs.get(self.package), self._all_settings())
        except Exception as error:  # of the other package, which has dozens of kinds
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            raise InputError(f"{self.title} cannot follow the run ({reason}). Received: {self._folder}") from error
        self._folder.mkdir(parents=True, exist_ok=True)
        _records.write(kept, {**runs, self.package: identity})
        self._is_open = True

    def on_epoch_end(self, epoch, logs=None):
        values = {name: float(value) for name, value in (logs or {}).items()}
        self._try(self.tell, epoch + 1, {**values, "learning_rate": last_rate(self.model.optimizer)})

    def on_train_end(self, logs=None):
        self._end(True)

    def close(self) -> None:
        """Says that the run was interrupted, where it has not ended."""
        self._end(False)

    def _end(self, is_whole):
        if self._is_open:
            self._is_open = False
            files = [self._folder / name for name in _ARTIFACTS]
            self._try(self.finish, [file for file in files if file.exists()], is_whole)

    def _try(self, what, *arguments):
        try:
            what(*arguments)
        except Exception as error:  # a server that is down must not end a training of days
            if not self._warned:
                reason = " ".join(str(error).split())[:300]
                logging.warning("%s was not told everything of %s: %s", self.title, self._folder, reason)
            self._warned = True

    def _all_settings(self) -> dict[str, Any]:
        config = self._folder / "config.json"
        record = _records.read(config, "config.json") if config.exists() else {}
        told = _provenance.masked({key: value for key, value in record.items() if key not in _PRIVATE})
        return _flat({**told, **self._settings})


def _flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}; lists as JSON."""
    found: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            plain = value if isinstance(value, int | float | str | None) else json.dumps(value, default=str)
            found[prefix + key] = plain[:_LONGEST] if isinstance(plain, str) else plain
    return found
