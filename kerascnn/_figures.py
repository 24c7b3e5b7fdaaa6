"""Saving pictures: whole or not there, and never larger than a screen shows."""

import os
from typing import Any

from kerascnn._files import replace_with

LONGEST_SIDE = 4000  # pixels; a larger picture is drawn at fewer dots per inch


def save(figure: Any, path: str | os.PathLike) -> None:
    """Writes a figure as a PNG.

    Args:
        figure: a `matplotlib.figure.Figure`.
        path: the file; it appears only when it is complete.

    Raises:
        OSError: it cannot be written.
    """
    longest = max(figure.get_size_inches())
    dpi = min(figure.dpi, LONGEST_SIDE / longest) if longest > 0 else figure.dpi
    with replace_with(path) as temporary:
        figure.savefig(temporary, format="png", dpi=dpi)
