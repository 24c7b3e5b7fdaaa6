"""Loss and measures over the epochs as one picture."""

import os
from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kerascnn._files import replace_with
from kerascnn.tasks.task import TITLES
from kerascnn.training.history import Row


def plot(rows: list[Row], path: str | os.PathLike, title: str = "", measures: Sequence[str] = ("accuracy",)):
    """Writes a PNG with a panel for the loss and one for each measure, training and validation in each.

    Args:
        rows: of history.csv, at least one.
        path: the PNG.
        title: above all panels.
        measures: columns of the history that are parts of one; shown in per cent.
    """
    panels = ["loss", *measures]
    # No pyplot: no display, no global state.
    figure = Figure(figsize=(5 * len(panels), 4), dpi=120, layout="constrained")
    epochs = [row["epoch"] for row in rows]
    for axes, name in zip(figure.subplots(1, len(panels)), panels, strict=True):
        factor, label = (1, "loss") if name == "loss" else (100, f"{TITLES[name]}, %")
        for prefix, legend, colour in (("", "training", "tab:blue"), ("val_", "validation", "tab:orange")):
            values = [factor * row[prefix + name] for row in rows]
            last = f"{values[-1]:.4f}" if name == "loss" else f"{values[-1]:.2f} %"
            axes.plot(epochs, values, color=colour, marker="o", markersize=3, label=f"{legend} (last {last})")
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title)
    with replace_with(path) as temporary:
        figure.savefig(temporary, format="png")
