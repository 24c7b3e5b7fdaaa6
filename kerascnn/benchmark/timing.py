"""Times the subjects of each case in turns, so that a slow minute of the machine hits all alike."""

import contextlib
import dataclasses
import functools
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import tensorflow as tf
from absl import logging

from kerascnn._errors import InputError
from kerascnn.benchmark import processes, subjects
from kerascnn.benchmark.answering import timed
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


class TorchPeer:
    """PyTorch and torchvision in a process of their own."""

    def __init__(self, python: str, script: Path, threads: int, dtype: str):
        self._process = processes.peer(python, script, ["--threads", str(threads), "--dtype", dtype])
        try:
            self.versions = self._process.read()["versions"]
        except (processes.Ended, KeyError) as error:
            self.close()
            raise InputError(f"peers_python must have torch and torchvision. Received: {python}") from error

    def time(self, case: Case, which: str, runs: int) -> list[float] | None:
        """Seconds of `runs` calls there; None where PyTorch has no such op or dtype."""
        question = {"case": dataclasses.asdict(case), "y": case.y, "which": which, "runs": runs, "limit": _SECONDS}
        try:
            answer = self._process.ask({**question, "copies": _COPIES, "fast": _FAST})
        except processes.Ended as error:
            raise InputError(f"The peers' process ended ({error}) while timing {case.name}") from error
        if "refused" in answer:
            logging.info("%s: PyTorch says %s", case.name, answer["refused"])
        return answer.get("seconds")

    def close(self) -> None:
        """Ends the process."""
        self._process.close()


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
        timers[name] = functools.partial(timed, call, limit=_SECONDS, copies=copies)
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
