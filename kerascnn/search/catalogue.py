"""Spaces and strategies by name, for the command line and for the files of a search."""

import ast
import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kerascnn import _check, _records
from kerascnn._errors import InputError
from kerascnn.search import spaces, strategies
from kerascnn.search.protocol import Space
from kerascnn.search.strategies import Searcher
from kerascnn.search.strategies.controller import LSTMPPO, LSTMReinforce
from kerascnn.search.strategies.tpe import TPE

Described = str | Mapping[str, Any]  # "darts(4)", or the values of the fields of a row
_LAYER = ("identity", "conv_3x3", "sep_3x3", "max_3x3")


def macro(layers: int = 6) -> spaces.Choices:
    """Rows of layers, each one of identity, 3x3 convolution, separable one, and maximum.

    Args:
        layers: how many.

    Returns:
        The space, of 4^layers candidates.

    Raises:
        InputError: `layers` is less than 1 or more than 100.
    """
    count = _check.whole("layers", layers, 1, 100)
    return spaces.Choices({f"layer{number}": _LAYER for number in range(1, count + 1)})


def small_cells(nodes: int = 2) -> spaces.Blocks:
    """One cell of sums of two of identity, 3x3 convolution and 3x3 maximum: small enough for a first search.

    Args:
        nodes: sums in the cell.

    Returns:
        The space.

    Raises:
        InputError: `nodes` is less than 1 or more than 16.
    """
    return spaces.Blocks(("identity", "conv_3x3", "max_3x3"), nodes, shared=True, name="small")


SPACES: dict[str, Callable[..., Space]] = {
    "macro": macro,
    "small_cells": small_cells,
    "nas": spaces.nas,
    "nasnet": spaces.nasnet,
    "hierarchical": spaces.hierarchical,
    "pnas": spaces.pnas,
    "pnas_growing": spaces.pnas_growing,
    "enas_macro": spaces.enas_macro,
    "enas_micro": spaces.enas_micro,
    "darts": spaces.darts,
    "banks": spaces.Banks,
}
STRATEGIES: dict[str, Callable[..., Searcher]] = {
    "random": strategies.RandomSearch,
    "local": strategies.LocalSearch,
    "evolution": strategies.Evolution,
    "tournament": strategies.Tournament,
    "reinforce": strategies.Reinforce,
    "ppo": strategies.PPO,
    "lstm_reinforce": LSTMReinforce,
    "lstm_ppo": LSTMPPO,
    "pnas": strategies.PNAS,
    "nao": strategies.NAO,
    "tpe": TPE,
    "halving": strategies.SuccessiveHalving,
    "hyperband": strategies.Hyperband,
}

ONE_SHOT = ("darts", "enas", "smash", "nao_ws")  # searches with shared weights, see kerascnn.search.one_shot


def describe(text: str) -> Described:
    """What stands for a space in the files of a search.

    Args:
        text: one of `SPACES`, with its size in parentheses where it is to be another, "darts(3)"; or a JSON file of an
            object: by name of each field of a row its values.

    Returns:
        The text, or what is in the file.

    Raises:
        InputError: there is no such space, or the file holds something else.
    """
    if not text.endswith(".json"):
        space(text)
        return text
    found = _records.read(text, "A file of fields")
    space(found)
    return found


def space(described: Described) -> Space:
    """The space of a description.

    Args:
        described: what `describe` gave.

    Returns:
        The space.

    Raises:
        InputError: there is none.

    Example:

        space("darts(3)").size()
    """
    if isinstance(described, Mapping):
        return spaces.Choices({name: _values(name, found) for name, found in described.items()})
    match = re.fullmatch(r"(\w+)(?:\(([0-9]{1,4})\))?", described) if isinstance(described, str) else None
    if match is None or match[1] not in SPACES:
        rule = f"one of {', '.join(SPACES)}, such as darts(3), or a .json file of fields and their values"
        raise _check.refuse("space", rule, described)
    make = SPACES[match[1]]
    if match[2] is None:
        return make()
    if not inspect.signature(make).parameters:
        raise _check.refuse("space", f"{match[1]}, which has one size", described)
    return make(int(match[2]))


def _values(name: str, found: Any) -> tuple:
    if not isinstance(found, list):
        raise _check.refuse(f"the values of {name}", "a list", found)
    return tuple(found)


def options(name: str) -> dict[str, dataclasses.Field]:
    """The options of a strategy.

    Args:
        name: one of `STRATEGIES`.

    Returns:
        The fields of its class.

    Raises:
        InputError: there is no such strategy.
    """
    made = STRATEGIES[_check.one_of("strategy", name, STRATEGIES)]
    return {field.name: field for field in dataclasses.fields(made)} if dataclasses.is_dataclass(made) else {}


def strategy(name: str, given: Mapping[str, str], largest: float | None = None) -> Searcher:
    """A strategy with its options as text.

    Args:
        name: one of `STRATEGIES`.
        given: options; of halving and hyperband "strategy" is the name of the one that proposes, random by default, and
            what they do not have is an option of that.
        largest: budget of the last rung of halving and hyperband, where it is not given.

    Returns:
        The strategy.

    Raises:
        InputError: there is no such strategy, option or value.
    """
    known, found, rest = options(name), {}, {}
    for key, text in given.items():
        if key not in known and "strategy" in known and key != "strategy":
            rest[key] = text
        elif key not in known:
            raise _check.refuse("option", f"one of {', '.join(known) or 'none'} of {name}", key)
        elif key != "strategy":
            found[key] = read_option(key, text, known[key].default)
    if "strategy" in known:
        inner = given.get("strategy", "random")
        if "strategy" in options(inner):
            raise _check.refuse("strategy", f"one that {name} can wrap", inner)
        found["strategy"] = strategy(inner, rest)
        if largest is not None:
            found.setdefault("largest", float(largest))
    return STRATEGIES[name](**found)


def read_option(name: str, text: str, default: Any) -> Any:
    """The value of an option given as text.

    Args:
        name: of the option.
        text: its value.
        default: a value of the same kind; None stands for a whole number.

    Returns:
        The value.

    Raises:
        InputError: the text is of another kind.
    """
    try:
        value = ast.literal_eval(text.strip().capitalize() if isinstance(default, bool) else text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = text.strip() if isinstance(default, str) else None
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not (int if default is None else type(default)):
        raise _check.refuse(name, f"a value such as {3 if default is None else default}", text)
    return value


def read_file(path: Path, what: str, kind: str) -> dict[str, Any]:
    """A JSON object of a search's folder.

    Args:
        path: the file.
        what: it is called.
        kind: its "format".

    Returns:
        The object.

    Raises:
        InputError: it cannot be read, or is another.
    """
    found = _records.read(path, what)
    if found.get("format") != kind or found.get("version") != 1:
        raise InputError(f'{what} must have "format": "{kind}" and "version": 1. Received: {path}')
    return found
