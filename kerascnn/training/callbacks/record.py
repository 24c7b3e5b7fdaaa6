"""The run folder after each epoch."""

import contextlib
import time
from collections.abc import Sequence

import keras

from kerascnn import surgery
from kerascnn._files import replace_with
from kerascnn.surgery.cut import with_softmax
from kerascnn.tasks import Task
from kerascnn.training import curves, history
from kerascnn.training.callbacks.average_weights import AverageWeights
from kerascnn.training.optimizers import last_rate
from kerascnn.training.run_folder import RunFolder


class Remember(keras.callbacks.Callback):
    """Keeps the history in memory alone: what the workers do that do not write the run folder.

    Args:
        rows: of the history so far; grows by one an epoch.
        extra: for each epoch of the run further columns and their values.
    """

    def __init__(self, rows: list[history.Row], extra: Sequence[history.Row] = ()):
        super().__init__()
        self._rows, self._extra, self._began = rows, extra, 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._began = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        row = {name: float(value) for name, value in (logs or {}).items()}
        row |= {"epoch": epoch + 1, "lr": last_rate(self.model.optimizer), "seconds": time.monotonic() - self._began}
        self._rows.append(row | (self._extra[epoch] if self._extra else {}))


class Record(Remember):
    """Writes the run folder after each epoch.

    First history.csv, then best.keras, then the checkpoint: the epoch counts as finished when its checkpoint is there,
    and what a kill in between leaves is rewritten with the same values when the epoch is repeated.

    Args:
        run: the folder.
        rows: of the history so far; grows by one an epoch.
        task: what is measured.
        classes: how many.
        title: of curves.png.
        average: of the weights; best.keras has it instead of them, and each checkpoint has it beside itself.
        extra: see `Remember`.
    """

    def __init__(
        self,
        run: RunFolder,
        rows: list[history.Row],
        task: Task,
        classes: int,
        title: str,
        average: AverageWeights | None = None,
        extra: Sequence[history.Row] = (),
    ):
        super().__init__(rows, extra)
        self._run, self._task, self._title, self._average = run, task, title, average
        self._names = history.columns(task.measures(classes), list(extra[0]) if extra else ())
        self._inference = None

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        history.write(self._run.history, self._rows, self._names)
        if history.best(self._rows, self._task.best) == epoch:
            self._inference = self._inference or with_probabilities(self.model)
            with self._average.applied() if self._average else contextlib.nullcontext():
                save(self._inference, self._run.best)
        if self._average:  # first: the epoch counts when its checkpoint is there
            self._average.save(self._run.average(epoch + 1))
        save(self.model, self._run.checkpoint(epoch + 1))
        self._run.prune()
        drawn = {name: self._task.titles[name] for name in self._task.drawn}
        curves.plot(self._rows, self._run.curves, self._title, drawn)


def save(model: keras.Model, path) -> None:
    """Saves a model so that the file is whole or not there."""
    with replace_with(path) as temporary:
        model.save(temporary)


def with_probabilities(model: keras.Model) -> keras.Model:
    """The model that best.keras holds: it ends in probabilities.

    Args:
        model: one that is trained, whose outputs are logits unless its graph says that they are probabilities.
    """
    if surgery.final_activation(model) is not None:
        return surgery.probabilities_of(model)
    return with_softmax(model)
