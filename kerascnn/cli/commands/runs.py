"""kerascnn runs."""

import json
import sys
from pathlib import Path

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from kerascnn._errors import InputError
from kerascnn._files import ensure_folder
from kerascnn.cli.command import Command, Flag, Values
from kerascnn.cli.loading import load_tensorflow

_SETTINGS = 6  # columns for what differs
_WIDEST = 1000  # characters of a table that is no picture on a screen


def run(values: Values, arguments: list[str], console: Console) -> int:
    """kerascnn runs; status 1 where some of them are damaged."""
    out = None if values["out"] is None else Path(values["out"])
    if out is not None and out.suffix.lower() != ".png":
        raise InputError(f"out must be the name of a .png file. Received: out={values['out']}")
    load_tensorflow()
    from kerascnn.training import runs as reading

    found = reading.find(arguments, sort=values["sort"])
    if values["json"]:
        console.print(
            json.dumps([one.to_dict() for one in found], indent=1), highlight=False, markup=False, soft_wrap=True
        )
    else:
        _print_whole(console, _table(found, reading.differing(found), values["columns"]))
    if out is not None:
        ensure_folder(out.parent)
        reading.plot(found, out)
        console.print(f"written: {out}", highlight=False, markup=False, soft_wrap=True)
    damaged = [one for one in found if one.problem.startswith("damaged")]
    for one in damaged:
        print(f"kerascnn: {one.path}: {one.problem}"[:1000], file=sys.stderr)
    return 1 if damaged else 0


def _print_whole(console: Console, table: Table) -> None:
    """A table in a file or a pipe is as wide as it is: no column is dropped."""
    if console.is_terminal:
        console.print(table, markup=False)
        return
    width = Measurement.get(console, console.options.update(max_width=_WIDEST), table).maximum
    Console(file=console.file, width=max(width, console.width), color_system=None).print(table, markup=False)


def _table(found, differing: list[str], columns: str | None) -> Table:
    known = dict.fromkeys(name for one in found for name in one.settings)
    if columns is None:
        differing = [name for name in differing if name != "epochs"]  # it has its column
        shown, more = differing[:_SETTINGS], differing[_SETTINGS:]
    else:
        shown, more = [name.strip() for name in columns.split(",")], []
        unknown = [name for name in shown if name not in known]
        if unknown:
            raise InputError(f"columns must be settings: {', '.join(known)}. Received: columns={unknown[0]!r}")
    caption = f"they differ in {', '.join(more)}, too: --columns shows them" if more else None
    table = Table("run", "network", "data", caption=caption)
    for heading in ("epochs", "validation", "at", "loss", "test", "s/epoch", *shown):
        table.add_column(heading, justify="right")
    with_notes = any(one.problem for one in found)
    if with_notes:
        table.add_column("note", overflow="fold")
    for one in found:
        settings = one.settings
        best = "" if one.best is None else str(int(one.rows[one.best]["epoch"]))
        cells = [
            str(one.path),
            one.network,
            Path(one.data).name,
            f"{len(one.rows)}/{settings.get('epochs', '?')}" if one.config else "",
            "" if one.value is None else f"{one.value:.2%}",
            best,
            "" if one.loss is None else f"{one.loss:.4f}",
            "" if one.test is None else f"{one.test:.2%}",
            "" if one.seconds is None else f"{one.seconds:.3g}",
            *(_short(settings.get(name)) if one.config else "" for name in shown),
            *([one.problem.partition(":")[0]] if with_notes else []),
        ]
        table.add_row(*map(Text, cells))
    return table


def _short(value) -> str:
    text = f"{value:g}" if isinstance(value, float) else "-" if value is None else str(value)
    return text if len(text) <= 30 else text[:29] + "…"


COMMAND = Command(
    "runs",
    "FOLDER...",
    "Compares runs: best validation measure, loss, test figures, time, and the settings in which they differ.",
    "kerascnn runs runs --sort loss --out runs.png",
    (
        Flag(
            "sort", "which comes first: the best or test measure, the lowest loss, a name, the shortest epoch",
            default="best", choices=("best", "test", "loss", "name", "network", "time"),
        ),
        Flag(
            "columns", "settings to show, such as learning_rate,augment",
            unless_given=f"up to {_SETTINGS} in which they differ", placeholder="NAMES",
        ),
        Flag("out", "a .png file for their curves", placeholder="FILE"),
        Flag("json", "print JSON instead of a table", bool, False),
    ),
    run,
    positional=(1, None),
    note="The test measure is that of evaluation.json, which kerascnn evaluate RUN writes.",
)  # fmt: skip
