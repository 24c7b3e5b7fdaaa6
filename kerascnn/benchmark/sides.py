"""Processes that are timed in turns, so that a slow minute of the machine hits all alike."""

import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kerascnn.benchmark.processes import Ended, Process

TURNS = 5  # of every side, each after a call that does not count
LIMIT = 5.0  # seconds of a turn, whatever `repeat` says
_ENOUGH = 30.0  # seconds of a side, after which it has no further turns


@dataclasses.dataclass(frozen=True)
class Side:
    """One of the things that are compared."""

    name: str
    start: Callable[[], Process]
    subject: Mapping[str, Any]  # what its process is told


@dataclasses.dataclass
class Timing:
    """What was found out about a side."""

    turns: list[list[float]] = dataclasses.field(default_factory=list)  # seconds of the calls of each turn
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)  # what its process tells of itself
    peak: int = 0  # bytes, the most that the process held
    refused: str = ""  # why there are no figures
    failed: bool = False  # it was no refusal: the process ended

    @property
    def seconds(self) -> float | None:
        """The median of all calls."""
        calls = [value for turn in self.turns for value in turn]
        return statistics.median(calls) if calls else None

    def ratio(self, base: "Timing") -> float | None:
        """Time over another side's: the median, over the turns of both, of one median over the other."""
        ratios = [
            statistics.median(mine) / statistics.median(other)
            for mine, other in zip(self.turns, base.turns, strict=False)
        ]
        return statistics.median(ratios) if ratios else None


def in_turns(sides: Sequence[Side], repeat: int, clock: str = "wall") -> dict[str, Timing]:
    """Starts a process for each side, warms it up, and times all in turns.

    Args:
        sides: of different names. All processes live at the same time, and all but one wait.
        repeat: timed calls of each, spread over the turns.
        clock: one of `answering.CLOCKS`.

    Returns:
        By name, in order.
    """
    found = {side.name: Timing() for side in sides}
    processes: dict[str, Process] = {}
    try:
        for side in sides:
            processes[side.name] = process = side.start()
            _tell(found[side.name], process, {**side.subject, "clock": clock, "limit": LIMIT})
        turns = min(TURNS, repeat)
        for turn in range(turns):
            runs = repeat // turns + (turn < repeat % turns)
            for name, timing in found.items():
                spent = sum(sum(calls) for calls in timing.turns)
                if not timing.refused and spent < _ENOUGH:
                    _turn(timing, processes[name], runs)
    finally:
        for process in processes.values():
            process.close()
    return found


def _tell(timing: Timing, process: Process, subject: Mapping[str, Any]) -> None:
    try:
        answer = process.ask(subject)
    except Ended as error:
        timing.refused, timing.failed = str(error), True
        return
    timing.facts, timing.refused = answer.get("facts", {}), answer.get("refused", "")


def _turn(timing: Timing, process: Process, runs: int) -> None:
    try:
        answer = process.ask({"runs": runs})
    except Ended as error:
        timing.turns, timing.refused, timing.failed = [], str(error), True
        return
    timing.turns.append(answer["seconds"])
    timing.peak = max(timing.peak, answer["peak"])
