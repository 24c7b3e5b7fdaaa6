"""What a one-shot search keeps on the disk: a journal with a row an epoch, and the state from which it is resumed."""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from rich.console import Console

from kerascnn._errors import InputError
from kerascnn._files import atomic_write, clear_temporaries, ensure_folder
from kerascnn.search.journal import Journal

JOURNAL, STATE, GENOTYPE = "search.json", "state.npz", "genotype.json"

Row = dict[str, Any]


class Session:
    """The epochs of a search. A kill at any moment loses at most the epoch under way.

    Args:
        out: the folder; None: nothing is kept.
        settings: plain JSON values that everything depends on.
        state: all variables that the search moves.
        numbers: what every row has.

    Raises:
        InputError: the folder holds another search, or its state is damaged.
        OSError: it cannot be written.
    """

    def __init__(
        self,
        out: str | os.PathLike | None,
        settings: Mapping[str, Any],
        state: Sequence[tf.Variable],
        numbers: Sequence[str] = ("epoch", "seconds"),
    ):
        self._state, self.rows = list(state), []
        self.folder: Path | None = None if out is None else ensure_folder(out)
        self._journal = None
        if self.folder is not None:
            clear_temporaries(self.folder)
            self._journal = Journal(self.folder / JOURNAL, settings, numbers)
            self.rows = list(self._journal.rows)
            self._restore()

    @property
    def epochs(self) -> int:
        """How many are done."""
        return len(self.rows)

    def end_epoch(self, row: Mapping[str, Any]) -> None:
        """Keeps an epoch: first the state with its row, then the row, so that a kill between the two is mended.

        Args:
            row: plain JSON values.
        """
        if self.folder is not None and self._journal is not None:
            arrays = {f"v{number}": variable.numpy() for number, variable in enumerate(self._state)}
            with atomic_write(self.folder / STATE, "wb") as file:
                np.savez(file, row=np.array(json.dumps(row)), **arrays)
            self._journal.add(row)
        self.rows.append(dict(row))

    def go_on(
        self,
        epochs: int,
        one: Callable[[int], tuple[Row, str]],
        after: Callable[[Row], Any] | None = None,
        console: Console | None = None,
    ) -> None:
        """Runs what is left of a search.

        Args:
            epochs: of the whole search.
            one: runs an epoch, counted from 0; gives what its row has beside "epoch" and "seconds", and words.
            after: is called with each new row.
            console: prints the words there; None: silent.
        """
        while self.epochs < epochs:
            began, epoch = time.monotonic(), self.epochs
            row, words = one(epoch)
            self.end_epoch({"epoch": epoch + 1, **row, "seconds": round(time.monotonic() - began, 3)})
            if after:
                after(self.rows[-1])
            if console:
                console.print(f"epoch {epoch + 1} of {epochs}: {words}", highlight=False)

    def _restore(self) -> None:
        path = self.folder / STATE
        if not path.exists():
            if self.rows:
                raise InputError(f"The state of a search that has begun must be there. Received: no {path}")
            return
        try:
            with np.load(path, allow_pickle=False) as found:
                row = json.loads(str(found["row"]))
                values = [found[f"v{number}"] for number in range(len(self._state))]
                sound = len(found.files) == len(values) + 1
        except (OSError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:100]
            raise InputError(f"The state of a search must be whole ({reason}). Received: {path}") from error
        shapes = all(value.shape == variable.shape for value, variable in zip(values, self._state, strict=True))
        if not sound or not shapes or row["epoch"] not in (self.epochs, self.epochs + 1):
            raise InputError(f"The state of a search must be that of its journal. Received: {path}")
        if row["epoch"] == self.epochs + 1:  # killed between the two files
            self._journal.add(row)
            self.rows.append(row)
        for variable, value in zip(self._state, values, strict=True):
            variable.assign(value)
