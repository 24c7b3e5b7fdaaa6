"""Evaluations in other processes.

The engine is `concurrent.futures` of the standard library, and this is the only file that knows it: one pool of one
process for each worker, so that a crash ends one evaluation and no other.
"""

import collections
import concurrent.futures
import contextlib
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from kerascnn._errors import InputError
from kerascnn.search.protocol import Evaluator, Space
from kerascnn.search.records import CRASHED, OUT_OF_MEMORY, TIMEOUT, Proposal, Result
from kerascnn.search.workers import Workers, evaluate

_LOOK = 0.05  # seconds between two looks at the memory of workers


class Pool:
    """Evaluations in processes of their own.

    Args:
        workers: how many, and their limits.
        space, evaluator: as for `evaluate`; they are sent to each process once.

    Raises:
        InputError: they cannot be sent to a process, or it cannot begin.
    """

    def __init__(self, workers: Workers, space: Space, evaluator: Evaluator):
        self._workers, self._job = workers, (space, evaluator)
        self._tasks: collections.deque[tuple[Proposal, int]] = collections.deque()
        self._slots: list[_Slot] = []
        try:
            for _ in range(workers.count):
                self._slots.append(_Slot(*self._job))
            for slot in self._slots:
                slot.ready()
        except BaseException:
            self.close()
            raise

    def submit(self, proposal: Proposal, seed: int) -> None:
        """Takes a candidate; it begins as soon as a worker is free."""
        self._tasks.append((proposal, seed))
        self._assign()

    def _assign(self):
        for place, slot in enumerate(self._slots):
            if not self._tasks or slot.future is not None:
                continue
            fresh = not slot.broken and slot.done != self._workers.renew
            while not (fresh and slot.begin(*self._tasks[0])):  # a process may have been killed while it was idle
                slot.close()
                slot, fresh = _Slot(*self._job), True
                slot.ready()
                self._slots[place] = slot
            self._tasks.popleft()

    def wait(self, seconds: float | None = None) -> list[tuple[int, Result]]:
        """Waits for evaluations to end.

        Args:
            seconds: at most so long; None: until one has ended.

        Returns:
            (id, result) of those that have ended, perhaps none.

        Raises:
            InputError: a process that takes the place of another cannot begin.
        """
        until = None if seconds is None else time.monotonic() + seconds
        while True:
            busy = [slot for slot in self._slots if slot.future is not None]
            pause = self._pause(busy, until)
            concurrent.futures.wait([slot.future for slot in busy], pause, concurrent.futures.FIRST_COMPLETED)
            for slot in busy:
                self._limit(slot)
            ended = [slot.end() for slot in busy if slot.future.done()]
            self._assign()
            if ended or until is not None and time.monotonic() >= until:
                return ended

    def _pause(self, busy: list["_Slot"], until: float | None) -> float | None:
        ends = [] if until is None else [until]
        if self._workers.timeout is not None:
            ends += [slot.began + self._workers.timeout for slot in busy]
        now = time.monotonic()
        pauses = [max(0.0, end - now) for end in ends] + [_LOOK] * (self._workers.memory is not None)
        return min(pauses, default=None)

    def _limit(self, slot: "_Slot"):
        seconds, memory = self._workers.timeout, self._workers.memory
        if slot.future.done():
            return
        if seconds is not None and time.monotonic() - slot.began >= seconds:
            slot.kill(TIMEOUT, f"it took longer than {seconds:g} seconds")
        elif memory is not None and (used := _resident(slot.process)) > memory:
            slot.kill(OUT_OF_MEMORY, f"it had {used >> 20:,} MiB of memory, more than {memory >> 20:,}")

    def close(self) -> None:
        """Ends all processes, whatever they do."""
        self._tasks.clear()
        for slot in self._slots:
            slot.close()


class _Slot:
    """One process, in a pool of its own."""

    def __init__(self, space: Space, evaluator: Evaluator):
        context = multiprocessing.get_context("spawn")  # a fork would copy the threads' locks, TensorFlow's among them
        self._pool = concurrent.futures.ProcessPoolExecutor(1, context, _begin, (space, evaluator))
        self.future: concurrent.futures.Future | None = None
        self.process, self.done, self.broken, self.began = 0, 0, False, 0.0
        self._reason: tuple[str, str] | None = None
        try:
            self._first = self._pool.submit(os.getpid)
        except Exception as error:  # whatever cannot be pickled raises something else
            self._pool.shutdown()
            words = " ".join(str(error).split())[:200]
            rule = "The space and the evaluator must be such that processes can be given them: functions of a module"
            raise InputError(f"{rule}, no lambdas. Received: {words}") from error

    def ready(self) -> None:
        """Waits until the process has begun."""
        try:
            self.process = self._first.result()
        except BrokenProcessPool as error:
            rule = ("A worker must be able to import the evaluator; in a script, what begins the search stands under "
                    'if __name__ == "__main__"')  # fmt: skip
            raise InputError(f"{rule}. Received: a process that ended before it began") from error

    def begin(self, proposal: Proposal, seed: int) -> bool:
        """Begins an evaluation, and says whether there is a process to do it."""
        self._proposal, self._reason, self.began = proposal, None, time.monotonic()
        try:
            self.future = self._pool.submit(_work, proposal, seed)
        except BrokenProcessPool:
            return False
        return True

    def end(self) -> tuple[int, Result]:
        """(id, result) of the evaluation that has ended."""
        seconds, future, self.future = time.monotonic() - self.began, self.future, None
        self.done += 1
        try:
            return self._proposal.id, Result.from_json(future.result())
        except BrokenProcessPool:
            self.broken = True
            status, words = self._reason or (CRASHED, "its process ended")
            return self._proposal.id, Result(0.0, seconds=seconds, status=status, message=words)

    def kill(self, status: str, words: str) -> None:
        """Ends the process, for a reason, and waits until that has been noticed."""
        self._reason = status, words
        _kill(self.process)
        concurrent.futures.wait([self.future])

    def close(self) -> None:
        """Ends the process."""
        if self.future is not None and not self.future.done() and self.process:
            _kill(self.process)
        self._pool.shutdown(cancel_futures=True)


def _kill(process: int):
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, getattr(signal, "SIGKILL", signal.SIGTERM))


def _resident(process: int) -> int:
    """Bytes of memory that a process has; 0 of one that has ended."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


_JOB: list[Any] = []  # of a worker: space and evaluator


def _begin(space: Space, evaluator: Evaluator):
    """In a new process: keeps what it works with, leaves Ctrl-C to the driver, and ends when the driver does."""
    _JOB[:] = space, evaluator
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    driver = multiprocessing.parent_process()

    def watch():
        driver.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _work(proposal: Proposal, seed: int) -> dict[str, Any]:
    return evaluate(*_JOB, proposal, seed).to_json()
