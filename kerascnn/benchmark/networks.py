"""Whole networks: each in every runtime, precision and batch size that is asked for, beside the others."""

import dataclasses
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from kerascnn import _check, applications
from kerascnn._errors import InputError
from kerascnn.benchmark import processes, runtimes, settings
from kerascnn.benchmark.answering import FAILED
from kerascnn.benchmark.processes import Ended
from kerascnn.benchmark.runtimes import RUNTIMES
from kerascnn.benchmark.settings import Settings
from kerascnn.benchmark.sides import Side, Timing, in_turns

WORKER = "kerascnn.benchmark.worker"
_TORCH_SCRIPT = processes.TOOLS / "bench_models_torch.py"


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is timed; checked when it is made. A combination that no runtime has is left out."""

    networks: tuple[str, ...]
    batches: tuple[int, ...] = (1, 8)
    precisions: tuple[str, ...] = ("float32",)
    runtimes: tuple[str, ...] = runtimes.DEFAULT
    steps: tuple[str, ...] = ("inference",)

    def __post_init__(self):
        for network in self.networks:
            applications.model_info(network)
        object.__setattr__(self, "batches", settings.batches(self.batches))
        for field, choices in (
            ("precision", runtimes.PRECISIONS),
            ("step", runtimes.STEPS),
            ("runtime", tuple(RUNTIMES)),
        ):
            given = getattr(self, f"{field}s")
            if not given:
                raise _check.refuse(field, f"at least one of {', '.join(choices)}", [])
            for value in given:
                _check.one_of(field, value, choices)
            object.__setattr__(self, f"{field}s", tuple(dict.fromkeys(given)))
        if not self.networks:
            raise InputError("At least one network must be named. Received: none")
        for name in self.runtimes:
            if not any(self.has(name, step, precision) for step in self.steps for precision in self.precisions):
                runtime = RUNTIMES[name]
                raise InputError(
                    f"The runtime {name} has {' and '.join(runtime.steps)} in {', '.join(runtime.precisions)}. "
                    f"Received: step={','.join(self.steps)}, precision={','.join(self.precisions)}"
                )

    @staticmethod
    def has(name: str, step: str, precision: str) -> bool:
        """Whether a runtime can be asked for a step in a precision."""
        return step in RUNTIMES[name].steps and precision in RUNTIMES[name].precisions

    def groups(self) -> list[tuple[str, int, str]]:
        """What is compared: (step, batch, precision), of each network; one with a runtime that has it."""
        return [
            (step, batch, precision)
            for step in self.steps
            for precision in self.precisions
            for batch in self.batches
            if any(self.has(name, step, precision) for name in self.runtimes)
        ]


def time_networks(
    networks: Sequence[str],
    *,
    batches: Sequence[int] = (1, 8),
    precisions: Sequence[str] = ("float32",),
    runtimes: Sequence[str] = runtimes.DEFAULT,
    steps: Sequence[str] = ("inference",),
    advance: Callable[[str], None] = lambda text: None,
    **options: Any,
) -> list[dict[str, Any]]:
    """Times networks with random weights, on the CPU.

    Each subject has a process of its own; those of one network, step, batch and precision are timed in turns. A forward
    pass is one call on a batch of noise; a training step is forward, softmax cross-entropy, backward and an update by
    SGD with momentum.

    Args:
        networks: names of `kerascnn.list_models()`.
        batches: images at a time.
        precisions: of "float32", "bfloat16", "float16" and "int8"; in memory, "bfloat16" is Keras' mixed_bfloat16.
        runtimes: keys of `benchmark.RUNTIMES`; the first that has figures is what ratios are to.
        steps: of "inference" and "train".
        advance: called with a text before each part of the work.
        **options: of `benchmark.Settings`: threads, repeat, clock, peers_python, image_size, channels, calibration,
            data_dir.

    Returns:
        A row for each subject, with "network", "step", "batch", "precision", "runtime", "ms" (the median), "ratio" (the
        median of those of the same turn), "images_per_s", "peak_mb" (of the whole process), "own_mb" (of that, what
        came after the runtime's own import), "parameters", "calls", "note" (why there are no figures, for one),
        "failed" and "versions".

    Raises:
        InputError: a value breaks its rule, or a runtime is not installed.

    Example:

        from kerascnn import benchmark

        rows = benchmark.time_networks(["lenet5"], batches=[1], runtimes=["keras", "stock"], repeat=5)
        {row["runtime"]: row["ms"] for row in rows}
    """
    chosen = Plan(tuple(networks), tuple(batches), tuple(precisions), tuple(runtimes), tuple(steps))
    return run(chosen, Settings(**options), advance)


def run(plan: Plan, how: Settings, advance: Callable[[str], None] = lambda text: None) -> list[dict[str, Any]]:
    """`time_networks` with its arguments checked; the same."""
    check(plan.runtimes, plan.precisions, how)
    rows = []
    for network in plan.networks:
        with tempfile.TemporaryDirectory() as scratch:
            advance(f"{network}: exports")
            written = write(network, plan.runtimes, plan.precisions, plan.steps, how, Path(scratch))
            for step, batch, precision in plan.groups():
                advance(f"{network}: {step}, batch {batch}, {precision}")
                rows += _group(network, step, batch, precision, plan, how, written)
    return rows


def check(names: tuple[str, ...], precisions: tuple[str, ...], how: Settings) -> None:
    """Refuses what cannot be timed here.

    Args:
        names: of runtimes.
        precisions: that are asked for.
        how: whether there are peers, and a calibration set.

    Raises:
        InputError: a runtime is not installed, or int8 has no calibration set, which all but the native export need.
    """
    runtimes.check(names, how.peers_python)
    needed = [name for name in names if "int8" in RUNTIMES[name].precisions] != ["native"]
    if "int8" in precisions and needed and how.calibration is None:
        raise InputError(
            "The precision int8 needs calibration, a data set that tells how large activations are. Received: none"
        )


def input_shape(network: str, how: Settings) -> list[int]:
    """Height, width and channels of the images that a network gets."""
    height, width, channels = applications.model_info(network).input_shape
    return [how.image_size or height, how.image_size or width, how.channels or channels]


def write(
    network: str, names: Iterable[str], precisions: Iterable[str], steps: Iterable[str], how: Settings, scratch: Path
) -> dict[tuple[str, str], tuple[Path | None, str]]:
    """Writes what the runtimes of kinds "export" and torch_onnx open.

    Args:
        network: its name.
        names: of runtimes.
        precisions: those that a runtime has count.
        steps: without inference nothing is written.
        how: images and peers.
        scratch: an empty folder.

    Returns:
        (runtime, precision) -> the file or folder, or None and why there is none.
    """
    wanted = {}
    for name in names if "inference" in steps else ():
        for precision in precisions:
            if RUNTIMES[name].kind == "export" and precision in RUNTIMES[name].precisions:
                options = {**RUNTIMES[name].options}
                options |= {"quantize": "int8"} if precision == "int8" else {"precision": precision}
                wanted[name, precision] = {
                    "folder": str(scratch / f"{name}-{precision}"), "options": options, "plain": name == "plain",
                }  # fmt: skip
    subject = {"kind": "write", "network": network, "shape": input_shape(network, how)}
    found = {}
    if wanted:
        exports = {"-".join(key): export for key, export in wanted.items()}
        subject |= {"calibration": how.calibration, "data_dir": how.data_dir, "exports": exports}
        refused = _refused(processes.own(WORKER), subject, exports)
        for key, export in wanted.items():
            found[key] = (None if "-".join(key) in refused else Path(export["folder"]), refused.get("-".join(key), ""))
    if "torch_onnx" in names and "inference" in steps and "float32" in precisions:
        file, key = scratch / "torch.onnx", "torch_onnx-float32"
        subject |= {"threads": how.threads, "precision": "float32", "file": str(file), "name": key}
        refused = _refused(processes.peer(how.peers_python or "", _TORCH_SCRIPT), subject, [key])
        found["torch_onnx", "float32"] = (None if refused else file, refused.get(key, ""))
    return found


def _refused(process: processes.Process, subject: dict[str, Any], names: Iterable[str]) -> dict[str, str]:
    """What the process could not write, and why."""
    try:
        answer = process.ask(subject)
    except Ended as error:
        answer = {"refused": f"{FAILED}: {error}"}
    finally:
        process.close()
    return dict.fromkeys(names, answer["refused"]) if "refused" in answer else answer["facts"]["refused"]


def _group(network, step, batch, precision, plan, how, written) -> list[dict[str, Any]]:
    """The rows of what is compared with each other."""
    sides, refused = [], {}
    names = [name for name in plan.runtimes if plan.has(name, step, precision)]
    for name in names:
        place, why = written.get((name, precision), (None, ""))
        if why:
            refused[name] = Timing(refused=why, failed=why.startswith(FAILED))
        else:
            sides.append(side(network, name, step, batch, precision, how, place))
    found = {**in_turns(sides, how.repeat, how.clock), **refused}
    base = next((found[name] for name in names if found[name].turns), None)
    key = {"network": network, "step": step, "batch": batch, "precision": precision}
    return [
        {
            **key, "runtime": name, **settings.figures(found[name], base, batch),
            "versions": found[name].facts.get("versions", ""),
        }
        for name in names
    ]  # fmt: skip


def side(
    network: str, name: str, step: str, batch: int, precision: str, how: Settings, place: Path | None = None
) -> Side:
    """A runtime as something to be timed.

    Args:
        network: its name.
        name: of the runtime.
        step: inference or train.
        batch: images at a time.
        precision: of weights and arithmetic.
        how: threads and images.
        place: what it opens, of `write`; None: nothing.
    """
    runtime = RUNTIMES[name]
    shape = input_shape(network, how)
    subject = {
        "kind": runtime.kind, "network": network, "runtime": name, "step": step, "batch": batch,
        "precision": precision, "shape": shape, "threads": how.threads, "options": dict(runtime.options),
    }  # fmt: skip
    if name == "torch_onnx":
        subject |= {"kind": "torch_file", "file": str(place), "shape": [shape[2], *shape[:2]]}
    elif runtime.kind == "torch":
        return Side(name, lambda: processes.peer(how.peers_python or "", _TORCH_SCRIPT, threads=how.threads), subject)
    elif runtime.kind == "export" and place is not None:
        subject |= export_of(name, place)
    return Side(name, lambda: processes.own(WORKER, runtime.environment(step)), subject)


def export_of(name: str, place: Path) -> dict[str, Any]:
    """The folder of an export that was just written, and its format."""
    if name == "plain":
        return {"folder": str(place), "format": "plain"}
    return {"folder": str(place / "1"), "format": name if name in runtimes.FILES else "saved_model"}
