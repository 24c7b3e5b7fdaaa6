"""The reliability diagram: how often a network is right where it is that sure."""

import os
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from kerascnn import _figures
from kerascnn._errors import InputError
from kerascnn.evaluation.calibration import Calibration
from kerascnn.evaluation.drawing import without_formulas

_MOST = 4  # diagrams beside each other


def plot_reliability(
    calibrations: Calibration | Mapping[str, Calibration], path: str | os.PathLike, title: str = ""
) -> None:
    """Writes a PNG: accuracy over confidence in bins, the gap to the diagonal in red; below, how many are where.

    Args:
        calibrations: of `Report.calibration` or `calibration_of`; several, by name, side by side: at most 4.
        path: the PNG.
        title: above all.

    Raises:
        InputError: none or too many are given.

    Source:
        Niculescu-Mizil, Caruana: Predicting Good Probabilities With Supervised Learning, 2005,
        doi.org/10.1145/1102351.1102430; the gaps: Guo et al. 2017, arXiv:1706.04599, figure 1.
    """
    named = calibrations if isinstance(calibrations, Mapping) else {"": calibrations}
    if not 1 <= len(named) <= _MOST:
        raise InputError(f"There must be 1 to {_MOST} calibrations to draw. Received: {len(named)}")
    figure = Figure(figsize=(max(4.2 * len(named), 4.6), 5.4 + 0.3 * bool(title)), dpi=120, layout="constrained")
    grid = figure.subplots(2, len(named), height_ratios=[3, 1], sharex=True, sharey="row", squeeze=False)
    for column, (name, found) in enumerate(named.items()):
        upper, lower = grid[:, column]
        left = np.array([part.low for part in found.width])
        width = np.array([part.high for part in found.width]) - left
        accuracy = np.array([part.accuracy for part in found.width])
        gap = np.array([part.gap for part in found.width])
        upper.bar(left, accuracy, width, align="edge", color="tab:blue", edgecolor="white", label="accuracy")
        upper.bar(left, gap, width, accuracy, align="edge", color="tab:red", alpha=0.35, edgecolor="tab:red",
                  label="gap to confidence")  # fmt: skip
        upper.plot([0, 1], [0, 1], "--", color="0.4", linewidth=1)
        measures = (
            f"ECE {found.ece:.2%} (equal mass {found.ece_mass:.2%})\nBrier {found.brier:.4f}, loss {found.loss:.4f}"
        )
        upper.set_title(f"{name}\n{measures}" if name else measures, fontsize=10)
        upper.set(xlim=(0, 1), ylim=(0, 1))
        share = np.array([part.examples for part in found.width]) / found.examples
        lower.bar(left, share, width, align="edge", color="0.6", edgecolor="white")
        lower.axvline(found.accuracy, color="tab:blue", label=f"accuracy {found.accuracy:.1%}")
        lower.axvline(
            found.confidence, color="tab:red", linestyle="--", label=f"mean confidence {found.confidence:.1%}"
        )
        lower.set(ylim=(0, 1), xlabel="confidence")
        lower.legend(fontsize=8, loc="upper left", frameon=False)
    grid[0, 0].set_ylabel("accuracy")
    grid[0, 0].legend(fontsize=8, loc="upper left", frameon=False)
    grid[1, 0].set_ylabel("share of\nthe examples")
    if title:
        figure.suptitle(title, fontsize=11)
    _figures.save(without_formulas(figure), path)
