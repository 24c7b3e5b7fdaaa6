"""Loss and accuracy over the epochs as one picture."""

import os

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kerascnn._files import replace_with
from kerascnn.training.history import Row


def plot(rows: list[Row], path: str | os.PathLike, title: str = ""):
    """Writes a PNG with a loss panel and an accuracy panel, training and validation in each.

    Args:
        rows: of history.csv, at least one.
        path: the PNG.
        title: above both panels.
    """
    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained")  # no pyplot: no display, no global state
    epochs = [row["epoch"] for row in rows]
    for axes, name, factor, label in zip(
        figure.subplots(1, 2), ("loss", "accuracy"), (1, 100), ("loss", "accuracy, %"), strict=True
    ):
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
