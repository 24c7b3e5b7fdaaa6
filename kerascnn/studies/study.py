"""What every study returns: numbers, what they are to show, and a picture."""

import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kerascnn import _figures, _provenance
from kerascnn._files import atomic_write, ensure_folder


@dataclasses.dataclass(frozen=True)
class Study:
    """A study that has run."""

    name: str
    settings: Mapping[str, Any]  # what it was asked for, the seed too
    arrays: Mapping[str, np.ndarray]  # what was measured
    claims: Mapping[str, bool]  # what the source says, in a sentence each, and whether it is so here
    seconds: float  # how long it took
    plot: Callable[["Study"], Any]  # -> a `matplotlib.figure.Figure`

    def draw(self, path: str | os.PathLike) -> None:
        """Writes the picture as a PNG.

        Raises:
            OSError: it cannot be written.
        """
        _figures.save(self.plot(self), path)

    def save(self, folder: str | os.PathLike) -> None:
        """Writes study.json (settings, claims, versions), arrays.npz and picture.png into a folder, which is made.

        Raises:
            OSError: one of them cannot be written.
        """
        folder = ensure_folder(folder)
        with atomic_write(folder / "arrays.npz", "wb") as file:
            np.savez_compressed(file, **self.arrays)
        self.draw(folder / "picture.png")
        record = {
            "study": self.name, "settings": dict(self.settings), "claims": dict(self.claims),
            "seconds": round(self.seconds, 1), "versions": _provenance.provenance()["versions"],
        }  # fmt: skip
        with atomic_write(folder / "study.json") as file:
            file.write(json.dumps(record, indent=1) + "\n")
