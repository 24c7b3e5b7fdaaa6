"""Where the tokens of a network come from: which of them stand for places of the image, and in how many rows."""

import dataclasses

import keras
import numpy as np

from kerascnn.layers import ClassToken
from kerascnn.surgery.graph import Call, Graph
from kerascnn.surgery.inline import bare

L = keras.layers
# Layers and operations of `keras.ops` that move the tokens to another axis, which sizes alone may not show.
_MOVING = ("Permute", "Transpose", "Swapaxes", "Moveaxis")


@dataclasses.dataclass(frozen=True)
class Grid:
    """Tokens [n, before + rows * columns + after, channels] whose middle is a map, row by row."""

    rows: int
    columns: int
    before: int = 0  # tokens that no place stands behind, as those of classes
    after: int = 0

    def map(self, tokens: np.ndarray) -> np.ndarray:
        """[n, tokens, channels] -> [n, rows, columns, channels]."""
        places = tokens[:, self.before : tokens.shape[1] - self.after]
        return places.reshape(len(tokens), self.rows, self.columns, tokens.shape[2])


def grids(graph: Graph) -> dict[int, Grid]:
    """The grids of all tokens of a graph: by the number of a value [n, tokens, channels].

    Tokens begin where a map [n, rows, columns, channels] becomes [n, rows * columns, channels]; class tokens may be put
    before or behind them and cut off, and whatever keeps their number keeps their order, but for exchanged axes.
    """
    found: dict[int, Grid] = {}
    for call in graph.calls:
        grid = _of(call, found)
        if grid is not None:
            found[call.outputs[0].number] = grid
    return found


def _of(call: Call, found: dict[int, Grid]) -> Grid | None:
    operation = bare(call.operation)
    kind = type(operation).__name__
    if not call.inputs or len(call.y) != 3 or kind in _MOVING:
        return None
    if len(call.x) == 4:
        rows, columns = call.x[1:3]
        flat = None not in (rows, columns) and call.y[1:] == (rows * columns, call.x[3])
        return Grid(rows, columns) if flat else None
    known = [value for value in call.inputs if value.number in found]
    if not known:
        return None
    grid, tokens = found[known[0].number], known[0].shape[1]
    if isinstance(operation, ClassToken):
        return dataclasses.replace(grid, before=grid.before + operation.count)
    if kind == "Concatenate" and getattr(operation, "axis", None) in (1, -2):
        place = call.inputs.index(known[0])
        sizes = [value.shape[1] for value in call.inputs]
        more = grid.before + sum(sizes[:place]), grid.after + sum(sizes[place + 1 :])
        return dataclasses.replace(grid, before=more[0], after=more[1]) if len(known) == 1 else None
    if isinstance(operation, L.Cropping1D):
        return _cut(grid, *operation.cropping)
    if kind == "GetItem":
        key = call.arguments.get("key")
        key = key if isinstance(key, tuple) else (key,)
        if len(key) < 2 or not isinstance(key[1], slice) or key[1].step not in (None, 1):
            return None
        start, stop, _ = key[1].indices(tokens)
        return _cut(grid, start, tokens - stop)
    return grid if call.y[1] == tokens else None


def _cut(grid: Grid, first: int, last: int) -> Grid | None:
    """The grid without the first and the last tokens; None where some of its own are among them."""
    if first > grid.before or last > grid.after:
        return None
    return dataclasses.replace(grid, before=grid.before - first, after=grid.after - last)


def takes_some(call: Call) -> bool:
    """Whether a call reads some of the tokens that it is given, and leaves the others out."""
    operation = bare(call.operation)
    name = type(operation).__name__
    return isinstance(operation, L.Cropping1D) or name in ("GetItem", "Slice", "Take", "Split", "Unstack")
