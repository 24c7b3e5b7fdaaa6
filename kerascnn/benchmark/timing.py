"""Times the subjects of each case in turns, so that a slow minute of the machine hits all alike."""

import contextlib
import dataclasses
import functools
import gc
import json
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import tensorflow as tf
from absl import logging

from kerascnn._errors import InputError
from kerascnn.benchmark import subjects
from kerascnn.benchmark.cases import PASSES, Case

_TURNS = 3  # of every subject, each after a call that does not count
_COPIES = 8  # of a fast op in one timed call, so that calling and waking threads count as they do in a network
_FAST = 0.02  # seconds
_SECONDS = 2.0  # after which a subject's turn ends, and with it the case for that subject, whatever `repeat` says


@dataclasses.dataclass(frozen=True)
class Result:
    """Median seconds of the subjects that ran, by name, for one pass of one case."""

    case: Case
    which: str
    seconds: dict[str, float]

    def ratio(self, peer: str) -> float | None:
        """kerascnn's time over the peer's; None where the peer has no such op."""
        return self.seconds["kerascnn"] / self.seconds[peer] if peer in self.seconds else None


def timed(call: Callable[[], object], runs: int, copies: int = 1) -> list[float]:
    """Times calls after one that does not count unless it takes seconds.

    Args:
        call: what to time; it ran before.
        runs: how often; fewer where they take longer than two seconds in all.
        copies: how often one call does what is timed.

    Returns:
        Seconds of each, divided by `copies`.
    """
    seconds = []
    gc.collect()
    gc.disable()  # as timeit does
    try:
        for _ in range(runs + 1):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
            if sum(seconds) > _SECONDS:
                break
    finally:
        gc.enable()
    return [value / copies for value in seconds[1:] or seconds]


class TorchPeer:
    """PyTorch and torchvision in a process of their own: they are never imported beside TensorFlow."""

    def __init__(self, python: str, script: Path, threads: int, dtype: str):
        if not script.is_file():
            raise InputError(f"Peers are timed from a checkout of kerascnn, with its tools/. Received: {script}")
        command = [python, str(script), "--threads", str(threads), "--dtype", dtype]
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        except OSError as error:
            raise InputError(
                f"peers_python must be a Python interpreter ({error.strerror}). Received: {python}"
            ) from error
        try:
            self.versions = self._answer()["versions"]
        except (ValueError, KeyError) as error:
            self.close()
            raise InputError(f"peers_python must have torch and torchvision. Received: {python}") from error

    def _answer(self) -> dict:
        return json.loads(self._process.stdout.readline())

    def time(self, case: Case, which: str, runs: int) -> list[float] | None:
        """Seconds of `runs` calls there; None where PyTorch has no such op or dtype."""
        question = {"case": dataclasses.asdict(case), "y": case.y, "which": which, "runs": runs, "limit": _SECONDS}
        question |= {"copies": _COPIES, "fast": _FAST}
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            answer = self._answer()
        except (OSError, ValueError) as error:
            raise InputError(f"The peers' process ended while timing {case.name}") from error
        if "refused" in answer:
            logging.info("%s: PyTorch says %s", case.name, answer["refused"])
        return answer.get("seconds")

    def close(self) -> None:
        """Ends the process."""
        with contextlib.suppress(OSError):  # it may be gone already
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def run(
    cases: Sequence[Case],
    *,
    dtype: str = "float32",
    repeat: int = 15,
    torch: TorchPeer | None = None,
    advance: Callable[[str], None] = lambda name: None,
) -> list[Result]:
    """Times every case.

    Args:
        cases: what `choose` gave.
        dtype: of all tensors.
        repeat: timed calls of each subject, in three turns.
        torch: the peers' process, or None.
        advance: called with the name of a case before it is timed.

    Returns:
        A result for each case and pass, in order.
    """
    results = []
    with _in_order():
        for case in cases:
            advance(case.name)
            if not subjects.exists(case):
                logging.warning("%s: this version of kerascnn has no such op", case.name)
                continue
            results += [Result(case, which, _time_case(case, which, dtype, repeat, torch)) for which in PASSES]
    if not results:
        raise InputError(f"This version of kerascnn has none of these ops. Received: {', '.join(c.op for c in cases)}")
    return results


@contextlib.contextmanager
def _in_order():
    """TensorFlow keeps control dependencies on ops without side effects, so that copies run one after the other."""
    before = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options({"dependency_optimization": False})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options(
            {"dependency_optimization": before.get("dependency_optimization", True)}
        )


def _time_case(case: Case, which: str, dtype: str, repeat: int, torch: TorchPeer | None) -> dict[str, float]:
    timers = {}
    for name, function in subjects.functions(case).items():
        try:
            copies, call = 1, subjects.prepare(function, case.inputs, dtype, which)
            call()
            if min(timed(call, 1)) < _FAST:
                copies, call = _COPIES, subjects.prepare(function, case.inputs, dtype, which, _COPIES)
                call()
        except (tf.errors.OpError, ValueError, TypeError) as error:
            if name == "kerascnn":
                raise
            logging.info("%s: %s says %s", case.name, name, str(error)[:200])
            continue
        timers[name] = functools.partial(timed, call, copies=copies)
    if torch is not None:
        timers["torch"] = functools.partial(torch.time, case, which)
    turns = min(_TURNS, repeat)
    seconds: dict[str, list[float]] = {name: [] for name in timers}
    for turn in range(turns):
        runs = repeat // turns + (turn < repeat % turns)
        for name, timer in timers.items():
            if sum(seconds[name]) < _SECONDS:
                seconds[name] += timer(runs) or []
    return {name: statistics.median(values) for name, values in seconds.items() if values}
