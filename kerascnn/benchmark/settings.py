"""What all that is timed in processes of its own has in common: threads, turns, and where peers live."""

import dataclasses
import datetime
import os
import platform
from collections.abc import Iterable, Sequence
from typing import Any

from kerascnn import _check
from kerascnn.benchmark import processor
from kerascnn.benchmark.answering import CLOCKS, WARM_UP
from kerascnn.benchmark.sides import TURNS, Timing

REPEAT = 30


@dataclasses.dataclass(frozen=True)
class Settings:
    """How things are timed; checked when it is made."""

    threads: int | None = None  # of every subject; None: as many as this process may use cores
    repeat: int = REPEAT  # timed calls of each subject
    clock: str = "wall"  # or "processor"
    peers_python: str | None = None  # an interpreter with torch and timm
    image_size: int | None = None  # height and width; None: of each network its own
    channels: int | None = None  # of the images; None: of each network its own
    calibration: str | None = None  # a data set for int8
    data_dir: str | None = None  # where it lies

    def __post_init__(self):
        _check.whole("repeat", self.repeat, 1)
        _check.one_of("clock", self.clock, CLOCKS)
        for name in ("image_size", "channels"):
            if getattr(self, name) is not None:
                _check.whole(name, getattr(self, name), 1)
        object.__setattr__(self, "threads", processor.threads(self.threads))


def batches(sizes: Iterable[int]) -> tuple[int, ...]:
    """Batch sizes, checked, each once.

    Raises:
        InputError: there is none, or one is no whole number of at least 1.
    """
    found = tuple(dict.fromkeys(_check.whole("batch", size, 1) for size in sizes))
    if not found:
        raise _check.refuse("batch", "at least one size", [])
    return found


def figures(timing: Timing, base: Timing | None, batch: int) -> dict[str, Any]:
    """The columns of a row that are figures; None where there is none."""
    seconds = timing.seconds
    imported = timing.facts.get("imported", 0)
    told = bool(timing.peak)
    return {
        "ms": None if seconds is None else 1e3 * seconds,
        "ratio": None if seconds is None or base is None else timing.ratio(base),
        "images_per_s": batch / seconds if seconds else None,
        "peak_mb": timing.peak / 1e6 if told else None,
        "own_mb": (timing.peak - imported) / 1e6 if told and imported else None,
        "parameters": timing.facts.get("parameters"),
        "calls": sum(map(len, timing.turns)),
        "note": timing.refused or timing.facts.get("note", ""),
        "failed": timing.failed,
    }


def cells(row: dict[str, Any], names: Sequence[str]) -> list[str]:
    """Columns of a row as text."""

    def cell(name: str, value: Any) -> str:
        if value is None:
            return "-"
        if not isinstance(value, float):
            return str(value)
        digits = 0 if name.endswith("_mb") else 2 if name == "ratio" or value < 100 else 1 if value < 1000 else 0
        return f"{value:.{digits}f}"

    return [cell(name, row[name]) for name in names]


def head(settings: Settings, versions: Iterable[str]) -> list[str]:
    """Lines that say where and how it was measured."""
    load = f"; load {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    allocator = os.path.basename(os.environ.get("LD_PRELOAD", ""))
    load += f"; LD_PRELOAD {allocator}" if allocator else ""
    clock = "" if settings.clock == "wall" else ", of processor time"
    return [
        f"{datetime.date.today()}; {processor.processor()}; {settings.threads} threads; Python "
        f"{platform.python_version()}{load}",
        "; ".join(dict.fromkeys(part for text in versions for part in text.split(", "))),
        f"medians of up to {settings.repeat} calls{clock}, in {min(TURNS, settings.repeat)} turns, after a warm-up of "
        f"up to {WARM_UP} calls; each subject in a process of its own",
    ]
