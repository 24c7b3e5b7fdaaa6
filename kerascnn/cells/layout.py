"""Where the boxes and arrows of a drawn cell go: layers from left to right, nothing over anything else.

Sugiyama, Tagawa, Toda: Methods for visual understanding of hierarchical system structures, 1981,
doi.org/10.1109/TSMC.1981.4308636: an arrow over several layers gets a place of its own in each, the places of a layer
are ordered by the mean of their neighbors, and arrows bend between the layers alone. Lengths are inches.
"""

import dataclasses

from kerascnn.cells.genotype import INPUTS, Cell

ROW, HEAD, PAD = 0.3, 0.24, 0.07  # height of an operation, of a node's name, around both
GAP, GUTTER = 0.2, 0.85  # between boxes of a layer, between layers
WIDTHS = {"input": 1.1, "node": 1.5, "out": 0.95}
_PASSING = 0.04  # height of the place of a passing arrow
_SWEEPS = 12


@dataclasses.dataclass
class Box:
    """A place in a layer."""

    name: str  # c1, c2, n1, ..., out; of a passing arrow "source>target.row"
    layer: int
    height: float
    y: float = 0.0  # of its center

    @property
    def passing(self) -> bool:
        """It is the place of an arrow, with nothing to be drawn."""
        return ">" in self.name


@dataclasses.dataclass(frozen=True)
class Arrow:
    """From the right of a box to a row at the left of another, over places in the layers between."""

    source: str
    target: str
    row: int  # number of the term, or of the value in the concat
    through: tuple[str, ...]  # names of the places between


@dataclasses.dataclass(frozen=True)
class Layout:
    """A cell as boxes and arrows."""

    boxes: dict[str, Box]
    arrows: tuple[Arrow, ...]
    left: tuple[float, ...]  # left edges of the layers
    widths: tuple[float, ...]  # of the layers
    height: float  # of the whole, centered on 0

    @property
    def width(self) -> float:
        """Of the whole, from 0."""
        return self.left[-1] + self.widths[-1]


def port(cell: Cell, name: str, row: int) -> float:
    """Height of the middle of a row above the middle of its box."""
    if name == "out":
        return ROW * ((len(cell.concat) - 1) / 2 - row) - HEAD / 2
    return ROW * ((len(cell.nodes[int(name[1:]) - 1]) - 1) / 2 - row) - HEAD / 2


def arrange(cell: Cell) -> Layout:
    """Places the boxes of a cell.

    Args:
        cell: to be drawn.

    Returns:
        The layout; boxes of a layer do not overlap, and arrows cross no box.
    """
    links = [(term.source, f"n{i}", row) for i, node in enumerate(cell.nodes, 1) for row, term in enumerate(node)]
    links += [(name, "out", row) for row, name in enumerate(cell.concat)]
    depth = dict.fromkeys(INPUTS, 0)
    for source, target, _ in links:
        depth[target] = max(depth.get(target, 0), depth[source] + 1)
    depth["out"] = 1 + max(layer for name, layer in depth.items() if name != "out")
    boxes = {name: Box(name, layer, _height(cell, name)) for name, layer in depth.items()}
    arrows = []
    for source, target, row in links:
        between = range(depth[source] + 1, depth[target])
        # Arrows from one box share their way up to the layer before the target.
        names = tuple(f"{source}>{layer}" for layer in between)
        for name, layer in zip(names, between, strict=True):
            boxes.setdefault(name, Box(name, layer, _PASSING))
        arrows.append(Arrow(source, target, row, names))
    layers = [[box for box in boxes.values() if box.layer == layer] for layer in range(depth["out"] + 1)]
    _place(cell, layers, arrows, boxes)
    widths = (WIDTHS["input"], *(WIDTHS["node"],) * (depth["out"] - 1), WIDTHS["out"])
    left = tuple(sum(widths[:i]) + GUTTER * i for i in range(len(widths)))
    return Layout(boxes, tuple(arrows), left, widths, 2 * max(abs(b.y) + b.height / 2 for b in boxes.values()))


def _height(cell, name):
    if name in INPUTS:
        return 0.5
    rows = len(cell.concat) if name == "out" else len(cell.nodes[int(name[1:]) - 1])
    return HEAD + rows * ROW + PAD


def _place(cell, layers, arrows, boxes):
    """Orders the layers and sets y, moving each place towards the mean of its neighbors."""
    neighbors = {name: [] for name in boxes}  # name -> (name, how much higher the arrow's end is there than here)
    for arrow in arrows:
        path = [arrow.source, *arrow.through, arrow.target]
        for a, b in zip(path, path[1:], strict=False):
            rise = port(cell, b, arrow.row) if b == arrow.target else 0.0
            neighbors[a].append((b, rise))
            neighbors[b].append((a, -rise))
    for layer in layers:
        _spread(layer)
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 else reversed(layers):
            wanted = {}
            for box in layer:
                ends = neighbors[box.name]
                wanted[box.name] = sum(boxes[other].y + rise for other, rise in ends) / max(len(ends), 1)
            if sweep < _SWEEPS - 4:
                layer.sort(key=lambda box: (-wanted[box.name], box.name))
            for box in layer:
                box.y = wanted[box.name]
            _spread(layer)
    middle = (max(b.y + b.height / 2 for b in boxes.values()) + min(b.y - b.height / 2 for b in boxes.values())) / 2
    for box in boxes.values():
        box.y -= middle


def _spread(layer):
    """Moves the boxes of a layer apart, from the top down, keeping their order and their mean."""
    if not layer:
        return
    mean = sum(box.y for box in layer) / len(layer)
    for above, box in zip(layer, layer[1:], strict=False):
        box.y = min(box.y, above.y - (above.height + box.height) / 2 - GAP)
    shift = mean - sum(box.y for box in layer) / len(layer)
    for box in layer:
        box.y += shift
