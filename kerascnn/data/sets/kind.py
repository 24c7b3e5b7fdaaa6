"""What a kind of data set tells of itself, so that `data.load` finds it: its names or its folders, and its reader."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from kerascnn.data.source import Source


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What was asked of `data.load`."""

    name: str  # as it was written
    options: str = ""  # what stands behind the colon of a named set
    path: Path | None = None  # the folder or file, for a kind that reads such
    data_dir: Path | None = None  # where files may lie
    seed: int = 0
    task: str | None = None  # None: what the set is for


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of set; a file of `kerascnn/data/sets` exposes it as `KIND`."""

    load: Callable[[Wanted], Source]
    names: tuple[str, ...] = ()  # it answers to these, perhaps with options after a colon
    reads: Callable[[Path, str | None], bool] | None = None  # (folder, task) -> whether it reads this folder
    files: tuple[str, ...] = ()  # endings of the single files that it reads
    order: int = 0  # folders are offered to the kinds in this order; the last reads what no other does
