"""Many small pictures on one sheet: maps, filters, patches."""

import os
from collections.abc import Sequence

import numpy as np

from kerascnn import _figures

_WIDTH = 10.0  # inches, at 100 dots each
_GAP = 0.06  # between tiles, as a part of a tile's width
_POINTS = 72 * 0.96 * _WIDTH


def draw_tiles(
    path: str | os.PathLike,
    tiles: Sequence[np.ndarray],
    *,
    title: str,
    labels: Sequence[str] = (),
    columns: int | None = None,
    color_map: str = "viridis",
    limits: Sequence[tuple[float, float]] | tuple[float, float] | None = None,
    bar: str = "",
) -> None:
    """Writes a PNG of 1,000 pixels' width with tiles of one shape in rows.

    Args:
        path: the PNG.
        tiles: at least one; [height, width] is colored by the map, [height, width, 3] is shown as it is.
        title: above all.
        labels: above the tiles, cut where they are longer.
        columns: tiles in a row; None: about a square.
        color_map: of matplotlib.
        limits: the ends of the color scale, for all or for each tile; None: each tile's own least and largest value.
        bar: what the colors mean; "": no color bar. For common limits.

    Raises:
        OSError: the file cannot be written.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    count = len(tiles)
    height, width = tiles[0].shape[:2]
    columns = min(count, columns or max(1, round(np.sqrt(count * height / width))))
    rows = -(-count // columns)
    font = float(np.clip(0.13 * _POINTS / columns, 4.5, 9.5))
    lines = max((label.count("\n") + 1 for label in labels), default=0)
    text = lines * 1.5 * font * columns / _POINTS  # in widths of a tile
    wide, tall = 1 + _GAP, height / width + _GAP + text
    inches = 0.96 * _WIDTH * rows * tall / (columns * wide)
    top, bottom = 0.45 + 0.2 * title.count("\n"), 0.6 if bar else 0.08
    figure = Figure(figsize=(_WIDTH, inches + top + bottom), dpi=100)
    whole = inches + top + bottom
    axes = figure.add_axes((0.02, bottom / whole, 0.96, inches / whole))
    common = limits if limits is not None and np.ndim(limits) == 1 else None
    for index, tile in enumerate(tiles):
        row, column = divmod(index, columns)
        left, upper = column * wide, row * tall + text
        place = (left, left + 1, upper + height / width, upper)
        low, high = common or (limits[index] if limits is not None else (float(tile.min()), float(tile.max())))
        axes.imshow(
            tile, cmap=color_map, vmin=low, vmax=high if high > low else low + 1, extent=place, interpolation="nearest"
        )
        if labels:
            longest = max(4, int(_POINTS / columns / (0.52 * font)))
            shown = "\n".join(line[:longest] for line in labels[index].splitlines())
            axes.text(left, upper - 0.02, shown, fontsize=font, va="bottom", ha="left", parse_math=False)
    axes.set(xlim=(0, columns * wide - _GAP), ylim=(rows * tall, 0), aspect="auto")
    axes.axis("off")
    figure.suptitle(title, fontsize=11, y=1 - 0.1 / whole, va="top")
    if bar and common:
        scale = figure.add_axes((0.25, 0.42 / whole, 0.5, 0.14 / whole))
        figure.colorbar(ScalarMappable(Normalize(*common), color_map), cax=scale, orientation="horizontal")
        scale.tick_params(labelsize=8)
        scale.set_xlabel(bar, fontsize=8, labelpad=1)
    _figures.save(figure, path)
