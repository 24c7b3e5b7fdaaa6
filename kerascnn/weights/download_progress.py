"""A line on the terminal while a file comes: how much of it, how fast, how long still."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn


@contextlib.contextmanager
def shown(title: str) -> Iterator[Callable[[int, int | None], Any]]:
    """Shows what is called, on stderr, where that is a terminal.

    Args:
        title: what is fetched.

    Yields:
        To be called with the bytes that are there, and those that there will be (None: not known).
    """
    console = Console(stderr=True, markup=False, emoji=False)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
