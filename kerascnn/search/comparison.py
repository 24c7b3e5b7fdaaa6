"""Several searches in one picture: lines that differ in dashes and marks as well as in color, each with its name."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn._errors import InputError

# Colors that people who see two of the three primary ones tell apart (Okabe, Ito: Color Universal Design, 2008), the
# dashes in points, on and off, and the marks. No two lines share their dashes and marks.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#7A5A00", "#56B4E9", "#E69F00", "#5B2C83", "#444444")
_DASHES = ((), (6, 2), (2, 1.5), (8, 2, 1.5, 2), (4, 1.5, 1, 1.5, 1, 1.5))
_MARKS = ("o", "s", "^", "D", "v", "X", "P")
LOOKS = 35  # lines that can be told apart without their colors
_GAP = 0.052  # between two names, of the height of the axes


def draw_lines(axes: Any, curves: Mapping[str, npt.ArrayLike], *, thick: str | None = None) -> None:
    """Draws curves with their names at their right ends, in the order of the ends; names never lie on each other.

    Args:
        axes: of matplotlib, with limits and scales as they shall be; x from 1.
        curves: by name the values [evaluations], as many of each; at most `LOOKS`.
        thick: name of a curve that is drawn thick and black; None: none is.

    Raises:
        InputError: curves are empty, too many, or differ in length.

    Example:

        from matplotlib.figure import Figure
        from kerascnn.search.comparison import draw_lines

        axes = Figure(layout="constrained").subplots()
        axes.set_ylim(0, 1)
        draw_lines(axes, {"random": [0.9, 0.5, 0.4], "evolution": [0.9, 0.4, 0.1]}, thick="random")
    """
    arrays = {name: np.asarray(curve, "float64") for name, curve in curves.items()}
    if not 1 <= len(arrays) <= LOOKS or len({curve.shape for curve in arrays.values()}) != 1:
        sizes = {name: curve.shape for name, curve in arrays.items()}
        raise InputError(f"There must be 1 to {LOOKS} curves of one length. Received: {sizes}")
    (count,) = next(iter(arrays.values())).shape
    ends = [_height(axes, curve[-1]) for curve in arrays.values()]
    places = spread(ends, _GAP)
    every = max(1, count // 8)
    for number, (name, curve) in enumerate(arrays.items()):
        own = name == thick
        look = {"color": "black" if own else _COLORS[number % len(_COLORS)], "marker": _MARKS[number % len(_MARKS)]}
        axes.plot(
            np.arange(1, count + 1), curve, label=name, linewidth=2.6 if own else 1.4, markersize=5.5, **look,
            dashes=(None, None) if own else _DASHES[number % len(_DASHES)] or (None, None),
            markevery=(every * (number + 1) // (len(arrays) + 1), every),
        )  # fmt: skip
        name_at = (1.06, places[number])
        axes.plot([1.05], [places[number]], transform=axes.transAxes, clip_on=False, markersize=5.5, **look)
        axes.annotate(
            f" {name} {curve[-1]:.2f}", (1.0, ends[number]), name_at, xycoords="axes fraction", va="center",
            fontsize=11, fontweight="bold" if own else "normal",
            arrowprops={"arrowstyle": "-", "color": look["color"], "relpos": (0, 0.5), "shrinkA": 8, "shrinkB": 0},
        )  # fmt: skip
    axes.set_xlim(1, count)


def _height(axes: Any, value: float) -> float:
    """A value as a part of the height of the axes; what lies outside is moved to the border."""
    low, high = axes.get_ylim()
    scale = axes.yaxis.get_transform()
    low, high, place = (float(scale.transform(max(number, 1e-300))) for number in (low, high, value))
    return float(np.clip((place - low) / (high - low), 0.0, 1.0))


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Moves places apart, as little as possible, so that none is nearer to the next than a gap.

    Args:
        places: numbers from 0 to 1.
        gap: at least so far.

    Returns:
        Places in the same order, of equal ones the first above; all together they may end outside of 0 and 1.

    Raises:
        InputError: the gap is negative.
    """
    _check.real("gap", gap, 0.0)
    order = sorted(range(len(places)), key=lambda i: (places[i], -i))
    groups: list[list[Any]] = []  # the mean of where a group's first member would be, and its members
    for i in order:
        groups.append([places[i], [i]])
        while len(groups) > 1 and groups[-2][0] + gap * len(groups[-2][1]) > groups[-1][0]:
            first, members = groups.pop()
            before, others = groups[-1]
            moved = before * len(others) + (first - gap * len(others)) * len(members)
            groups[-1] = [moved / (len(others) + len(members)), [*others, *members]]
    found = [0.0] * len(places)
    for first, members in groups:
        for number, i in enumerate(members):
            found[i] = float(first + gap * number)
    return found
