"""A search as the command line runs it: its settings in a file, so that its folder alone is enough to go on."""

import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kerascnn import _units
from kerascnn._files import ensure_folder
from kerascnn.search import best, catalogue, drawing, folder_settings
from kerascnn.search.budget import parse_budget
from kerascnn.search.evaluators import Training
from kerascnn.search.front import pareto_front
from kerascnn.search.history import History, Trial
from kerascnn.search.run import run
from kerascnn.search.workers import Workers

FILE = "search.json"
_FORMAT = "kerascnn search settings"
SETTINGS = ("strategy", "options", "space", "data", "data_dir", "networks", "epochs", "samples", "recipe", "training",
            "seed")  # fmt: skip
LIMITS = ("budget", "workers", "timeout")  # which may change when the search is resumed
_RENEW = 50  # candidates after which a process is replaced: TensorFlow keeps something of each
_PAUSE = 15.0  # seconds between two lines where nothing better was found
_SHOWN = 10  # trials of a table


def begin(record: Mapping[str, Any], out: str | os.PathLike, console: Console) -> History:
    """Begins a search, or goes on with the one in the folder.

    Args:
        record: values of `SETTINGS` and `LIMITS`.
        out: its folder.
        console: for what is said.

    Returns:
        Its trials.

    Raises:
        InputError: a value cannot be used, or the folder holds another search.
        OSError: the folder cannot be written.
    """
    from kerascnn.search.building import Networks

    record = json.loads(json.dumps(record))  # as it is read again
    space = catalogue.space(record["space"])
    parse_budget(record["budget"])
    strategy = catalogue.strategy(record["strategy"], record["options"], record["epochs"])
    evaluator = Training(record["data"], record["data_dir"], build=Networks(**record["networks"]),
                         epochs=record["epochs"], samples=record["samples"], recipe=record["recipe"],
                         **record["training"])  # fmt: skip
    strategy.begin(space, record["seed"])  # what cannot be searched is refused before anything is written
    workers = Workers(record["workers"], timeout=record["timeout"], renew=_RENEW if record["workers"] else None)
    evaluator.check()
    folder = Path(ensure_folder(out))
    folder_settings.begin(folder / FILE, _FORMAT, (*SETTINGS, *LIMITS), record, SETTINGS)
    with Progress(console, record["budget"]) as progress:
        history = run(space, strategy, evaluator, budget=record["budget"], out=folder, seed=record["seed"],
                      workers=workers, after=progress)  # fmt: skip
    best.save_best(history, folder, record["space"], record["networks"])
    return history


def settings(folder: str | os.PathLike) -> dict[str, Any]:
    """What a search was begun with.

    Args:
        folder: of the search.

    Returns:
        Values of `SETTINGS` and `LIMITS`.

    Raises:
        InputError: the folder holds no search of the command line.
    """
    return folder_settings.read(Path(folder) / FILE, _FORMAT, (*SETTINGS, *LIMITS))


def show(folder: str | os.PathLike, console: Console) -> None:
    """Draws what a search has found, and prints it; while it runs, too.

    Args:
        folder: of the search; gets the pictures and best.json.
        console: for what is said.

    Raises:
        InputError: the folder holds no search.
        OSError: the pictures cannot be written.
    """
    record = settings(folder)
    history = History.read(folder, catalogue.space(record["space"]))
    title = f"{record['strategy']} on {os.path.basename(record['data'])}"
    console.print(table(history, title))
    if written := drawing.draw(history, folder, title):
        best.save_best(history, folder, record["space"], record["networks"])
        names = ", ".join(path.name for path in written)
        console.print(f"written: {names} and {best.FILE} in {folder}", highlight=False, markup=False, soft_wrap=True)
        console.print(candidate_table(history.space.decode(history.best()[0].tokens)))


def table(history: History, title: str = "") -> Table:
    """The best trials, and how the others ended.

    Args:
        history: of a search.
        title: above it.

    Returns:
        What rich prints; a star is a point of the Pareto front of value and cost.
    """
    cost = drawing.cost_of(history)
    counts = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in history.counts().items())
    caption = f"{len(history.trials):,} trials: {counts or 'none'}" + (f"; * Pareto front with {cost}" if cost else "")
    found = Table(title=Text(title), caption=Text(caption))
    for heading in ("trial", "value", *([cost] if cost else ()), "parameters", "epochs", "seconds"):
        found.add_column(heading, justify="right")
    sound = [trial for trial in history.trials if trial.result.ok]
    front = set()
    if cost and sound:
        places = pareto_front([(trial.value, trial.result.cost[cost]) for trial in sound], (True, False))
        front = {sound[place].proposal.id for place in places}
    for trial in history.best(_SHOWN) if sound else []:
        kept, epochs = trial.result.cost, trial.result.metrics.get("epochs")
        row = [str(trial.proposal.id), drawing.rounded(trial.value) + " *" * (trial.proposal.id in front)]
        row += [_units.short(kept[cost])] if cost else []
        row += [f"{int(kept['parameters']):,}" if "parameters" in kept else "-"]
        found.add_row(*row, "-" if epochs is None else f"{epochs:g}", f"{trial.result.seconds:.1f}")
    return found


def candidate_table(candidate: Any) -> Table:
    """A candidate, layer by layer.

    Args:
        candidate: what a space decodes.

    Returns:
        What rich prints.
    """
    headings, rows = drawing.layers_of(candidate)
    found = Table(*headings, title="the best")
    for row in rows:
        found.add_row(*(Text(str(value)) for value in row))
    return found


class Progress:
    """Says after a trial how good the best is, how many there were, how fast they come and how long it will take.

    Args:
        console: for the lines: one for each new best one, and one now and then.
        budget: of the search.
    """

    def __init__(self, console: Console, budget: int | str):
        self._console, (self._trials, self._seconds) = console, parse_budget(budget)
        self._best, self._count, self._failed = -math.inf, 0, 0
        self._began = self._told = time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error) -> None:
        if self._count and not any(error):
            self._console.print(f"{self._count:,} more trials; best {drawing.rounded(self._best)}", highlight=False)

    def __call__(self, trial: Trial) -> None:
        """Takes a trial.

        Args:
            trial: that has ended.
        """
        self._count += 1
        self._failed += not trial.result.ok
        better, now = trial.value > self._best, time.monotonic()
        self._best = max(self._best, trial.value)
        if better or now - self._told >= _PAUSE or not trial.result.ok:
            self._told = now
            self._console.print(self.line(trial, now), highlight=False, markup=False, soft_wrap=True)

    def line(self, trial: Trial, now: float) -> str:
        """What is said of a trial.

        Args:
            trial: the last one.
            now: by `time.monotonic()`.

        Returns:
            A line.
        """
        rate = 60 * self._count / max(now - self._began, 1e-9)
        number = trial.proposal.id + 1
        left = self._seconds - trial.elapsed
        if math.isinf(left):
            left = 60 * max(0.0, self._trials - number) / rate
        words = f"trial {number:,}: {drawing.rounded(trial.value)}, best {drawing.rounded(self._best)}, "
        words += f"{rate:.1f} candidates a minute, {_duration(max(0.0, left))} left"
        return words + (f"; {trial.result.status}: {trial.result.message}" if not trial.result.ok else "")


def _duration(seconds: float) -> str:
    """Hours, minutes and seconds: 1:02:03, 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
