"""Requests wait for others of their kind, and are computed together in a few threads.

All methods are called in the event loop, which is the lock.

Source: tensorflow/tensorflow, core/kernels/batching_util/shared_batch_scheduler.h. Departure: a full queue is
RESOURCE_EXHAUSTED, which HTTP calls 429, where TensorFlow Serving says UNAVAILABLE.
"""

import asyncio
import concurrent.futures
import dataclasses
import functools
from collections import deque
from collections.abc import Callable, Hashable

from kerascnn.serving.server import joining
from kerascnn.serving.server.batching_parameters import BatchingParameters
from kerascnn.serving.server.joining import Arrays
from kerascnn.serving.server.status import Refusal, invalid

_EARLY = 1e-4  # seconds by which a timer may fire too soon


@dataclasses.dataclass(eq=False)
class _Member:
    arrays: Arrays
    answer: asyncio.Future
    release: Callable[[], None]  # called once nothing computes with the model any more


@dataclasses.dataclass(eq=False)
class _Batch:
    run: Callable[[Arrays], Arrays]
    due: float  # the loop's time from which it is computed though not full
    size: int = 0
    members: list[_Member] = dataclasses.field(default_factory=list)


class Batcher:
    """Joins requests.

    Args:
        parameters: when requests are joined.
        observe: called with the number of rows of each batch.
    """

    def __init__(self, parameters: BatchingParameters, observe: Callable[[int], None] = lambda rows: None):
        self.parameters = parameters
        self._observe = observe
        self._threads = concurrent.futures.ThreadPoolExecutor(parameters.num_batch_threads, "kerascnn-batch")
        self._idle = parameters.num_batch_threads
        self._queues: dict[Hashable, deque[_Batch]] = {}
        self._closed = False

    async def submit(
        self, key: Hashable, run: Callable[[Arrays], Arrays], arrays: Arrays, release: Callable[[], None]
    ) -> Arrays:
        """Computes a request, with others or alone.

        Args:
            key: of requests that can be joined.
            run: computes a batch.
            arrays: the inputs, all with the same first dimension.
            release: called once the computation has ended, also when the caller was cancelled before.

        Returns:
            The outputs.

        Raises:
            Refusal: there are more rows than a batch has, or too many requests wait; or what `run` raises.
        """
        size, most = joining.rows(arrays), self.parameters.max_batch_size
        if size is None or size > most:
            release()
            raise invalid(f"Task size {size} is larger than maximum batch size {most}")
        loop = asyncio.get_running_loop()
        queue = self._queues.setdefault(key, deque())
        if not queue or queue[-1].size + size > most:
            if len(queue) >= self.parameters.max_enqueued_batches:
                release()
                raise Refusal(
                    "RESOURCE_EXHAUSTED", "The batch scheduling queue to which this task was submitted is full"
                )
            due = loop.time() + self.parameters.batch_timeout_micros / 1e6
            queue.append(_Batch(run, due))
            loop.call_at(due, self._pump)
        member = _Member(arrays, loop.create_future(), release)
        queue[-1].members.append(member)
        queue[-1].size += size
        self._pump()
        return await member.answer

    @property
    def waiting(self) -> int:
        """Batches that wait."""
        return sum(map(len, self._queues.values()))

    def close(self) -> None:
        """Ends the threads; batches that are being computed finish."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _pump(self) -> None:
        """Gives batches to idle threads."""
        loop = asyncio.get_running_loop()
        while self._idle and not self._closed and (batch := self._next(loop.time())) is not None:
            members = [member for member in batch.members if not member.answer.done()]
            for member in batch.members:
                if member.answer.done():  # its client has gone, or its time is over
                    member.release()
            if not members:
                continue
            self._idle -= 1
            requests = [member.arrays for member in members]
            self._observe(sum(map(joining.rows, requests)))
            work = (joining.compute, batch.run, requests, self.parameters.padded)
            future = loop.run_in_executor(self._threads, *work)
            future.add_done_callback(functools.partial(self._finish, members))

    def _next(self, now: float) -> _Batch | None:
        """The first batch that is full or due, of the queue that has waited longest for its turn."""
        for key, queue in list(self._queues.items()):
            first = queue[0]
            if first.size >= self.parameters.max_batch_size or len(queue) > 1 or now >= first.due - _EARLY:
                queue.popleft()
                del self._queues[key]
                if queue:
                    self._queues[key] = queue  # at the end: the others' turn
                return first
        return None

    def _finish(self, members: list[_Member], future: asyncio.Future) -> None:
        self._idle += 1
        failed = future.exception() if not future.cancelled() else Refusal("UNAVAILABLE", "The server ends")
        answers = [failed] * len(members) if failed else future.result()
        for member, answer in zip(members, answers, strict=True):
            member.release()
            if member.answer.done():
                continue
            if isinstance(answer, BaseException):
                member.answer.set_exception(answer)
            else:
                member.answer.set_result(answer)
        self._pump()
