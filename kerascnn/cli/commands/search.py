"""kerascnn search."""

import os
import re
from typing import Any

from rich.console import Console

from kerascnn._errors import InputError
from kerascnn.cli import options, planning
from kerascnn.cli.command import Command, Flag, Values
from kerascnn.cli.loading import load_tensorflow

_EXAMPLE = "kerascnn search evolution --space macro --data digits --budget 20m --out searches/digits"
_EPOCHS = 3  # of a candidate, unless told otherwise
_OPTION = re.compile(r"\s*([\w-]+)\s*=(.*)", re.DOTALL)


def run(values: Values, arguments: list[str], console: Console) -> None:
    """kerascnn search."""
    from kerascnn.search import catalogue

    what, *rest = arguments
    others = {"compound": _compound, "show": _show, "resume": _resume, "train": _train}
    known = (*catalogue.STRATEGIES, *catalogue.ONE_SHOT)
    if what not in others and what not in known:
        rule = f"What can be searched by is {', '.join(known)}; what else can be done is "
        raise InputError(f"{rule}{', '.join(others)}. Received: {what}")
    if what in ("show", "resume", "train"):
        if not rest:
            raise InputError(f"kerascnn search {what} needs the folder of a search. Example: kerascnn search {what} "
                             "searches/digits")  # fmt: skip
        others[what](values, rest[0], console)
        return
    if rest:
        raise InputError(f"kerascnn search {what} takes flags only. Received: {rest[0]}")
    if what in catalogue.ONE_SHOT:
        _one_shot(what, values, console)
    else:
        _compound(values, console) if what == "compound" else _search(what, values, console)


def _needs(what: str, values: Values, *names: str) -> None:
    if missing := [f"--{name}" for name in names if values[name] is None]:
        raise InputError(f"kerascnn search {what} needs {' and '.join(missing)}. Example: {_EXAMPLE}")


def _search(what: str, values: Values, console: Console) -> None:
    """Begins a search, or goes on with it."""
    _needs(what, values, "space", "data", "out")
    from kerascnn.search import catalogue

    given = planning.training_flags(values)
    seed, epochs, samples = given.pop("seed", 0), given.pop("epochs", _EPOCHS), given.pop("limit", 0)
    networks: dict[str, Any] = {name: values[name] for name in ("filters", "cells") if values[name] is not None}
    if values["model"] is not None:
        networks["family"] = values["model"]
    if values["image_size"] is not None:
        raise InputError(f"Searched networks take the data's images as they are. Received: "
                         f"--image_size {values['image_size']}")  # fmt: skip
    record = {
        "strategy": what, "options": _options(values["option"]), "space": catalogue.describe(values["space"]),
        "data": _absolute(values["data"]), "data_dir": values["data_dir"] and os.path.abspath(values["data_dir"]),
        "networks": networks, "epochs": epochs, "samples": samples or None, "recipe": values["recipe"],
        "training": given, "seed": seed, "budget": _budget(values["budget"] or "20m"),
        "workers": 1 if values["workers"] is None else values["workers"], "timeout": values["timeout"],
    }  # fmt: skip
    catalogue.strategy(what, record["options"], epochs)  # refuses bad values before TensorFlow
    _run(record, values["out"], console)


def _run(record: dict[str, Any], out: str, console: Console) -> None:
    load_tensorflow()
    from kerascnn.search import session

    history = session.begin(record, out, console)
    console.print(session.table(history, f"{record['strategy']} on {os.path.basename(record['data'])}"))
    console.print(f"kerascnn search show {out} draws it; kerascnn search train {out} --out runs/best trains the best",
                  highlight=False, markup=False, soft_wrap=True)  # fmt: skip


def _one_shot(what: str, values: Values, console: Console) -> None:
    """Begins a search with shared weights, or goes on with it."""
    _needs(what, values, "data", "out")
    from kerascnn.search import catalogue

    given = planning.training_flags(values)
    seed, samples, chosen = given.pop("seed", 0), given.pop("limit", 0), _options(values["option"])
    for name in ("epochs", "batch_size", "filters"):
        value = given.pop(name, None) if name != "filters" else values["filters"]
        if value is not None and name in chosen:
            raise InputError(f"An option must be given once. Received: --{name} and --option {name}")
        chosen |= {} if value is None else {name: str(value)}
    others = ("budget", "workers", "timeout", "cells", "model", "recipe", "image_size")
    if unused := sorted({*given, *(name for name in others if values[name] is not None)}):
        rule = f"kerascnn search {what} takes --space, --data, --out, --epochs, --batch_size, --filters, "
        raise InputError(f"{rule}--limit, --seed and --option alone. Received: --{' --'.join(unused)}")
    record = {
        "strategy": what, "options": chosen, "space": values["space"] and catalogue.describe(values["space"]),
        "data": _absolute(values["data"]), "data_dir": values["data_dir"] and os.path.abspath(values["data_dir"]),
        "samples": samples or None, "seed": seed,
    }  # fmt: skip
    _run_one_shot(record, values["out"], console)


def _run_one_shot(record: dict[str, Any], out: str, console: Console) -> None:
    load_tensorflow()
    from kerascnn.search.one_shot import command

    command.config(record["strategy"], record["options"])  # refuses bad values before the data is read
    result = command.begin(record, out, console)
    seconds = sum(row["seconds"] for row in result.history)
    console.print(f"{len(result.history)} epochs in {seconds:.0f} seconds; kerascnn search show {out} draws what was "
                  f"found; kerascnn search train {out} --out runs/best trains it",
                  highlight=False, markup=False, soft_wrap=True)  # fmt: skip


def _is_one_shot(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, "one_shot.json"))


def _resume(values: Values, folder: str, console: Console) -> None:
    """Goes on with a search, perhaps with another budget."""
    if _is_one_shot(folder):
        load_tensorflow()
        from kerascnn.search.one_shot import command

        _run_one_shot(command.settings(folder), folder, console)
        return
    from kerascnn.search import session

    record = session.settings(folder)
    for name in session.LIMITS:
        if values[name] is not None:
            record[name] = _budget(values[name]) if name == "budget" else values[name]
    _run(record, folder, console)


def _show(values: Values, folder: str, console: Console) -> None:
    """Draws what was found."""
    if _is_one_shot(folder):
        load_tensorflow()
        from kerascnn.search.one_shot import command

        command.show(folder, console)
        return
    from kerascnn.search import session

    session.show(folder, console)


def _train(values: Values, folder: str, console: Console) -> None:
    """Trains the best network of a search as a run."""
    _needs("train", values, "out")
    from kerascnn.search import load_best, session

    best, overrides = load_best(folder), planning.training_flags(values)
    if _is_one_shot(folder):
        load_tensorflow()
        from kerascnn.search.one_shot import command

        record = {**command.settings(folder), "recipe": None, "training": {}}
    else:
        record = session.settings(folder)
        load_tensorflow()
    from kerascnn import data, training
    from kerascnn.search.evaluators.training import plan

    name = values["data"] or record["data"]
    source = data.load(name, values["data_dir"] or record["data_dir"], limit=overrides.get("limit") or None)
    planned = plan(source, values["recipe"] or record["recipe"], **{**record["training"], **overrides})
    result = training.train(
        lambda: best.build(planned.shape, len(source.class_names)), source, planned, values["out"], console=console
    )
    row = result.rows[result.best]
    console.print(f"best: epoch {int(row['epoch'])} of {len(result.rows)}, validation accuracy "
                  f"{row['val_accuracy']:.2%}; kerascnn evaluate --checkpoint {result.folder} measures it on the test "
                  "images",
                  highlight=False, markup=False, soft_wrap=True)  # fmt: skip


def _compound(values: Values, console: Console) -> None:
    """Compound scaling's grid search."""
    if missing := [f"--{name}" for name in ("model", "data", "out") if values[name] is None]:
        raise InputError(f"kerascnn search compound needs {' and '.join(missing)}. Example: kerascnn search compound "
                         "--model resnet20 --data digits --out searches/digits")  # fmt: skip
    from kerascnn import search

    grid = {name: values[name] for name in ("step", "tolerance")}
    count = len(search.candidates(**grid))  # refuses bad values before TensorFlow
    overrides = {**planning.training_flags(values), "epochs": values["epochs"] or search.EPOCHS}
    load_tensorflow()
    import tensorflow as tf

    info, source, plan = planning.training_plan(values, overrides)
    console.print(
        f"{info.name} and {count} candidates, {plan.config.epochs} epochs each, recipe {plan.recipe}, on "
        f"{source.name} in {values['out']}", highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip
    tf.get_logger().setLevel("ERROR")  # it warns that each candidate is traced anew
    rows = search.grid_search(
        info.name, source, values["out"], phi=values["phi"], **grid, resolution=plan.shape[0], config=plan.config,
        console=console,
    )  # fmt: skip
    console.print(search.table(rows, f"{info.name} on {source.name}"), markup=False)


def _options(pairs: tuple[str, ...]) -> dict[str, str]:
    """What several --option mean."""
    found: dict[str, str] = {}
    for pair in pairs:
        match = _OPTION.fullmatch(pair)
        if match is None:
            raise InputError(f"--option takes KEY=VALUE, such as --option population=20. Received: {pair[:200]}")
        name = match[1].replace("-", "_")
        if name in found:
            raise InputError(f"An option must be given once. Received: {name} twice")
        found[name] = match[2].strip()
    return found


def _budget(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text


def _absolute(data: str) -> str:
    """A folder from wherever the search is resumed; the name of a set as it is."""
    return os.path.abspath(data) if os.path.isdir(data) else data


COMMAND = Command(
    "search",
    "STRATEGY | show DIR | resume DIR | train DIR | compound",
    "Looks for a network by random, local, evolution, tournament, reinforce, ppo, lstm_reinforce, lstm_ppo, pnas, nao, "
    "tpe, halving or hyperband, or with shared weights by darts, enas, smash or nao_ws; shows a search, goes on with "
    "it, or trains its best network. compound: the best way to make a network deeper, wider and its images larger.",
    _EXAMPLE,
    (
        Flag("space", "what is searched: macro, small_cells, nas, nasnet, pnas, pnas_growing, enas_macro, enas_micro, "
             "darts, banks or hierarchical, with another size as darts(3); or a .json file of fields and their values",
             group="search", placeholder="SPACE"),
        Flag("budget", "how long, 90s, 20m, 8h, 2d, or how many candidates, 200", group="search", unless_given="20m",
             placeholder="TIME|COUNT"),
        Flag("option", "an option of the strategy, such as --option population=20; may be given several times",
             group="search", placeholder="KEY=VALUE", repeated=True),
        Flag("filters", "of the first stage, where the space does not say", int, low=2, high=4096, group="search",
             unless_given="8"),
        Flag("cells", "normal cells in the first stage of networks of cells", int, low=1, high=100, group="search",
             unless_given="1"),
        Flag("workers", "processes that evaluate; 0: this one does", int, low=0, high=1000, group="search",
             unless_given="1"),
        Flag("timeout", "seconds that a candidate may take", float, low=1e-3, group="search", unless_given="any"),
        Flag("phi", "compound: how much the candidates are scaled; 1 doubles the multiply-adds", float, 1.0,
             group="search"),
        Flag("step", "compound: of the grid of factors", float, 0.1, group="search"),
        Flag("tolerance", "compound: of alpha beta^2 gamma^2 around 2", float, 0.1, group="search"),
        *options.training_flags(
            Flag("out", "folder of the search; an unfinished search there is resumed", placeholder="FOLDER")
        ),
    ),
    run,
    note=f"With --model, the fields of the space are those of that network's row. A candidate is trained for --epochs, "
    f"{_EPOCHS} by default, on --limit images. With shared weights --epochs is the length of the search, --space the "
    f"paper's by default, and --option a setting such as --option finals=20. {options.TRAINING_NOTE}",
    positional=(1, 2),
)  # fmt: skip
