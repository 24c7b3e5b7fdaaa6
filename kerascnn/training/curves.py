"""Loss, measures and learning rate over the epochs as one picture."""

import math
import os
from collections.abc import Mapping

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from kerascnn import _figures
from kerascnn.training.history import Row

_SPREAD = 20  # a loss that falls by more than this factor is drawn on a logarithmic axis


def plot(rows: list[Row], path: str | os.PathLike, title: str = "", measures: Mapping[str, str] | None = None) -> None:
    """Writes a PNG with a panel for the loss, one for each measure and one for the learning rate.

    Training and validation share a panel. A loss that falls far is drawn on a logarithmic axis, so that a single large
    value of the first epoch does not press the rest flat.

    Args:
        rows: of history.csv, at least one.
        path: the PNG.
        title: above all panels.
        measures: columns of the history that are parts of one, and what they are called; shown in per cent.
    """
    measures = {"accuracy": "accuracy"} if measures is None else measures
    panels = [("loss", "loss", 1), *((name, f"{text}, %", 100) for name, text in measures.items())]
    # No pyplot: no display, no global state.
    figure = Figure(figsize=(4.5 * len(panels) + 4, 4), dpi=120, layout="constrained")
    axes = figure.subplots(1, len(panels) + 1)
    epochs = [row["epoch"] for row in rows]
    for panel, (name, label, factor) in zip(axes, panels, strict=False):
        drawn = []
        for prefix, legend, color in (("", "training", "tab:blue"), ("val_", "validation", "tab:orange")):
            values = [factor * row[prefix + name] for row in rows]
            last = f"{values[-1]:.4f}" if factor == 1 else f"{values[-1]:.2f} %"
            panel.plot(epochs, values, color=color, marker="o", markersize=3, label=f"{legend} (last {last})")
            drawn += values
        panel.set_ylabel(label)
        panel.legend()
        if name == "loss" and _is_wide(drawn):
            panel.set_yscale("log")
            panel.set_ylabel("loss, logarithmic")
            panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes[-1].plot(epochs, [row["lr"] for row in rows], color="tab:gray", marker="o", markersize=3)
    axes[-1].set_ylabel("learning rate of the last step")
    axes[-1].set_ylim(bottom=0)
    for panel in axes:
        panel.set_xlabel("epoch")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.grid(alpha=0.3)
    figure.suptitle(title)
    _figures.save(figure, path)


def _is_wide(values: list[float]) -> bool:
    sound = [value for value in values if math.isfinite(value)]
    return bool(sound) and min(sound) > 0 and max(sound) > _SPREAD * min(sound)
