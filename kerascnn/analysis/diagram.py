"""The stage diagram: a network's feature maps and where its parameters and multiply-adds are, as one picture."""

import math
import os
import textwrap
from collections.abc import Sequence

from kerascnn import _figures
from kerascnn._errors import InputError
from kerascnn._units import short
from kerascnn.analysis.staging import Stage

_COLORS = ("#9ecae1", "#6baed6", "#4292c6", "#2171b5", "#08519c", "#08306b")
_SHARES = (
    ("parameters", "params", "#5b8c5a"),
    ("multiply-adds", "macs", "#c2703d"),
    ("activations", "activations", "#8d7fb8"),
)
_LISTED = 4  # kinds of windows that are named; the rest is counted together


def plot_stages(
    stages: Sequence[Stage], path: str | os.PathLike, *, input_shape: Sequence[int], title: str, subtitle: str = ""
) -> None:
    """Writes a PNG: a box per stage, as tall as its map is high and as wide as it has channels (both in logarithms),
    what it is made of, and its shares of parameters, multiply-adds and activations.

    Args:
        stages: of `analysis.stages`.
        path: the PNG.
        input_shape: (height, width, channels) of the image.
        title: above the picture.
        subtitle: lines under the title, smaller.

    Raises:
        InputError: there are no stages, or `input_shape` is no shape.
    """
    from matplotlib.figure import Figure  # here, since most uses of this package draw nothing

    if not isinstance(stages, Sequence) or not stages or not all(isinstance(stage, Stage) for stage in stages):
        raise InputError(f"stages must be what analysis.stages returns. Received: {str(stages)[:80]}")
    sizes = isinstance(input_shape, list | tuple) and len(input_shape) == 3
    if not sizes or not all(type(size) is int and size > 0 for size in input_shape):
        raise InputError(f"input_shape must be (height, width, channels). Received: {str(input_shape)[:80]}")
    columns = len(stages) + 1
    width = max(8.5, 1.75 * columns + 0.9)
    above = 2.5 + 0.17 * max(_contents(stage).count("\n") for stage in stages)  # inches of the upper panel
    figure = Figure(figsize=(width, above + 3.9), dpi=120, layout="constrained")
    maps, shares = figure.subplots(2, 1, height_ratios=(above, 2.9), sharex=True)
    _draw_maps(maps, stages, tuple(input_shape))
    maps.set_ylim(0.55 - above / 1.65, 0.55)
    _draw_shares(shares, stages)
    shares.set_xlim(-0.55, columns - 0.45)
    shares.set_xticks(range(columns), ["input", *(stage.name for stage in stages)])
    figure.suptitle(title, fontsize=13, fontweight="bold")
    lines = [textwrap.fill(line, int(12 * width), break_long_words=False) for line in subtitle.splitlines()]
    maps.set_title("\n".join(lines), fontsize=9)
    _figures.save(figure, path)


def _draw_maps(axes, stages, input_shape):
    from matplotlib.patches import Rectangle

    shapes = [input_shape, *(stage.output_shape for stage in stages)]
    tallest = math.log2(1 + max(shape[0] for shape in shapes if len(shape) > 1))
    widest = math.log2(1 + max(shape[-1] for shape in shapes))
    before = None
    for column, shape in enumerate(shapes):
        height = max(0.06, math.log2(1 + shape[0]) / tallest) if len(shape) > 1 else 0.5
        width = 0.12 + 0.58 * math.log2(1 + shape[-1]) / widest if len(shape) > 1 else 0.12
        depth = column - 1 if column else 0
        color = "#bdbdbd" if column == 0 else "#d9a441" if len(shape) == 1 else _COLORS[min(depth, len(_COLORS) - 1)]
        axes.add_patch(Rectangle((column - width / 2, -height / 2), width, height, facecolor=color, edgecolor="black"))
        if before is not None:
            axes.annotate("", (column - width / 2, 0), (before, 0), arrowprops={"arrowstyle": "->", "color": "#555555"})
        before = column + width / 2
        axes.text(column, -0.58, "×".join(map(str, shape)), ha="center", va="top", fontsize=10, fontweight="bold")
        if column:
            axes.text(
                column, -0.72, _contents(stages[column - 1]), ha="center", va="top", fontsize=8.5, linespacing=1.25
            )
    axes.axis("off")


def _contents(stage):
    lines = [f"{stage.blocks} blocks" if stage.blocks > 1 else "1 block"] if stage.blocks else []
    lines.append(f"{stage.layers} layer{'s' if stage.layers != 1 else ''}" if stage.layers else "no weights")
    lines += [
        f"{number} × {kind.replace('x', '×') if kind[-1].isdigit() else kind}"
        for kind, number in stage.windows[:_LISTED]
    ]
    rest = sum(number for _, number in stage.windows[_LISTED:])
    return "\n".join(lines + [f"{rest} other{'s' if rest > 1 else ''}"] * bool(rest))


def _draw_shares(axes, stages):
    width = 0.27
    highest = 0.0
    for index, (label, name, color) in enumerate(_SHARES):
        values = [getattr(stage, name) for stage in stages]
        total = sum(values) or 1
        places = [column + 1 + (index - 1) * width for column in range(len(stages))]
        heights = [100 * value / total for value in values]
        highest = max(highest, *heights)
        axes.bar(places, heights, width * 0.94, color=color, label=f"{label} ({short(total)})")
        for place, height, value in zip(places, heights, values, strict=True):
            text = f"{height:.0f} %" if height >= 1 else "<1 %" if value else "0"
            axes.annotate(text, (place, height), (0, 2), textcoords="offset points", ha="center", fontsize=7)
    axes.set_ylim(0, 1.12 * highest)
    axes.set_ylabel("share, %")
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=len(_SHARES), frameon=False, fontsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
