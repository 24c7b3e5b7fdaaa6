"""Exported networks beside each other: the formats and precisions of folders, or of networks that are exported anew."""

import dataclasses
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kerascnn import applications
from kerascnn._errors import InputError
from kerascnn.benchmark import files, networks, processes, runtimes, settings
from kerascnn.benchmark.answering import FAILED
from kerascnn.benchmark.runtimes import RUNTIMES
from kerascnn.benchmark.settings import Settings
from kerascnn.benchmark.sides import Side, Timing, in_turns

FORMATS = tuple(name for name, runtime in RUNTIMES.items() if runtime.kind == "export")
DEFAULT = ("stock", "native")


@dataclasses.dataclass(frozen=True)
class Export:
    """A folder that is timed."""

    name: str  # as it was given, or of the network
    format: str  # a key of RUNTIMES; "saved_model" until its process says whether that is stock or native
    precision: str  # "" until its process says it
    folder: Path | None  # of the version; None: it could not be written
    reason: str = ""  # why not

    @property
    def subject(self) -> dict[str, Any]:
        """What its process is told."""
        kind = self.format if self.format in (*runtimes.FILES, "plain") else "saved_model"
        return {"kind": "export", "folder": str(self.folder), "format": kind}


def time_exports(
    exports: Sequence[str | os.PathLike],
    *,
    batches: Sequence[int] = (1, 8),
    precisions: Sequence[str] = ("float32",),
    formats: Sequence[str] = DEFAULT,
    advance: Callable[[str], None] = lambda text: None,
    **options: Any,
) -> list[dict[str, Any]]:
    """Times exported networks side by side, on the CPU, each in a process of its own.

    Args:
        exports: folders that `kerascnn.serving.export` has written, of any format; or names of networks, which are
            exported for this with random weights.
        batches: images at a time.
        precisions: of networks that are named: "float32", "bfloat16", "float16", "int8", where a format has it.
        formats: of networks that are named: of "plain", "stock", "native", "onnx", "litert", "openvino".
        advance: called with a text before each part of the work.
        **options: of `benchmark.Settings`.

    Returns:
        A row for each export and batch, with "export", "format", "precision", "batch", and the figures of
        `time_networks`; ratios are to the first export that has figures.

    Raises:
        InputError: a value breaks its rule, there is no such export or network, or a runtime is not installed.

    Example:

        from kerascnn import benchmark

        rows = benchmark.time_exports(["lenet5"], batches=[1], formats=["stock"], repeat=5)
        rows[0]["ms"]
    """
    how, sizes = Settings(**options), settings.batches(batches)
    with tempfile.TemporaryDirectory() as scratch:
        found = gather(exports, tuple(precisions), tuple(formats), how, Path(scratch), advance)
        return run(found, sizes, how, advance)


def gather(
    words: Sequence[str | os.PathLike],
    precisions: tuple[str, ...],
    formats: tuple[str, ...],
    how: Settings,
    scratch: Path,
    advance: Callable[[str], None],
) -> list[Export]:
    """The exports that words stand for; those of networks are written.

    Args:
        words: folders, or names of networks.
        precisions: of networks.
        formats: of networks.
        how: peers and calibration.
        scratch: an empty folder.
        advance: called before a network is exported.

    Returns:
        At least one.

    Raises:
        InputError: as for `time_exports`.
    """
    words = list(dict.fromkeys(words))
    if not words:
        raise InputError("At least one export or network must be named. Received: none")
    folders, plans = {}, {}
    for word in words:  # all are looked at before anything is written
        if os.path.isdir(word):
            folders[word] = files.locate(word)
        elif str(word) in applications.list_models():
            plans[word] = networks.Plan((str(word),), precisions=precisions, runtimes=formats)
        else:
            raise InputError(f"An export must be a folder of kerascnn export or a network's name. Received: {word}")
    if plans:
        wrong = [name for name in formats if name not in FORMATS]
        if wrong:
            raise InputError(f"What is exported must be one of {', '.join(FORMATS)}. Received: {wrong[0]}")
        networks.check(formats, precisions, how)
    found = []
    for number, word in enumerate(words):
        if word in folders:
            folder, name = folders[word]
            found.append(Export(str(word), name, "", folder))
            continue
        advance(f"{word}: exports")
        place = scratch / str(number)
        written = networks.write(str(word), plans[word].runtimes, plans[word].precisions, ("inference",), how, place)
        for (name, precision), (path, why) in written.items():
            folder = None if path is None else Path(networks.export_of(name, path)["folder"])
            found.append(Export(str(word), name, precision, folder, why))
    return found


def run(
    exports: Sequence[Export], batches: Sequence[int], how: Settings, advance: Callable[[str], None]
) -> list[dict[str, Any]]:
    """The rows of `time_exports`."""
    rows = []
    for batch in batches:
        advance(f"batch {batch}")
        sides = [
            Side(
                str(number),
                _start,
                {**export.subject, "batch": batch, "threads": how.threads, "runtime": export.format},
            )
            for number, export in enumerate(exports)
            if export.folder is not None
        ]
        timings = in_turns(sides, how.repeat, how.clock)
        found = [timings.get(str(number)) or _unwritten(export) for number, export in enumerate(exports)]
        base = next((timing for timing in found if timing.turns), None)
        for export, timing in zip(exports, found, strict=True):
            known = export.format != "saved_model"
            format = export.format if known else timing.facts.get("format", export.format)
            rows.append({
                "export": export.name, "format": format, "precision": export.precision or timing.facts.get("precision"),
                "batch": batch, **settings.figures(timing, base, batch), "versions": timing.facts.get("versions", ""),
            })  # fmt: skip
    return rows


def _unwritten(export: Export) -> Timing:
    return Timing(refused=export.reason, failed=export.reason.startswith(FAILED))


def _start() -> processes.Process:
    return processes.own(networks.WORKER)
