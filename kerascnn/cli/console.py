"""The console of the commands: texts as they are, tables as wide as their names need."""

import os
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.table import Column, Table

_NATURAL = 10_000  # columns; wider than any table
_FOLDED = 10  # columns that a column of which long words may be folded keeps


class PlainConsole(Console):
    """Prints every text as it is: no [markup], no :emoji:, no name cut off.

    Off a terminal a table is as wide as it needs to be. On one it is as wide as the terminal, and wider where words
    would be cut; then without lines between its columns, and the terminal wraps it.
    """

    def __init__(self, **options: Any):
        super().__init__(markup=False, emoji=False, **options)
        if not self.is_terminal and "COLUMNS" not in os.environ:
            self.width = _NATURAL

    def print(self, *objects: Any, **options: Any) -> None:
        """As `Console.print`; a table gets the width that it needs."""
        width = self.width
        try:
            for table in objects:
                if isinstance(table, Table):
                    self.width = max(self.width, self._needed(table, width))
            super().print(*objects, **options)
        finally:
            self.width = width

    def _needed(self, table: Table, width: int) -> int:
        """The least width at which nothing is cut; gives the columns of a table that is wider than this theirs."""
        whole = self.options.update(width=_NATURAL)
        if Measurement.get(self, whole, table).maximum <= width:
            return width
        ranges = [self._range(table, column, whole) for column in table.columns]
        if sum(least for least, _ in ranges) + self._frame(table) > width:
            table.box, table.show_edge, table.padding = box.SIMPLE_HEAD, False, (0, 0)
        needed = sum(least for least, _ in ranges) + self._frame(table)
        spare = max(0, width - needed)
        for column, (least, most) in zip(table.columns, ranges, strict=True):
            column.width = least + min(spare, most - least)
            spare -= column.width - least
        return max(needed, width)

    def _range(self, table: Table, column: Column, whole: ConsoleOptions) -> tuple[int, int]:
        """The width of a column that cuts nothing, and the one that wraps nothing."""
        texts = [column.header, *column.cells, *([column.footer] if table.show_footer else [])]
        sizes = [Measurement.get(self, whole, text) for text in texts]
        most = max((size.maximum for size in sizes), default=0)
        least = most if column.no_wrap else max((size.minimum for size in sizes), default=0)
        if column.overflow == "fold" and not column.no_wrap:
            least = min(least, _FOLDED)
        return least, most

    @staticmethod
    def _frame(table: Table) -> int:
        """What lines and padding take beside the columns."""
        inner = len(table.columns) * (table.padding[1] + table.padding[3])
        return inner + (len(table.columns) - 1 + 2 * table.show_edge if table.box else 0)
