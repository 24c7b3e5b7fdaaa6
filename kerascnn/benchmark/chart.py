"""The results as one picture: ratios to the peers beside their targets, and how near the roofline is."""

import os
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from kerascnn import _figures
from kerascnn.benchmark.cases import PASSES, PEERS

_COLORS = {"tensorflow": "tab:orange", "keras": "tab:red", "torch": "tab:purple"}
_TITLES = {"forward": "forward", "both": "forward + gradients"}


def plot(found: Sequence[dict[str, Any]], path: str | os.PathLike, title: str) -> None:
    """Writes a PNG with a panel of ratios for each pass and one of the roofline.

    Args:
        found: what `rows` gave.
        path: the PNG.
        title: above the panels.
    """
    names = list(dict.fromkeys(row["case"] for row in found))
    places = {name: index for index, name in enumerate(names)}
    figure = Figure(figsize=(15, 1.8 + 0.52 * len(names)), dpi=110, layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for axes, which in zip(panels, PASSES, strict=False):
        _ratios(axes, [row for row in found if row["pass"] == which], places)
        axes.set_title(f"{_TITLES[which]}: our time over the peer's")
    _roofline(panels[2], found, places)
    panels[0].set_yticks(range(len(names)), names)
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    shown = [name for name in PEERS if any(row[f"to_{name}"] is not None for row in found)]
    handles = [Patch(color=_COLORS[name], label=f"to {name}") for name in shown]
    handles.append(Line2D([], [], color="black", linewidth=2.5, label="target (bar left of it: met)"))
    handles += [
        Patch(color="tab:blue", label="of the roofline, forward"),
        Patch(color="lightblue", label="with gradients"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    figure.suptitle(title, fontsize=11)
    _figures.save(figure, path)


def _ratios(axes, found: Sequence[dict[str, Any]], places: dict[str, int]) -> None:
    floor = 0.5 * min((row[f"to_{name}"] or 1 for row in found for name in PEERS), default=1)
    axes.set_xscale("log")
    for row in found:
        there = [name for name in PEERS if row[f"to_{name}"] is not None]
        height = 0.8 / max(len(there), 2)
        for index, name in enumerate(there):
            y = places[row["case"]] + (index - (len(there) - 1) / 2) * height
            value, target = row[f"to_{name}"], row[f"target_{name}"]
            axes.barh(y, value - floor, height * 0.92, left=floor, color=_COLORS[name])
            end = max(value, target or 0)  # the figure stands clear of both
            axes.annotate(f"{value:.2g}", (end, y), (4, 0), textcoords="offset points", va="center", fontsize=7)
            if target is not None:
                axes.plot([target] * 2, [y - height / 2, y + height / 2], color="black", linewidth=2.5)
    axes.axvline(1, color="gray", linestyle="--", linewidth=1)
    axes.set_xlim(floor, 2.5 * max([1.0, *(row[f"to_{name}"] or 0 for row in found for name in PEERS)]))
    axes.grid(axis="x", alpha=0.3)


def _roofline(axes, found: Sequence[dict[str, Any]], places: dict[str, int]) -> None:
    for row in found:
        y = places[row["case"]] + (-0.2 if row["pass"] == "forward" else 0.2)
        color = "tab:blue" if row["pass"] == "forward" else "lightblue"
        axes.barh(y, 100 * row["reached"], 0.38, color=color)
        text = f"{row['reached']:.0%} of {row['bound']}"
        axes.annotate(text, (100 * row["reached"], y), (3, 0), textcoords="offset points", va="center", fontsize=7)
    axes.axvline(100, color="gray", linestyle="--", linewidth=1)
    axes.set_xlim(0, 1.35 * max(100, *(100 * row["reached"] for row in found)))
    axes.set_title("% of the roofline reached")
    axes.grid(axis="x", alpha=0.3)
