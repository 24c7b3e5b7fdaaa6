"""What a person sees while a network trains: how far the epoch is, and one line for each finished one."""

import math
import sys
import time
from collections.abc import Mapping

import keras
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kerascnn.training.peak_memory import peak_bytes

_REFRESH = 0.2  # seconds; reading a metric waits for the device, so not at each step
# Where lines cannot be overwritten, seconds: one after a tenth of the epoch, but not within 10; and one after 30.
_SOONEST, _LATEST = 10.0, 30.0


class ShowProgress(keras.callbacks.Callback):
    """Progress within training and validation, and a line after each epoch: what was measured, images per second, the
    most memory that was needed so far (of the busiest GPU, else of the process), and the time left if all epochs take
    as long.

    On a terminal it is a bar, in a notebook a line that is overwritten; elsewhere, as in a file, a line now and then.

    Args:
        console: where to print.
        epochs: of the whole run.
        steps: of training, an epoch.
        validation_steps: of validation, an epoch.
        batch_size: examples per step.
        measures: what is measured beside the loss, and what it is called.
    """

    def __init__(
        self,
        console: Console,
        epochs: int,
        steps: int,
        validation_steps: int,
        batch_size: int,
        measures: Mapping[str, str],
    ):
        super().__init__()
        self._console, self._epochs, self._measures, self._batch = console, epochs, measures, batch_size
        self._steps, self._validation_steps = steps, validation_steps
        kind = _Bar if console.is_terminal else _Overwritten if console.is_jupyter else _Lines
        self._view: _Bar | _Overwritten | _Lines = kind(console)
        self._shown = self._began = self._trained = 0.0
        self._epoch = ""

    def on_epoch_begin(self, epoch, logs=None):
        self._began = self._shown = self._trained = time.monotonic()
        self._epoch = f"epoch {epoch + 1}/{self._epochs}"
        self._view.begin(self._epoch, self._steps)

    def on_train_batch_end(self, batch, logs=None):
        self._trained = time.monotonic()
        if self._is_due(batch + 1, self._steps):
            rate = (batch + 1) * self._batch / max(self._trained - self._began, 1e-9)
            measured = (f"{title} {float(logs[name]):.2%}" for name, title in self._measures.items())
            text = "  ".join([f"loss {float(logs['loss']):.4f}", *measured, f"{rate:,.0f} images/s"])
            self._view.show(batch + 1, self._steps, text)

    def on_test_begin(self, logs=None):
        self._shown = time.monotonic()
        self._view.begin(f"{self._epoch}, validation", self._validation_steps)

    def on_test_batch_end(self, batch, logs=None):
        if self._is_due(batch + 1, self._validation_steps):
            self._view.show(batch + 1, self._validation_steps, "")

    def _is_due(self, done, steps):
        now = time.monotonic()
        if now - self._shown < _REFRESH and done < steps:
            return False
        self._shown = now
        return True

    def on_epoch_end(self, epoch, logs=None):
        self._view.close()
        logs = logs or {}
        rate = self._steps * self._batch / max(self._trained - self._began, 1e-9)
        trained = "  ".join(f"{title} {logs[name]:.2%}" for name, title in self._measures.items() if name != "top5")
        validated = [f"loss {logs['val_loss']:.4f}"] if "val_loss" in logs else []
        validated += [
            f"{title} {logs['val_' + name]:.2%}"
            for name, title in self._measures.items()
            if math.isfinite(logs.get(f"val_{name}", math.nan))
        ]
        validation = f"validation: {', '.join(validated)}  " if validated else ""
        width, seconds, peak = len(str(self._epochs)), time.monotonic() - self._began, peak_bytes()
        memory = f", {decimal(peak)}" if peak else ""
        left = self._epochs - epoch - 1
        remaining = f", {_duration(left * seconds)} left" if left else ""
        self._console.print(
            f"epoch {epoch + 1:{width}d}/{self._epochs}  loss {logs['loss']:.4f}  {trained}  "
            f"{validation}{seconds:.1f} s ({rate:,.0f} images/s{memory}){remaining}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )

    def on_train_end(self, logs=None):
        self.close()

    def close(self):
        """Removes what would be overwritten, so that an error message does not stand in it."""
        self._view.close()


def _duration(seconds: float) -> str:
    """The time that is left, as exact as it can be known: 40 s, 12 min, 3 h 20 min."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


class _Bar:
    """A live bar on a terminal."""

    def __init__(self, console: Console):
        self._console = console
        self._bar: Progress | None = None

    def begin(self, title, steps):
        self.close()
        self._bar = Progress(
            TextColumn("{task.fields[title]}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            TextColumn("{task.fields[text]}", markup=False), console=self._console, transient=True,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=steps, title=title, text="")
        self._bar.start()

    def show(self, done, steps, text):
        if self._bar is not None:
            self._bar.update(self._task, completed=done, text=text)

    def close(self):
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class _Overwritten:
    """One line that is written over, which every notebook shows without further packages."""

    def __init__(self, console: Console):
        self._title, self._width = "", 0

    def begin(self, title, steps):
        self._title = title
        self._write(title)

    def show(self, done, steps, text):
        filled = 20 * done // max(steps, 1)
        self._write(f"{self._title} [{'#' * filled}{'.' * (20 - filled)}] {done}/{steps}  {text}")

    def _write(self, line):
        sys.stdout.write("\r" + line.ljust(self._width))
        sys.stdout.flush()
        self._width = len(line)

    def close(self):
        if self._width:
            sys.stdout.write("\r" + " " * self._width + "\r")
            sys.stdout.flush()
            self._width = 0


class _Lines:
    """A line now and then, for a file or a pipe."""

    def __init__(self, console: Console):
        self._console = console
        self._title, self._tenth, self._when = "", 0, 0.0

    def begin(self, title, steps):
        self._title, self._tenth, self._when = title, 0, time.monotonic()

    def show(self, done, steps, text):
        now, tenth = time.monotonic(), 10 * done // max(steps, 1)
        waited = now - self._when
        if done < steps and (waited >= _LATEST or (waited >= _SOONEST and tenth > self._tenth)):
            self._tenth, self._when = tenth, now
            line = f"{self._title}, {done / steps:.0%}  {text}".rstrip()
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)
            self._console.file.flush()

    def close(self):
        pass
