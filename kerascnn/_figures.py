"""Saving pictures: whole or not there, never larger than a screen shows, with titles as they are and in full."""

import os
import textwrap
from typing import Any

from kerascnn._files import replace_with

_ATTEMPTS = 4
LONGEST_SIDE = 4000  # pixels; a larger picture is drawn at fewer dots per inch


def save(figure: Any, path: str | os.PathLike) -> None:
    """Writes a figure as a PNG. Its titles are taken literally, "$" too, and broken into lines where they are too long.

    Args:
        figure: a `matplotlib.figure.Figure`.
        path: the file; it appears only when it is complete.

    Raises:
        OSError: it cannot be written.
    """
    _fit_titles(figure)
    longest = max(figure.get_size_inches())
    dpi = min(figure.dpi, LONGEST_SIDE / longest) if longest > 0 else figure.dpi
    with replace_with(path) as temporary:
        figure.savefig(temporary, format="png", dpi=dpi)


def _fit_titles(figure) -> None:
    """Breaks the lines of titles that would begin or end outside of the figure; data sets are often named by paths."""
    titles = [axes.title for axes in figure.axes] + ([figure._suptitle] if figure._suptitle else [])
    for title in titles:
        title.set_parse_math(False)
    texts = {title: title.get_text().splitlines() for title in titles}
    for _ in range(_ATTEMPTS):
        figure.draw_without_rendering()  # places everything
        wide = [title for title in titles if _outside(title, figure)]
        for title in wide:
            # Letters differ in width, and a title of several lines moves what is around it: until it fits.
            place, longest = title.get_window_extent(), max(map(len, title.get_text().splitlines()))
            center = (place.x0 + place.x1) / 2
            room = 2 * min(center, figure.bbox.width - center) / place.width
            columns = max(8, int(0.98 * longest * room))
            title.set_text("\n".join(textwrap.fill(line, columns) for line in texts[title]))
        if not wide:
            break


def _outside(title, figure) -> bool:
    place = title.get_window_extent()
    return place.width > 0 and (place.x0 < 0 or place.x1 > figure.bbox.width)
