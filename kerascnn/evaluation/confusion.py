"""The confusion matrix as a picture."""

import os
import textwrap

import numpy as np
from matplotlib.figure import Figure

from kerascnn import _figures
from kerascnn.evaluation.drawing import without_formulas
from kerascnn.evaluation.report import Report
from kerascnn.evaluation.segmentation import SegmentationReport

_NUMBERED = 20  # up to so many classes each cell shows its count
_NAMED = 60  # up to so many each row has its name; beyond, every second, third ...


def plot_confusion(report: Report | SegmentationReport, path: str | os.PathLike, title: str = "") -> None:
    """Writes a PNG: true classes in rows, predicted classes in columns, color = share of the row.

    With many classes the cells are too small for numbers, so the most frequent mistakes are listed beside the matrix.

    Args:
        report: of `evaluate` or `evaluate_segmentation`.
        path: the PNG.
        title: above the measures.
    """
    classes = len(report.class_names)
    size = float(np.clip(0.55 * classes, 5.5, 12.0))
    listed = classes > _NUMBERED
    figure = Figure(figsize=(size + (5 if listed else 1.5), size + 0.8), dpi=130, layout="constrained")
    axes, side = figure.subplots(1, 2, width_ratios=[size, 4]) if listed else (figure.subplots(), None)
    share = report.confusion / np.maximum(report.confusion.sum(axis=1, keepdims=True), 1)
    # The square root shows mistakes of a few per cent, which a linear scale leaves white.
    image = axes.imshow(np.sqrt(share), cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    bar = figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")
    marks = np.array([0, 0.01, 0.05, 0.2, 0.5, 1.0])
    bar.set_ticks(np.sqrt(marks), labels=[f"{mark:.0%}" for mark in marks])
    every = -(-classes // _NAMED)
    ticks = np.arange(0, classes, every)
    names = [textwrap.shorten(report.class_names[tick], 24, placeholder="…") or str(tick) for tick in ticks]
    font = float(np.clip(300 / max(len(ticks), 1), 5, 10))
    axes.set_xticks(ticks, names, rotation=90 if classes > 12 else 45, ha="center" if classes > 12 else "right",
                    rotation_mode="default" if classes > 12 else "anchor", fontsize=font)  # fmt: skip
    axes.set_yticks(ticks, names, fontsize=font)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if not listed:
        for (row, column), count in np.ndenumerate(report.confusion):
            if count:
                color = "white" if share[row, column] > 0.4 else "black"
                axes.text(
                    column, row, report.cell(row, column), ha="center", va="center", color=color, fontsize=font - 1.5
                )
    axes.set_title(f"{title}\n{report.heading}" if title else report.heading)
    if side is not None:
        side.axis("off")
        lines = [
            f"{count:5,}  {textwrap.shorten(report.class_names[i], 20, placeholder='…')} → "
            f"{textwrap.shorten(report.class_names[j], 20, placeholder='…')}"
            for i, j, count in report.confused(25)
        ]
        side.text(0, 1, "most frequent mistakes\n(true → predicted)\n\n" + "\n".join(lines), va="top", fontsize=9)
    _figures.save(without_formulas(figure), path)
