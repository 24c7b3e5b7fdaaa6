"""The classes of a report as a picture: how many of each are found, and how often the network is right to name it."""

import os
import textwrap

import numpy as np
from matplotlib.figure import Figure

from kerascnn import _figures
from kerascnn.evaluation.drawing import without_formulas
from kerascnn.evaluation.intervals import wilson
from kerascnn.evaluation.report import Report

_DRAWN = 60


def plot_classes(report: Report, path: str | os.PathLike, title: str = "") -> None:
    """Writes a PNG: recall with its 95 % interval and precision of each class, the lowest recall first, at most 60.

    Args:
        report: of `evaluate`.
        path: the PNG.
        title: above all.
    """
    counts = report.confusion.sum(axis=1)
    order = [k for k in np.argsort(np.where(counts > 0, report.recall, np.inf), kind="stable") if counts[k]][:_DRAWN]
    figure = Figure(figsize=(8, 1.6 + 0.27 * len(order)), dpi=110, layout="constrained")
    axes = figure.subplots()
    rows = np.arange(len(order))
    spans = np.array([wilson(int(report.confusion[k, k]), int(counts[k])) for k in order])
    axes.hlines(rows, 100 * spans[:, 0], 100 * spans[:, 1], color="tab:blue", alpha=0.4, linewidth=3)
    axes.plot(100 * report.recall[order], rows, "o", color="tab:blue", label="recall: found of the class")
    axes.plot(100 * report.precision[order], rows, "x", color="tab:red", label="precision: right of those named so")
    names = [textwrap.shorten(report.class_names[k], 28, placeholder="…") or report.class_names[k][:28] for k in order]
    axes.set_yticks(rows, [f"{name} ({counts[k]:,})" for name, k in zip(names, order, strict=True)], fontsize=8)
    axes.set(xlabel="%", ylim=(len(order) - 0.4, -0.6))
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    left = len(report.class_names) - len(order)
    heading = report.heading + (f"; {left:,} more classes are not drawn" if left else "")
    figure.suptitle(f"{title}\n{heading}" if title else heading, fontsize=10)
    _figures.save(without_formulas(figure), path)
