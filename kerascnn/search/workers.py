"""How evaluations run: in processes of their own, with limits on time and memory, or in this one."""

import collections
import dataclasses
import time
from pathlib import Path
from typing import Protocol

from kerascnn import _check
from kerascnn.search.protocol import Evaluator, Space
from kerascnn.search.records import FAILED, OUT_OF_MEMORY, Proposal, Result, as_result


class Running(Protocol):
    """What evaluations are given to."""

    def submit(self, proposal: Proposal, seed: int) -> None:
        """Takes a candidate."""
        ...

    def wait(self, seconds: float | None = None) -> list[tuple[int, Result]]:
        """Waits until an evaluation has ended, at most so long; (id, result) of those that have."""
        ...

    def close(self) -> None:
        """Ends what has not ended."""
        ...


@dataclasses.dataclass(frozen=True)
class Workers:
    """How evaluations run.

    Args:
        count: processes at a time; 0: in this process, one after the other, without limits and without isolation.
        timeout: seconds that an evaluation may take, what a new process imports included.
        memory: bytes of resident memory that a process may have, TensorFlow's included. Needs Linux.
        renew: a process is replaced after so many evaluations.

    Raises:
        InputError: an argument is out of range, or a limit is given where there is no process of its own.
    """

    count: int = 1
    timeout: float | None = None
    memory: int | None = None
    renew: int | None = None

    def __post_init__(self):
        _check.whole("count", self.count, 0, 1000)
        for name in ("timeout", "memory", "renew"):
            value = getattr(self, name)
            if value is not None and not self.count:
                raise _check.refuse(name, "None without workers", value)
        if self.timeout is not None:
            _check.real("timeout", self.timeout, 0.0, above=True)
        if self.memory is not None:
            _check.whole("memory", self.memory, 1)
            if not Path("/proc/self/statm").exists():
                raise _check.refuse("memory", "None on systems without /proc", self.memory)
        if self.renew is not None:
            _check.whole("renew", self.renew, 1)

    def start(self, space: Space, evaluator: Evaluator) -> "Running":
        """Starts the processes.

        Args:
            space: decodes candidates.
            evaluator: evaluates them.

        Returns:
            What evaluations are given to; to be closed.

        Raises:
            InputError: they cannot be sent to a process, or it cannot begin.
        """
        if not self.count:
            return Here(space, evaluator)
        from kerascnn.search.executor import Pool

        return Pool(self, space, evaluator)


def evaluate(space: Space, evaluator: Evaluator, proposal: Proposal, seed: int) -> Result:
    """Evaluates one candidate; whatever is raised makes it one that failed.

    Args:
        space: decodes it.
        evaluator: evaluates it.
        proposal: the candidate and its budget.
        seed: of the evaluation.

    Returns:
        The result.
    """
    began = time.perf_counter()
    status = FAILED
    try:
        found = evaluator(space.decode(proposal.tokens), proposal.budget, seed)
        return as_result(found, time.perf_counter() - began)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: it is the candidate's end, not the search's
        if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":  # TensorFlow's
            status = OUT_OF_MEMORY
        words = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return Result(0.0, seconds=time.perf_counter() - began, status=status, message=words)


class Here:
    """Evaluations in this process.

    Args:
        space, evaluator: as for `evaluate`.
    """

    def __init__(self, space: Space, evaluator: Evaluator):
        self._space, self._evaluator = space, evaluator
        self._tasks: collections.deque[tuple[Proposal, int]] = collections.deque()

    def submit(self, proposal: Proposal, seed: int) -> None:
        """Takes a candidate."""
        self._tasks.append((proposal, seed))

    def wait(self, seconds: float | None = None) -> list[tuple[int, Result]]:
        """Evaluates the candidate that has waited longest; (id, result)."""
        proposal, seed = self._tasks.popleft()
        return [(proposal.id, evaluate(self._space, self._evaluator, proposal, seed))]

    def close(self) -> None:
        """Forgets what has not been evaluated."""
        self._tasks.clear()
