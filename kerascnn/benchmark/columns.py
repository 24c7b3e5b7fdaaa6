"""Figures in columns, for terminals and pipes of any width, and for files."""

import csv
import io
import os
import textwrap
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from kerascnn._files import atomic_write

_PIPE = 80  # columns that a reader of a pipe is taken to have, unless COLUMNS says it
_GAP = 2  # blanks between columns: of the box, and of the padding

Cells = Sequence[Any]  # of text, or rich.text.Text


def room(console: Console) -> int:
    """How many columns a reader has: of a terminal its width, of a pipe what COLUMNS says, or 80."""
    known = console.is_terminal or "COLUMNS" in os.environ
    return console.width if known else min(console.width, _PIPE)


def tables(
    heads: Sequence[str],
    rows: Sequence[Cells],
    *,
    keys: int,
    blocks: Sequence[Sequence[str]],
    width: int,
    title: str = "",
    left: Collection[str] = (),
    ends: Collection[int] = (),
) -> list[Table]:
    """One table where it fits, else several with the same first columns, so that no cell is cut or wrapped.

    Args:
        heads: of the columns, all different.
        rows: a cell for each of them.
        keys: how many columns at the left tell what a row is about; each table has them.
        blocks: the other heads, in groups that belong together; each is a table where all do not fit.
        width: of the terminal. A table is wider only where the keys and one column need more.
        title: above the first.
        left: heads of columns with text, which stands at the left.
        ends: rows after which there is a line.

    Returns:
        At least one table.
    """
    widths = [max(cell_len(str(cell)) for cell in column) for column in zip(heads, *rows, strict=True)]
    taken = sum(widths[:keys]) + keys * _GAP
    places = [[list(heads).index(head) for head in block] for block in blocks]
    whole = [place for block in places for place in block]
    if _wide(whole, widths, taken) <= width:
        places = [whole]
    parts = [part for block in places for part in _split(block, widths, width - taken)]
    made = []
    for part in parts:
        table = Table(title=None if made else title or None, box=box.SIMPLE_HEAD, show_edge=False,
                      padding=(0, _GAP - 1, 0, 0), pad_edge=False, title_justify="left")  # fmt: skip
        for place in (*range(keys), *part):
            table.add_column(heads[place], justify="left" if heads[place] in left else "right", no_wrap=True)
        for number, row in enumerate(rows):
            table.add_row(*(row[place] for place in (*range(keys), *part)), end_section=number in ends)
        made.append(table)
    return made


def _wide(places: Sequence[int], widths: Sequence[int], taken: int) -> int:
    return taken + sum(widths[place] + _GAP for place in places) - _GAP


def _split(places: Sequence[int], widths: Sequence[int], space: int) -> list[list[int]]:
    parts: list[list[int]] = [[]]
    for place in places:
        if parts[-1] and _wide([*parts[-1], place], widths, 0) > space:
            parts.append([])
        parts[-1].append(place)
    return parts


def aligned(heads: Sequence[str], rows: Sequence[Cells], left: Collection[str] = ()) -> list[str]:
    """The same as lines of plain text, of whatever width they need.

    Args:
        heads: of the columns.
        rows: a cell for each of them.
        left: heads of columns with text.

    Returns:
        The line of heads, then one a row, without blanks at their ends.
    """
    lines = [list(heads), *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            (" " * (width - cell_len(cell))).join(("", cell) if head not in left else (cell, ""))
            for cell, width, head in zip(line, widths, heads, strict=True)
        ).rstrip()
        for line in lines
    ]


def as_csv(found: Sequence[dict[str, Any]]) -> str:
    """A CSV file with a header; empty where there is no figure.

    Args:
        found: at least one row, by column; all have the same columns.

    Returns:
        The text.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(found[0]), lineterminator="\n")
    writer.writeheader()
    for row in found:
        writer.writerow({name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()})
    return text.getvalue()


def show(console: Console, head: str, made: Sequence[Table]) -> None:
    """Prints lines of text, wrapped as wide as a reader has room, and the tables below them.

    Args:
        console: where to.
        head: the lines.
        made: what `tables` gave.
    """
    for line in head.splitlines():
        text = textwrap.fill(line, room(console), break_on_hyphens=False)
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    for table in made:
        console.print()
        console.print(table)


def write(folder: Path, name: str, text: str, found: Sequence[dict[str, Any]], console: Console) -> None:
    """Writes NAME.txt and NAME.csv, and says so.

    Args:
        folder: is there.
        name: of both.
        text: of the first.
        found: rows of the second.
        console: where it is said.
    """
    _write(folder / f"{name}.txt", text, console)
    write_csv(folder / f"{name}.csv", found, console)


def write_csv(path: Path, found: Sequence[dict[str, Any]], console: Console) -> None:
    """Writes rows as CSV, and says so.

    Args:
        path: of the file.
        found: the rows.
        console: where it is said.
    """
    _write(path, as_csv(found), console)


def _write(path: Path, content: str, console: Console) -> None:
    with atomic_write(path, "w") as file:
        file.write(content)
    console.print(f"written: {path}", highlight=False, markup=False, soft_wrap=True)
