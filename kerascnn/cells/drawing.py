"""Cells as pictures and as text: boxes for nodes and their operations, arrows from what they read."""

import os
from collections.abc import Sequence

from rich.columns import Columns
from rich.console import RenderableType
from rich.text import Text
from rich.tree import Tree

from kerascnn import _figures
from kerascnn.cells.genotype import INPUTS, Cell, Genotype
from kerascnn.cells.layout import HEAD, PAD, ROW, Layout, arrange, port

_KINDS = (  # how names of operations begin, color
    ("sep", "#9ecae1"),
    ("dil", "#80cdc1"),
    ("conv", "#fdd0a2"),
    ("avg", "#c7e9c0"),
    ("max", "#fcbba1"),
    ("", "#e0e0e0"),
)
_SOURCES = {"c1": "#1f5fa8", "c2": "#b5541c"}  # colors of their arrows
_OTHER = "#555555"
_MARGIN, _TITLE = 0.3, 0.4  # inches
_TERMINAL = {"c1": "cyan", "c2": "magenta"}


def label(operation: str) -> str:
    """The name of an operation for people: "sep 5×5"."""
    head, _, tail = operation.partition("_")
    if head == "dil":
        return "dil " + label(tail)
    if not any(character.isdigit() for character in tail):
        return operation.replace("_", " ")
    return f"{head} {tail.replace('x', '×').replace('_', ', ')}"


def plot_cell(cell: Cell, path: str | os.PathLike, *, title: str = "", stride: int = 1) -> None:
    """Writes a PNG of one cell, whole or not at all.

    Args:
        cell: to be drawn.
        path: the PNG.
        title: above the picture.
        stride: 2 marks the operations that halve the map, those on c1 and c2 in a reduction cell.

    Raises:
        OSError: the file cannot be written.
    """
    _plot([(title, cell, stride)], path)


def plot_genotype(genotype: Genotype, path: str | os.PathLike) -> None:
    """Writes a PNG of both cells, whole or not at all.

    Args:
        genotype: to be drawn.
        path: the PNG.

    Raises:
        OSError: the file cannot be written.
    """
    name = genotype.name
    _plot([(f"{name}: normal cell", genotype.normal, 1), (f"{name}: reduction cell", genotype.reduce, 2)], path)


def _plot(parts: Sequence[tuple[str, Cell, int]], path) -> None:
    from matplotlib.figure import Figure  # here, since most uses of this package draw nothing

    layouts = [arrange(cell) for _, cell, _ in parts]
    width = max(layout.width for layout in layouts) + 2 * _MARGIN
    heights = [layout.height + _TITLE + 2 * _MARGIN for layout in layouts]
    figure = Figure(figsize=(width, sum(heights)), dpi=120)
    top = sum(heights)
    for (title, cell, stride), layout, height in zip(parts, layouts, heights, strict=True):
        top -= height
        axes = figure.add_axes((0, top / sum(heights), 1, height / sum(heights)))  # one unit is one inch
        axes.set_xlim(0, width)
        axes.set_ylim(0, height)
        axes.axis("off")
        axes.text(width / 2, height - _MARGIN, title, ha="center", va="center", fontsize=12, fontweight="bold")
        corner = ((width - layout.width) / 2, _MARGIN + layout.height / 2)
        _draw_arrows(axes, cell, layout, corner)
        _draw_boxes(axes, cell, layout, corner, stride)
    _figures.save(figure, path)


def _draw_arrows(axes, cell, layout: Layout, corner):
    from matplotlib.patches import PathPatch, Polygon
    from matplotlib.path import Path

    x, y = corner
    for arrow in layout.arrows:
        points = []
        for name in (arrow.source, *arrow.through):
            box = layout.boxes[name]
            left = x + layout.left[box.layer]
            points += [(left, y + box.y)] * box.passing + [(left + layout.widths[box.layer], y + box.y)]
        target = layout.boxes[arrow.target]
        tip = (x + layout.left[target.layer], y + target.y + port(cell, arrow.target, arrow.row))
        points.append((tip[0] - 0.1, tip[1]))
        vertices, codes = [points[0]], [Path.MOVETO]
        for i, ((ax, ay), (bx, by)) in enumerate(zip(points, points[1:], strict=False)):
            if i % 2:  # over a layer
                vertices.append((bx, by))
                codes.append(Path.LINETO)
            else:  # between two layers
                vertices += [((ax + bx) / 2, ay), ((ax + bx) / 2, by), (bx, by)]
                codes += [Path.CURVE4] * 3
        color = _SOURCES.get(arrow.source, _OTHER)
        axes.add_patch(PathPatch(Path(vertices, codes), fill=False, edgecolor=color, linewidth=1.2))
        head = [tip, (tip[0] - 0.12, tip[1] + 0.05), (tip[0] - 0.12, tip[1] - 0.05)]
        axes.add_patch(Polygon(head, closed=True, facecolor=color, edgecolor="none"))


def _draw_boxes(axes, cell, layout: Layout, corner, stride):
    x, y = corner
    for box in layout.boxes.values():
        if box.passing:
            continue
        left, width = x + layout.left[box.layer], layout.widths[box.layer]
        bottom = y + box.y - box.height / 2
        if box.name in INPUTS:
            _rounded(axes, left, bottom, width, box.height, "#ffffff", _SOURCES[box.name], 1.6)
            ago = "cell before" if box.name == "c1" else "two cells back"
            axes.text(left + width / 2, y + box.y + 0.1, box.name, ha="center", va="center", fontsize=10,
                      fontweight="bold")  # fmt: skip
            axes.text(left + width / 2, y + box.y - 0.1, ago, ha="center", va="center", fontsize=7.5)
            continue
        _rounded(axes, left, bottom, width, box.height, "#f7f7f7", "#333333", 1.0)
        name = "concat" if box.name == "out" else box.name
        axes.text(left + width / 2, bottom + box.height - HEAD / 2, name, ha="center", va="center", fontsize=9,
                  fontweight="bold")  # fmt: skip
        for row, (text, color) in enumerate(_rows(cell, box.name, stride)):
            middle = y + box.y + port(cell, box.name, row)
            _rounded(axes, left + PAD, middle - ROW / 2 + 0.03, width - 2 * PAD, ROW - 0.06, color, "#777777", 0.6)
            axes.text(left + width / 2, middle - 0.01, text, ha="center", va="center", fontsize=8.5)


def _rows(cell, name, stride):
    """Text and color of the rows of a box."""
    if name == "out":
        return [(source, "#ffffff") for source in cell.concat]
    rows = []
    for term in cell.nodes[int(name[1:]) - 1]:
        color = next(color for start, color in _KINDS if term.operation.startswith(start))
        halves = stride > 1 and term.source in INPUTS
        rows.append((label(term.operation) + f" / {stride}" * halves, color))
    return rows


def _rounded(axes, left, bottom, width, height, face, edge, line):
    from matplotlib.patches import FancyBboxPatch

    style = "round,pad=0,rounding_size=0.05"
    axes.add_patch(FancyBboxPatch((left, bottom), width, height, style, facecolor=face, edgecolor=edge, linewidth=line))


def text_graph(genotype: Genotype) -> RenderableType:
    """Both cells as trees for a terminal: the output, what it is made of, and what that reads.

    Args:
        genotype: to be drawn.

    Returns:
        What rich prints, the two side by side where the terminal is wide enough.
    """
    trees = [_tree(genotype.normal, "normal cell", 1), _tree(genotype.reduce, "reduction cell", 2)]
    return Columns(trees, padding=(0, 4))


def _tree(cell: Cell, title: str, stride: int) -> Tree:
    tree, drawn = Tree(Text(title, style="bold"), guide_style="dim"), set()

    def add(branch, name):
        """The value, with its terms unless it was drawn already or is drawn further down."""
        again = name in drawn or (branch is not tree and name in cell.concat)
        text = Text(name, style=_TERMINAL.get(name, "bold"))
        if name in INPUTS or again:
            branch.add(text)
            return
        drawn.add(name)
        node = branch.add(text)
        for term in cell.nodes[int(name[1:]) - 1]:
            halves = f" / {stride}" if stride > 1 and term.source in INPUTS else ""
            line = Text.assemble(
                label(term.operation) + halves, " ← ", (term.source, _TERMINAL.get(term.source, "bold"))
            )
            inner = node.add(line)
            if term.source not in INPUTS and term.source not in cell.concat and term.source not in drawn:
                add(inner, term.source)

    for name in cell.concat:
        add(tree, name)
    return tree
