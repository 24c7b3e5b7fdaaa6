"""The results as rows, and the rows as text and tables for the terminal."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from kerascnn.benchmark import columns
from kerascnn.benchmark.cases import PEERS
from kerascnn.benchmark.machine import Machine
from kerascnn.benchmark.timing import Result

_LEFT = ("op", "pass", "bound by")


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
    return [row["case"], row["pass"], *times, *map(ratio, peers), *work, f"{row['reached']:.0%}"]


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
    shown = columns.aligned(_heads(peers), [_cells(row, peers) for row in found], _LEFT)
    notes = (
        "Times in ms, medians, of a fast op in a graph of eight; both: forward and all gradients.\n"
        "to X: our time over X's, beside the target if any.\n"
        "MB and GFLOP: read and written once, and computed, at least; least: the time for that at the rates above;\n"
        "reached: least over our time."
    )
    return "\n".join([head, "", *shown, "", notes, ""])


def as_tables(found: Sequence[dict[str, Any]], title: str, width: int) -> list[Table]:
    """Tables for a terminal or a pipe.

    Args:
        found: what `rows` gave.
        title: above the first.
        width: in columns; where all do not fit beside each other, times, ratios and work are tables of their own.

    Returns:
        The tables; ratios that miss their target are red, others that have one green.
    """
    peers = _peers(found)
    lines = []
    for row in found:
        cells: list[str | Text] = list(_cells(row, peers))
        for offset, name in enumerate(peers, 3 + len(peers)):
            value, target = row[f"to_{name}"], row[f"target_{name}"]
            if value is not None and target is not None:
                cells[offset] = Text(cells[offset], style="green" if value <= target else "red")
        lines.append(cells)
    heads, count = _heads(peers), len(peers)
    blocks = [heads[2 : 3 + count], *([heads[3 + count : 3 + 2 * count]] if peers else []), heads[3 + 2 * count :]]
    ends = {number for number, row in enumerate(found) if row["pass"] == "both"}
    return columns.tables(heads, lines, keys=2, blocks=blocks, width=width, title=title, left=_LEFT, ends=ends)
