"""Runs beside each other: found in folders, read without trusting them, compared, drawn."""

import dataclasses
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kerascnn import _check, _figures, _records
from kerascnn._errors import InputError
from kerascnn.inference.run_record import read_config
from kerascnn.tasks import TASKS
from kerascnn.training import history
from kerascnn.training.config import TrainConfig
from kerascnn.training.run_folder import RunFolder

ORDERS = ("best", "test", "loss", "name", "network", "time")
_LEGEND = 12  # runs with a line of their own in the legend
_MEASURES = {"classification": "top1", "segmentation": "mean_iou"}  # of evaluation.json, by the task


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run folder tells; made by `find` and `read`."""

    path: Path
    problem: str = ""  # why it cannot be compared, or what is wrong with it; "": nothing
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)  # config.json
    rows: tuple[history.Row, ...] = dataclasses.field(default=(), repr=False)  # history.csv
    best: int | None = None  # index of the best row
    test: float | None = None  # top-1, for segmentation mean IoU, of evaluation.json on the test part

    @property
    def network(self) -> str:
        """Its name, "" where it is not known."""
        return str(self.config.get("model", {}).get("name", ""))

    @property
    def data(self) -> str:
        """The name of the data set."""
        return str(self.config.get("data", {}).get("name", ""))

    @property
    def measure(self) -> str:
        """The column of the history, without "val_", by which the best epoch is chosen."""
        return TASKS[self.config.get("task", "classification")].best

    @property
    def settings(self) -> dict[str, Any]:
        """How it was trained, flat: the fields of `TrainConfig`, and the network's options."""
        options = self.config.get("model", {}).get("options", {})
        return {**_records.flatten(options), **_records.flatten(self.config.get("training", {}))}

    @property
    def value(self) -> float | None:
        """The best value of `measure` in validation."""
        return None if self.best is None else self.rows[self.best][f"val_{self.measure}"]

    @property
    def loss(self) -> float | None:
        """The validation loss of the best epoch."""
        return None if self.best is None else self.rows[self.best].get("val_loss")

    @property
    def seconds(self) -> float | None:
        """Mean time of an epoch."""
        times = [row["seconds"] for row in self.rows if math.isfinite(row.get("seconds", math.nan))]
        return sum(times) / len(times) if times else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        chosen = None if self.best is None else _plain(self.rows[self.best])
        return {
            "path": str(self.path),
            "problem": self.problem,
            "network": self.network,
            "data": self.data,
            "epochs": len(self.rows),
            "best": chosen,
            "last": _plain(self.rows[-1]) if self.rows else None,
            "test": self.test,
            "seconds": self.seconds,
            "settings": self.settings,
            "starts": self.config.get("starts", []),
        }


def find(folders: str | os.PathLike | Iterable[str | os.PathLike], *, sort: str = "best") -> list[Run]:
    """Reads runs. One that is damaged is there too, with its `problem`.

    Args:
        folders: run folders, or folders that have some anywhere below them.
        sort: "best" or "test" (highest first), "loss" (lowest first), "name", "network", or "time" (of an epoch). What
            has no such value comes last.

    Returns:
        The runs, each once.

    Raises:
        InputError: a folder is not there, or there is no run in any.

    Example:

        for run in training.runs.find("runs"):
            print(run.path, run.network, run.value, run.problem)
    """
    _check.one_of("sort", sort, ORDERS)
    given = [folders] if isinstance(folders, str | os.PathLike) else list(folders)
    found: dict[str, Path] = {}
    for folder in given:
        path = Path(folder)
        if not path.is_dir():
            raise InputError(f"A folder of runs must exist. Received: {path}")
        for run in _below(path):
            found.setdefault(os.path.realpath(run), run)
    if not found:
        names = ", ".join(map(str, given))
        raise InputError(f"There must be runs, folders with a config.json. Received: none in {names or 'no folder'}")
    return sorted(map(read, found.values()), key=lambda run: _order(run, sort))


def read(folder: str | os.PathLike) -> Run:
    """Reads one run folder, whatever state it is in.

    Args:
        folder: the folder.

    Returns:
        The run.
    """
    run = RunFolder(folder)
    try:
        config = read_config(run.config)
    except InputError as error:
        return Run(run.path, problem=f"damaged: {error}")
    task = TASKS[config.get("task", "classification")]
    try:
        names = history.columns(task.measures(len(config["class_names"])))
        rows = tuple(history.read(run.history, names))
    except InputError as error:
        return Run(run.path, problem=f"damaged: {error}", config=config)
    problem = "" if rows else "not one epoch is finished"
    if history.diverged(list(rows)):
        problem = f"diverged in epoch {history.diverged(list(rows))}"
    elif rows and not run.best.exists():
        problem = "best.keras is missing"
    return Run(run.path, problem, config, rows, history.best(list(rows), task.best), _tested(run, config, task.name))


def differing(found: Sequence[Run]) -> list[str]:
    """The settings in which sound runs differ, in the order of `TrainConfig`, those of networks first.

    Args:
        found: the runs.

    Returns:
        Keys of `Run.settings`; the seed and the number of epochs too.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(TrainConfig)}  # of what came later than a run
    sound = [{**defaults, **run.settings} for run in found if run.config]
    names = dict.fromkeys(name for settings in sound for name in settings)
    texts = {name: {json.dumps(settings.get(name), sort_keys=True) for settings in sound} for name in names}
    return [name for name in names if len(texts[name]) > 1]


def plot(found: Sequence[Run], path: str | os.PathLike) -> None:
    """Writes a PNG: validation measure and loss over the epochs, a line a run, the best epochs marked.

    Args:
        found: runs, of which those with epochs are drawn; the first 12 are named.
        path: the PNG.

    Raises:
        InputError: not one has an epoch.
    """
    drawn = [run for run in found if run.rows]
    if not drawn:
        raise InputError("There must be a run with an epoch to draw. Received: none")
    figure = Figure(figsize=(12, 5), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2)
    named = {run.measure for run in drawn}
    for number, run in enumerate(drawn):
        color = f"C{number % 10}" if number < _LEGEND else "0.75"
        epochs = [row["epoch"] for row in run.rows]
        values = [100 * row[f"val_{run.measure}"] for row in run.rows]
        label = None
        if number < _LEGEND:
            label = str(run.path) if len(str(run.path)) <= 40 else f"…{str(run.path)[-39:]}"
            label += "" if run.value is None else f" ({run.value:.2%})"
        style = {"color": color, "linewidth": 1.3, "zorder": 2 if number < _LEGEND else 1}
        left.plot(epochs, values, label=label, linestyle="-" if number < 10 else "--", **style)
        right.plot(epochs, [row["val_loss"] for row in run.rows], linestyle="-" if number < 10 else "--", **style)
        if run.best is not None:
            left.plot(epochs[run.best], values[run.best], "o", color=color, markersize=5)
    left.set_ylabel(f"validation {', '.join(sorted(name.replace('_', ' ') for name in named))}, %")
    right.set_ylabel("validation loss")
    losses = [row["val_loss"] for run in drawn for row in run.rows if math.isfinite(row["val_loss"])]
    if losses and min(losses) > 0 and max(losses) > 20 * min(losses):
        right.set_yscale("log")
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    legend = left.legend(fontsize=8)
    for text in legend.get_texts():
        text.set_parse_math(False)
    _figures.save(figure, path)


def _below(folder: Path) -> list[Path]:
    """The run folders: the folder itself, or what is below it; nothing is looked for inside of a run."""
    found = []
    for place, folders, files in os.walk(folder):
        if "config.json" in files:
            found.append(Path(place))
            folders.clear()
        else:
            folders[:] = sorted(name for name in folders if not name.startswith("."))
    return found


def _tested(run: RunFolder, config: Mapping[str, Any], task: str) -> float | None:
    """What evaluation.json says of best.keras as it is now, on the whole test part of the run's own data."""
    path = run.path / "evaluation.json"
    try:
        if run.best.exists() and path.stat().st_mtime < run.best.stat().st_mtime:
            return None
        record = _records.read(path, "evaluation.json")
    except (OSError, InputError):
        return None
    size = config["data"].get("sizes", {}).get("test")
    same = (
        record.get("split") == "test"
        and record.get("data") == config["data"]["name"]
        and size in (None, record.get("examples"))
        and str(record.get("checkpoint")).endswith(run.best.name)
        and "tta" not in record
    )
    value = record.get(_MEASURES[task])
    return float(value) if same and isinstance(value, int | float) and not isinstance(value, bool) else None


def _order(run: Run, sort: str) -> tuple:
    name = str(run.path)
    if sort == "name":
        return (not run.config, name)
    if sort == "network":
        return (not run.config, run.network, name)
    value = {"best": run.value, "test": run.test, "loss": run.loss, "time": run.seconds}[sort]
    sound = value is not None and math.isfinite(value)
    sign = -1 if sort in ("best", "test") else 1
    return (not run.config, not sound, sign * value if sound else 0.0, name)


def _plain(row: history.Row) -> dict[str, float | None]:
    """A row without what JSON has no number for."""
    return {name: value if math.isfinite(value) else None for name, value in row.items()}
