"""What `kerascnn benchmark models` and `serving` print and write."""

import dataclasses
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from kerascnn._files import ensure_folder
from kerascnn.benchmark import columns, exports, networks, servers, settings
from kerascnn.benchmark.exports import Export
from kerascnn.benchmark.networks import Plan
from kerascnn.benchmark.runtimes import RUNTIMES
from kerascnn.benchmark.servers import Load
from kerascnn.benchmark.settings import Settings

_HEADS = {
    "images_per_s": "images/s", "peak_mb": "peak MB", "own_mb": "own MB", "requests_per_s": "requests/s",
    "p50_ms": "p50 ms", "p99_ms": "p99 ms",
}  # fmt: skip
_LEFT = ("network", "step", "precision", "runtime", "export", "format", "protocol")
_NOTES = {
    "ratio": "ratio: over the first of the same block, the median of the turns",
    "peak_mb": "peak MB: of the whole process; own MB: of that, what came after the runtime's import",
    "requests_per_s": "p50, p99: what half and 99 in a hundred of the requests took at most, as the clients saw it",
}


def benchmark_networks(
    plan: Plan, how: Settings, *, memory: bool = False, out: str | os.PathLike | None = None, console: Console
) -> int:
    """Times networks, prints a table and writes models.txt and models.csv.

    Args:
        plan: networks, batches, precisions, runtimes and steps.
        how: threads, turns, peers.
        memory: show how much memory each took.
        out: folder of the files, or None.
        console: where progress and the table go.

    Returns:
        1 where something that was asked for failed, else 0.

    Raises:
        InputError: as for `time_networks`.
    """
    folder = ensure_folder(out) if out else None
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        rows = networks.run(plan, how, lambda text: bar.update(task, description=text))
    keys = ["network", "step", "batch", "precision", "runtime"]
    texts = [f"{name}: {RUNTIMES[name].text}" for name in plan.runtimes]
    return _finish("models", rows, keys, [], how, memory, folder, console, texts)


def benchmark_exports(
    words: Sequence[str],
    batches: Sequence[int],
    precisions: Sequence[str],
    formats: Sequence[str],
    how: Settings,
    load: Load | None = None,
    *,
    memory: bool = False,
    out: str | os.PathLike | None = None,
    console: Console,
) -> int:
    """Times exports, and servers of them, prints tables and writes serving.txt, serving.csv and servers.csv.

    Args:
        words: folders, or names of networks.
        batches: images at a time.
        precisions: of networks that are named.
        formats: of networks that are named.
        how: threads and turns.
        load: how servers are asked; None: without them.
        memory: show how much memory each took.
        out: folder of the files, or None.
        console: where progress and the tables go.

    Returns:
        1 where something that was asked for failed, else 0.

    Raises:
        InputError: as for `time_exports`.
    """
    folder = ensure_folder(out) if out else None
    sizes, served = settings.batches(batches), []
    with (
        tempfile.TemporaryDirectory() as scratch,
        Progress(console=console, transient=True, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task("", total=None)

        def advance(text: str) -> None:
            bar.update(task, description=text)

        found = exports.gather(words, tuple(precisions), tuple(formats), how, Path(scratch), advance)
        rows = exports.run(found, sizes, how, advance)
        if load is not None:
            told: list[Export] = [
                dataclasses.replace(export, format=row["format"], precision=row["precision"])
                for export, row in zip(found, rows, strict=False)  # the first batch has a row for each
            ]
            served = servers.time_servers(told, load, how, advance)
    keys = ["export", "format", "precision", "batch"]
    return _finish("serving", rows, keys, served, how, memory, folder, console, [])


def _finish(name, rows, keys, served, how, memory, folder, console, texts) -> int:
    """Shows and writes what was found."""
    figures = [["ms", "ratio", "images_per_s"], *([["peak_mb", "own_mb"]] if memory else [])]
    asked = [["requests", "requests_per_s", "errors"], ["p50_ms", "p99_ms"]]
    parts = [(rows, keys, figures)]
    parts += [(served, ["export", "format", "precision", "protocol", "clients"], asked)] if served else []
    head = settings.head(how, [row["versions"] for row in rows if row["versions"]])
    made, lines = [], []
    for found, named, blocks in parts:
        whole = [*named, *(column for block in blocks for column in block)]
        heads = [_HEADS.get(column, column) for column in whole]
        cells = [settings.cells(row, whole) for row in found]
        styled = [[Text(cell, style="dim") if cell == "-" else cell for cell in line] for line in cells]
        ends = {number for number, row in enumerate(found[:-1]) if _block(row) != _block(found[number + 1])}
        made += columns.tables(
            heads, styled, keys=len(named), blocks=[[_HEADS.get(x, x) for x in block] for block in blocks],
            width=columns.room(console), left=_LEFT, ends=ends,
        )  # fmt: skip
        lines += ["", *columns.aligned(heads, cells, _LEFT)]
    shown = {column for found, _, blocks in parts for block in blocks for column in block}
    notes = [text for column, text in _NOTES.items() if column in shown] + texts
    notes += list(dict.fromkeys(f"{_label(row, named)}: {row['note']}" for found, named, _ in parts for row in found
                                if row["note"]))  # fmt: skip
    columns.show(console, "\n".join(head), made)
    console.print()
    columns.show(console, "\n".join(notes), [])
    if folder is not None:
        columns.write(folder, name, "\n".join([*head, *lines, "", *notes, ""]), rows, console)
        if served:
            columns.write_csv(folder / "servers.csv", served, console)
    return int(any(row["failed"] for found, *_ in parts for row in found))


def _block(row: dict[str, Any]) -> tuple:
    """What rows that are compared with each other have in common."""
    return tuple(row.get(key) for key in ("network", "step", "batch", "clients")) + (
        (row["precision"],) if "network" in row else ()
    )


def _label(row: dict[str, Any], named: Sequence[str]) -> str:
    return " ".join(str(row[key]) for key in named if row[key] and key not in ("batch", "clients"))
