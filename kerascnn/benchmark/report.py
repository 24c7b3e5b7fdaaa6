"""The results as rows, and the rows as text, CSV and a table for the terminal."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from kerascnn.benchmark.cases import PEERS
from kerascnn.benchmark.machine import Machine
from kerascnn.benchmark.timing import Result

_PASSES = {"forward": "forward", "both": "both"}


def rows(results: Sequence[Result], machine: Machine, item: int) -> list[dict[str, Any]]:
    """Everything that is told about each result, by column of the CSV file.

    Args:
        results: what `run` gave.
        machine: what bounds them.
        item: bytes of an element.

    Returns:
        A dict a result; None where there is no figure. Times are in milliseconds, `reached` is the part of the
        roofline's speed that kerascnn reaches.
    """
    found = []
    for result in results:
        case, which = result.case, result.which
        size, flops = case.bytes(which, item), case.flops(which)
        least, bound = machine.roofline(size, flops)
        row: dict[str, Any] = {"case": case.name, "op": case.op, "pass": which}
        for name in ("kerascnn", *PEERS):
            row[f"{name}_ms"] = 1e3 * result.seconds[name] if name in result.seconds else None
        for name in PEERS:
            row[f"to_{name}"], row[f"target_{name}"] = result.ratio(name), case.target(name, which)
        row |= {"bytes": size, "flops": flops, "roofline_ms": 1e3 * least, "bound": bound}
        found.append(row | {"reached": least / result.seconds["kerascnn"]})
    return found


def as_csv(found: Sequence[dict[str, Any]]) -> str:
    """A CSV file with a header; empty where there is no figure.

    Args:
        found: what `rows` gave.

    Returns:
        The text.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(found[0]), lineterminator="\n")
    writer.writeheader()
    for row in found:
        writer.writerow({name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()})
    return text.getvalue()


def _cells(row: dict[str, Any], peers: Sequence[str]) -> list[str]:
    def ms(value):
        return "-" if value is None else f"{value:.2f}"

    def ratio(name):
        value, target = row[f"to_{name}"], row[f"target_{name}"]
        if value is None:
            return "-"
        aim = "" if target is None else f" ({'<=' if value <= target else '> '}{target:g})"
        return f"{value:.2f}{aim}"

    work = [f"{row['bytes'] / 1e6:.1f}", f"{row['flops'] / 1e9:.2f}", ms(row["roofline_ms"]), row["bound"]]
    times = [ms(row[f"{name}_ms"]) for name in ("kerascnn", *peers)]
    return [row["case"], _PASSES[row["pass"]], *times, *map(ratio, peers), *work, f"{row['reached']:.0%}"]


def _heads(peers: Sequence[str]) -> list[str]:
    short = [{"tensorflow": "TF", "keras": "Keras", "torch": "torch"}[name] for name in peers]
    ratios = [f"to {name}" for name in short]
    return ["op", "pass", "ours", *short, *ratios, "MB", "GFLOP", "least", "bound by", "reached"]


def _peers(found: Sequence[dict[str, Any]]) -> list[str]:
    return [name for name in PEERS if any(row[f"{name}_ms"] is not None for row in found)]


def as_text(found: Sequence[dict[str, Any]], head: str) -> str:
    """Aligned columns of plain text.

    Args:
        found: what `rows` gave.
        head: lines above the table: machine, versions, date.

    Returns:
        The text, ending in a newline.
    """
    peers = _peers(found)
    lines = [_heads(peers), *(_cells(row, peers) for row in found)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    left = {0, 1, len(widths) - 2}
    shown = [
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    notes = (
        "Times in ms, medians, of a fast op in a graph of eight; both: forward and all gradients.\n"
        "to X: our time over X's, beside the target if any.\n"
        "MB and GFLOP: read and written once, and computed, at least; least: the time for that at the rates above;\n"
        "reached: least over our time."
    )
    return "\n".join([head, "", *(line.rstrip() for line in shown), "", notes, ""])


def as_table(found: Sequence[dict[str, Any]], title: str, width: int) -> Table:
    """A table for a terminal.

    Args:
        found: what `rows` gave.
        title: above it.
        width: of the terminal; a narrow one does without the columns of work.

    Returns:
        The table; ratios that miss their target are red, others that have one green.
    """
    peers = _peers(found)
    table = Table(title=title, padding=(0, 1, 0, 0))
    heads = _heads(peers)
    kept = [i for i, name in enumerate(heads) if width >= 150 or name not in ("MB", "GFLOP", "bound by")]
    for i in kept:
        left = i < 2 or heads[i] == "bound by"
        table.add_column(heads[i], justify="left" if left else "right", no_wrap=i < 1, overflow="fold")
    for row in found:
        cells: list[str | Text] = list(_cells(row, peers))
        for offset, name in enumerate(peers, 3 + len(peers)):
            value, target = row[f"to_{name}"], row[f"target_{name}"]
            if value is not None and target is not None:
                cells[offset] = Text(cells[offset], style="green" if value <= target else "red")
        table.add_row(*(cells[i] for i in kept), end_section=row["pass"] == "both")
    return table
