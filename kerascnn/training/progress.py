"""What a person sees while a network trains: a live bar within the epoch and one line for each finished one."""

import math
import time
from collections.abc import Sequence

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kerascnn.tasks.task import TITLES

_REFRESH = 0.2  # seconds; reading a metric waits for the device, so not at each step


class ProgressBar(keras.callbacks.Callback):
    """Live bar (on a terminal) and epoch lines.

    Args:
        console: where to print.
        epochs: of the whole run.
        steps: per epoch.
        batch_size: examples per step.
        measures: what is measured beside the loss.
    """

    def __init__(self, console: Console, epochs: int, steps: int, batch_size: int, measures: Sequence[str]):
        super().__init__()
        self._measures = measures
        self._console, self._epochs, self._steps, self._batch = console, epochs, steps, batch_size
        self._bar = None
        self._shown = self._began = self._trained = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._began = self._shown = time.monotonic()
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("epoch {task.fields[epoch]}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                TextColumn("{task.fields[text]}"), console=self._console, transient=True,
            )  # fmt: skip
            self._task = self._bar.add_task("", total=self._steps, epoch=f"{epoch + 1}/{self._epochs}", text="")
            self._bar.start()

    def on_train_batch_end(self, batch, logs=None):
        now = time.monotonic()
        self._trained = now
        if self._bar is None or (now - self._shown < _REFRESH and batch + 1 < self._steps):
            return
        self._shown = now
        rate = (batch + 1) * self._batch / (now - self._began)
        measured = "  ".join(f"{TITLES[name]} {float(logs[name]):.2%}" for name in self._measures)
        text = f"loss {float(logs['loss']):.4f}  {measured}  {rate:,.0f} images/s"
        self._bar.update(self._task, completed=batch + 1, text=text)

    def on_epoch_end(self, epoch, logs=None):
        self.close()
        logs = logs or {}
        rate = self._steps * self._batch / max(self._trained - self._began, 1e-9)
        trained = "  ".join(f"{TITLES[name]} {logs[name]:.2%}" for name in self._measures if name != "top5")
        validated = ", ".join(
            f"{TITLES[name]} {logs['val_' + name]:.2%}"
            for name in self._measures
            if math.isfinite(logs.get(f"val_{name}", math.nan))
        )
        width = len(str(self._epochs))
        self._console.print(
            f"epoch {epoch + 1:{width}d}/{self._epochs}  loss {logs['loss']:.4f}  {trained}  "
            f"validation: loss {logs['val_loss']:.4f}, {validated}  "
            f"{time.monotonic() - self._began:.1f} s ({rate:,.0f} images/s)",
            highlight=False,
            soft_wrap=True,
        )

    def on_train_end(self, logs=None):
        self.close()

    def close(self):
        """Removes the bar, so that an error message is not drawn over."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
