"""Evaluations on other machines, by an executor that a cluster offers."""

import dataclasses
import queue
from typing import Any

from kerascnn import _check
from kerascnn.search.protocol import Evaluator, Space
from kerascnn.search.records import CRASHED, Proposal, Result
from kerascnn.search.workers import evaluate


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Evaluations wherever an executor runs them: `dask.distributed.Client("address:8786").get_executor()`, or that of
    mpi4py or loky. Its limits on time and memory are the cluster's own.

    Args:
        executor: an object like those of `concurrent.futures`; it is not shut down.
        count: how many evaluations run at a time.

    Raises:
        InputError: it is no executor, or `count` is less than 1.
    """

    executor: Any
    count: int

    def __post_init__(self):
        if not callable(getattr(self.executor, "submit", None)):
            raise _check.refuse("executor", "like those of concurrent.futures", self.executor)
        _check.whole("count", self.count, 1)

    def start(self, space: Space, evaluator: Evaluator) -> "Lent":
        """What evaluations are given to.

        Args:
            space: decodes candidates.
            evaluator: evaluates them.

        Returns:
            It, to be closed.
        """
        return Lent(self.executor, space, evaluator)


class Lent:
    """Evaluations by an executor that is not ours.

    Args:
        executor: runs them.
        space, evaluator: are sent along with each.
    """

    def __init__(self, executor: Any, space: Space, evaluator: Evaluator):
        self._executor, self._job = executor, (space, evaluator)
        self._open: dict[Any, int] = {}  # future -> id
        self._ended: queue.SimpleQueue = queue.SimpleQueue()

    def submit(self, proposal: Proposal, seed: int) -> None:
        """Takes a candidate."""
        future = self._executor.submit(evaluate, *self._job, proposal, seed)
        self._open[future] = proposal.id
        future.add_done_callback(self._ended.put)

    def wait(self, seconds: float | None = None) -> list[tuple[int, Result]]:
        """Waits until an evaluation has ended, at most so long; (id, result) of those that have."""
        found = []
        try:
            while True:
                future = self._ended.get(timeout=0 if found else seconds)
                found.append((self._open.pop(future), _result(future)))
        except queue.Empty:
            return found

    def close(self) -> None:
        """Gives up what has not begun."""
        for future in list(self._open):
            future.cancel()
        self._open.clear()


def _result(future: Any) -> Result:
    try:
        return future.result()
    except Exception as error:  # what the cluster says of a worker that was lost
        words = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        return Result(0.0, status=CRASHED, message=words)
