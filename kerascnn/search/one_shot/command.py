"""A one-shot search as the command line runs it: with its settings in a file, so that it goes on from its folder."""

import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from kerascnn import _check, _records, data
from kerascnn._files import ensure_folder
from kerascnn.search import best, catalogue, drawing, folder_settings
from kerascnn.search.one_shot.config import DartsConfig, EnasConfig, NaoConfig, SmashConfig
from kerascnn.search.one_shot.darts import darts
from kerascnn.search.one_shot.enas import enas
from kerascnn.search.one_shot.nao_ws import nao_ws
from kerascnn.search.one_shot.result import Result
from kerascnn.search.one_shot.session import JOURNAL
from kerascnn.search.one_shot.smash import smash

FILE = "one_shot.json"
_FORMAT = "kerascnn one-shot search settings"
SETTINGS = ("strategy", "options", "space", "data", "data_dir", "samples", "seed")


@dataclasses.dataclass(frozen=True)
class Kind:
    """A search with shared weights."""

    config: type
    run: Callable[..., Result]
    space: str  # the paper's


KINDS = {
    "darts": Kind(DartsConfig, darts, "darts"),
    "enas": Kind(EnasConfig, enas, "enas_micro"),
    "smash": Kind(SmashConfig, smash, "banks"),
    "nao_ws": Kind(NaoConfig, nao_ws, "enas_micro"),
}


def config(name: str, given: Mapping[str, str]) -> Any:
    """A configuration with its fields as text.

    Args:
        name: of `KINDS`.
        given: fields.

    Returns:
        The configuration.

    Raises:
        InputError: there is no such search, field or value.
    """
    fields = {field.name: field for field in dataclasses.fields(KINDS[_check.one_of("search", name, KINDS)].config)}
    for key in given:
        if key not in fields:
            raise _check.refuse("option", f"one of {', '.join(fields)} of {name}", key)
    values = {key: catalogue.read_option(key, text, fields[key].default) for key, text in given.items()}
    return KINDS[name].config(**values)


def begin(record: Mapping[str, Any], out: str | os.PathLike, console: Console) -> Result:
    """Begins a search, or goes on with the one in the folder.

    Args:
        record: values of `SETTINGS`; a space of None is the paper's.
        out: its folder.
        console: for what is said.

    Returns:
        What was found; best.json in the folder has it too.

    Raises:
        InputError: a value cannot be used, or the folder holds another search.
        OSError: the folder cannot be written.
    """
    record = json.loads(json.dumps(record))
    kind, options = KINDS[record["strategy"]], config(record["strategy"], record["options"])
    record["space"] = record["space"] or kind.space
    space = catalogue.space(record["space"])
    source = data.load(record["data"], record["data_dir"], limit=record["samples"])
    folder = Path(ensure_folder(out))
    folder_settings.begin(folder / FILE, _FORMAT, SETTINGS, record, SETTINGS)
    result = kind.run(space, source, options, folder, record["seed"], console=console)
    row = result.history[-1]
    told = row["finals"][0][0] if "finals" in row else row["other_accuracy"]
    found, networks = space.to_json(space.encode(result.genotype)), {"filters": options.filters}
    others = {"metrics": {}, "cost": {}, "budget": None, "trial": row["epoch"]}
    best.save_candidate(folder, record["space"], found, networks, value=told, **others)
    return result


def settings(folder: str | os.PathLike) -> dict[str, Any]:
    """What a search was begun with.

    Args:
        folder: of the search.

    Returns:
        Values of `SETTINGS`.

    Raises:
        InputError: the folder holds no one-shot search of the command line.
    """
    return folder_settings.read(Path(folder) / FILE, _FORMAT, SETTINGS)


def table(folder: str | os.PathLike) -> Table:
    """The epochs of a search; while it runs, too.

    Args:
        folder: of the search.

    Returns:
        What rich prints: the numbers of each epoch.

    Raises:
        InputError: there is no journal.
    """
    rows = _records.read(Path(folder) / JOURNAL, "The journal of a search").get("rows", [])
    numbers = [name for name in (rows[0] if rows else ()) if isinstance(rows[0][name], int | float)]
    record = settings(folder)
    found = Table(*numbers, title=f"{record['strategy']} on {os.path.basename(record['data'])}")
    for row in rows:
        found.add_row(*(f"{row[name]:,}" if isinstance(row[name], int) else f"{row[name]:.4g}" for name in numbers))
    return found


def show(folder: str | os.PathLike, console: Console) -> None:
    """Prints the epochs of a search, and what it found where it has ended; draws the latter.

    Args:
        folder: of the search; gets best.png.
        console: for what is said.

    Raises:
        InputError: the folder holds no search.
        OSError: the picture cannot be written.
    """
    console.print(table(folder))
    if (Path(folder) / best.FILE).exists():
        from kerascnn.search.session import candidate_table

        found = best.load_best(folder)
        drawing.plot_candidate(found.candidate, Path(folder) / "best.png", f"best: {found.value:.4g}")
        console.print(candidate_table(found.candidate))
