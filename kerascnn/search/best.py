"""The best candidate of a search as a file, from which its network is built anew."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerascnn import _check, _records
from kerascnn._errors import InputError
from kerascnn.search import catalogue
from kerascnn.search.history import History
from kerascnn.search.protocol import Space
from kerascnn.search.records import Tokens

if TYPE_CHECKING:
    import keras

FILE = "best.json"
_FORMAT = "kerascnn candidate"
_KEYS = {"format", "version", "space", "candidate", "networks", "value", "metrics", "cost", "budget", "trial"}


@dataclasses.dataclass(frozen=True)
class Best:
    """What `load_best` reads."""

    space: Space
    tokens: Tokens
    networks: Mapping[str, Any]  # the arguments of `Networks`
    value: float

    @property
    def candidate(self) -> Any:
        """What the space decodes: a genotype, layers, a row or a hierarchy."""
        return self.space.decode(self.tokens)

    def build(self, input_shape: Sequence[int], classes: int) -> "keras.Model":
        """The network, with new weights.

        Args:
            input_shape: height, width, channels.
            classes: how many.

        Returns:
            Images -> logits.

        Raises:
            InputError: it cannot be built for such images.
        """
        from kerascnn.search.building import Networks

        return Networks(**self.networks)(self.candidate, input_shape, classes)


def save_best(history: History, folder: str | os.PathLike, described: Any, networks: Mapping[str, Any]) -> Path | None:
    """Writes the best candidate of a history.

    Args:
        history: of a search.
        folder: gets best.json.
        described: the space, see `catalogue.describe`.
        networks: the arguments of `Networks` that the candidates were built with.

    Returns:
        The file; None, and nothing is written, where no candidate was evaluated.

    Raises:
        OSError: it cannot be written.
    """
    best = history.best()
    if not best:
        return None
    result, proposal = best[0].result, best[0].proposal
    return save_candidate(
        folder, described, history.space.to_json(best[0].tokens), networks, value=result.value,
        metrics=dict(result.metrics), cost=dict(result.cost), budget=proposal.budget, trial=proposal.id,
    )  # fmt: skip


def save_candidate(
    folder: str | os.PathLike, described: Any, candidate: Any, networks: Mapping[str, Any], **told: Any
) -> Path:
    """Writes a candidate, so that `load_best` reads it.

    Args:
        folder: gets best.json.
        described: the space, see `catalogue.describe`.
        candidate: what the space's `to_json` gives.
        networks: the arguments of `Networks` that build it.
        **told: "value", "metrics", "cost", "budget" and "trial".

    Returns:
        The file.

    Raises:
        OSError: it cannot be written.
    """
    record = {"format": _FORMAT, "version": 1, "space": described, "candidate": candidate, "networks": dict(networks)}
    _records.write(Path(folder) / FILE, {**record, **told})
    return Path(folder) / FILE


def load_best(path: str | os.PathLike) -> Best:
    """Reads what a search found.

    Args:
        path: best.json, or the folder of the search.

    Returns:
        The candidate, ready to be built.

    Raises:
        InputError: there is no such file, or it is damaged.

    Example:

        from kerascnn import search

        best = search.load_best("searches/a")
        model = best.build((8, 8, 1), classes=10)
    """
    path = Path(path)
    path = path / FILE if path.is_dir() else path
    found = catalogue.read_file(path, "The best candidate", _FORMAT)
    if set(found) != _KEYS or not isinstance(found["networks"], dict):
        raise InputError(f"The best candidate must have the keys {', '.join(sorted(_KEYS))}. Received: {path}")
    space = catalogue.space(found["space"])
    known = {"filters", "cells", "family"}
    if not set(found["networks"]) <= known:
        raise _check.refuse("networks", f"some of {', '.join(sorted(known))}", found["networks"])
    return Best(space, space.from_json(found["candidate"]), found["networks"], _check.real("value", found["value"]))
