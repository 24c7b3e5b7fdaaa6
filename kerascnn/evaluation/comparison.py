"""Several networks, or several ways to use them, beside each other in a picture."""

import os
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from kerascnn import _check, _figures
from kerascnn._errors import InputError
from kerascnn.evaluation.drawing import without_formulas
from kerascnn.evaluation.report import Report

_MOST = 200  # rows
_LETTERS = 48


def plot_comparison(
    reports: Mapping[str, Report], path: str | os.PathLike, title: str = "", *, strong: int = 0
) -> None:
    """Writes a PNG: the top-1 of each with its 95 % interval, and the loss, one a row.

    Args:
        reports: name -> report, at most 200.
        path: the PNG.
        title: above all.
        strong: how many of the last ones are set off from the others, such as the ensembles below their members.

    Raises:
        InputError: none or too many are given, or `strong` is more than there are.
    """
    if not 1 <= len(reports) <= _MOST:
        raise InputError(f"There must be 1 to {_MOST} reports to draw. Received: {len(reports)}")
    strong = _check.whole("strong", strong, 0, len(reports))
    rows = np.arange(len(reports))
    figure = Figure(figsize=(10, 1.3 + 0.34 * len(reports) + 0.3 * bool(title)), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    colors = ["tab:blue"] * (len(reports) - strong) + ["tab:red"] * strong
    for row, report, color in zip(rows, reports.values(), colors, strict=True):
        low, high = report.interval
        left.plot([100 * low, 100 * high], [row, row], color=color, linewidth=2, alpha=0.5)
        left.plot(100 * report.top1, row, "o", color=color)
        left.annotate(f"{report.top1:.2%}", (100 * report.top1, row), (0, 5), textcoords="offset points",
                      ha="center", fontsize=7)  # fmt: skip
        right.plot(report.loss, row, "o", color=color)
    names = [
        name if len(name) <= _LETTERS else f"…{name[1 - _LETTERS :]}" for name in reports
    ]  # paths differ at the end
    left.set_yticks(rows, names)
    left.set(xlabel="top-1, %", ylim=(len(reports) - 0.5, -0.6))
    right.set_xlabel("loss, nats")
    for axes in (left, right):
        axes.grid(axis="x", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    if title:
        figure.suptitle(title, fontsize=11)
    _figures.save(without_formulas(figure), path)
