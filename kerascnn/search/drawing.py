"""A search as pictures: how good its best was after how much, the front of value and cost, who came from whom, and the
best candidate."""

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn import _figures
from kerascnn._files import ensure_folder
from kerascnn.search.front import pareto_front
from kerascnn.search.history import History

COSTS = ("macs", "parameters", "train_seconds")  # what the front is drawn over: the first that all trials have
_BLUE, _RED, _GREY = "#1f5fa8", "#b5541c", "#999999"
_TITLES = {"macs": "multiply-adds", "parameters": "parameters", "train_seconds": "seconds of training"}


def draw(history: History, folder: str | os.PathLike, title: str = "") -> list[Path]:
    """Writes all pictures that a history has.

    Args:
        history: of a search.
        folder: for the pictures.
        title: of the search.

    Returns:
        The files: history.png, front.png where there are costs, genealogy.png where there are parents, best.png.
        None of them where no candidate was evaluated.

    Raises:
        OSError: they cannot be written.
    """
    folder, written = ensure_folder(folder), []
    best = history.best()
    if not best:
        return []
    for name, figure in (
        ("history", history_figure(history, title)),
        ("front", front_figure(history, title)),
        ("genealogy", genealogy_figure(history, title)),
    ):
        if figure is not None:
            _figures.save(figure, folder / f"{name}.png")
            written.append(folder / f"{name}.png")
    plot_candidate(history.space.decode(best[0].tokens), folder / "best.png", f"best: {best[0].value:.4g}")
    return [*written, folder / "best.png"]


def history_figure(history: History, title: str = "") -> Any:
    """The best value so far, by trials and by seconds, over all values.

    Args:
        history: of a search.
        title: above it.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure, curve = _figure(title, 10), history.curve()
    axes = figure.subplots(1, 2, sharey=True)
    places = (np.arange(1, len(curve) + 1), np.array([trial.elapsed for trial in history.trials]))
    values = np.array([trial.value for trial in history.trials])
    sound = np.isfinite(values)
    for each, place, label in zip(axes, places, ("trials", "seconds"), strict=True):
        each.plot(place[sound], values[sound], ".", color=_GREY, markersize=4, label="a trial")
        each.step(place, np.where(np.isfinite(curve), curve, np.nan), where="post", color=_BLUE, label="best so far")
        each.set_xlabel(label)
        each.grid(alpha=0.3)
    axes[0].set_ylabel("value")
    axes[0].legend(loc="lower right")
    return figure


def cost_of(history: History) -> str | None:
    """The cost that a front is drawn over.

    Args:
        history: of a search.

    Returns:
        The first of `COSTS`, else another, that all evaluated trials have; None: there is none.
    """
    kept = [trial.result.cost for trial in history.trials if trial.result.ok]
    common = set.intersection(*(set(cost) for cost in kept)) if kept else set()
    return next((name for name in (*COSTS, *sorted(common)) if name in common), None)


def front_figure(history: History, title: str = "") -> Any:
    """Value over cost, and the trials that no other beats in both.

    Args:
        history: of a search.
        title: above it.

    Returns:
        A `matplotlib.figure.Figure`; None where the trials have no cost.
    """
    name = cost_of(history)
    if name is None:
        return None
    figure = _figure(title, 7)
    axes = figure.subplots()
    points = np.array([(trial.value, trial.result.cost[name]) for trial in history.trials if trial.result.ok])
    front = points[pareto_front(points, (True, False))]
    front = front[np.argsort(front[:, 1], kind="stable")]
    axes.plot(points[:, 1], points[:, 0], ".", color=_GREY, label="a trial")
    axes.step(front[:, 1], front[:, 0], "o-", where="post", color=_RED, label="Pareto front")
    if points[:, 1].min() > 0 and points[:, 1].max() > 20 * points[:, 1].min():
        axes.set_xscale("log")
    axes.set_xlabel(_TITLES.get(name, name))
    axes.set_ylabel("value")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return figure


def genealogy_figure(history: History, title: str = "") -> Any:
    """Each trial with a line to what it was made of; the best one's ancestors stand out.

    Args:
        history: of a search.
        title: above it.

    Returns:
        A `matplotlib.figure.Figure`; None where no trial has a parent.
    """
    by_id = {trial.proposal.id: trial for trial in history.trials if trial.result.ok}
    pairs = [(by_id[trial.proposal.parent], trial) for trial in by_id.values() if trial.proposal.parent in by_id]
    if not pairs:
        return None
    from matplotlib.collections import LineCollection

    figure = _figure(title, 10)
    axes = figure.subplots()
    place = {id: number for number, id in enumerate(by_id, 1)}
    lines = [[(place[one.proposal.id], one.value) for one in pair] for pair in pairs]
    axes.add_collection(LineCollection(lines, colors=_GREY, linewidths=0.6, alpha=0.7))
    axes.plot(list(place.values()), [trial.value for trial in by_id.values()], ".", color=_BLUE, markersize=4)
    line = [trial for trial in history.lineage(history.best()[0]) if trial.result.ok]
    axes.plot([place[each.proposal.id] for each in line], [each.value for each in line], "o-", color=_RED,
              label="the best and what it comes from")  # fmt: skip
    axes.set_xlabel("trials")
    axes.set_ylabel("value")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return figure


def plot_candidate(candidate: Any, path: str | os.PathLike, title: str = "") -> None:
    """Writes a picture of a candidate: its cells, or a table of its layers.

    Args:
        candidate: what a space decodes.
        path: the PNG.
        title: above a table.

    Raises:
        OSError: it cannot be written.
    """
    from kerascnn.cells import Genotype, plot_cell, plot_genotype

    if isinstance(candidate, Genotype):
        if candidate.normal == candidate.reduce:
            plot_cell(candidate.normal, path, title=f"{candidate.name}, both cells; {title}")
        else:
            plot_genotype(candidate, path)
        return
    headings, rows = layers_of(candidate)
    figure = _figure(title, max(4.0, 1.5 * len(headings)), 1.0 + 0.28 * len(rows))
    axes = figure.subplots()
    axes.axis("off")
    table = axes.table([[str(value) for value in row] for row in rows], colLabels=headings, loc="center",
                       cellLoc="left")  # fmt: skip
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    table.scale(1, 1.2)
    _figures.save(figure, path)


def layers_of(candidate: Any) -> tuple[list[str], list[list[Any]]]:
    """A candidate as a table: a row's fields, a chain's or blocks' layers, a hierarchy's edges, a genotype's sums.

    Args:
        candidate: what a space decodes.

    Returns:
        Headings, and rows.
    """
    from kerascnn.cells import Genotype
    from kerascnn.search.spaces import BankLayer, Hierarchy, Layer, Row

    if isinstance(candidate, Genotype):
        cells = [("normal", candidate.normal), ("reduce", candidate.reduce)]
        cells = [("both", candidate.normal)] if candidate.normal == candidate.reduce else cells
        return ["cell", "is"], [[name, line] for name, cell in cells for line in str(cell).splitlines()]
    if isinstance(candidate, Row):
        return ["field", "value"], [[name, value] for name, value in candidate.items()]
    if isinstance(candidate, Hierarchy):
        return ["from", "to", "operation"], [list(edge) for edge in candidate.flat()]
    if isinstance(candidate, tuple) and candidate and all(isinstance(each, Layer) for each in candidate):
        names = list(candidate[0].values)
        rows = [[i, *(layer.values[name] for name in names), " ".join(map(str, layer.skips)) or "-"]
                for i, layer in enumerate(candidate)]  # fmt: skip
        return ["layer", *names, "skips"], rows
    if isinstance(candidate, tuple) and all(isinstance(block, tuple) and block for block in candidate) and candidate:
        layers = [(number, layer) for number, block in enumerate(candidate, 1) for layer in block]
        if all(isinstance(layer, BankLayer) for _, layer in layers):
            rows = [[number, " ".join(map(str, layer.reads)), *layer.values.values(), " ".join(map(str, layer.writes))]
                    for number, layer in layers]  # fmt: skip
            return ["block", "reads", *layers[0][1].values, "writes"], rows
    return ["candidate"], [[line] for line in str(candidate).splitlines()]


def _figure(title: str, width: float, height: float = 4.5) -> Any:
    from matplotlib.figure import Figure  # here, since most searches draw nothing

    figure = Figure(figsize=(width, min(height, 30.0)), dpi=110, layout="constrained")
    if title:
        figure.suptitle(title)
    return figure


def rounded(value: float) -> str:
    """A number for people.

    Args:
        value: minus infinity is that of a candidate that failed.

    Returns:
        Text.
    """
    return f"{value:.4f}" if math.isfinite(value) else "failed"
