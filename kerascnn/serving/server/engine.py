"""What REST and gRPC share: admission, limits, batches, threads. All methods are called in one event loop."""

import asyncio
import concurrent.futures
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

from kerascnn.serving.server import joining, pixels
from kerascnn.serving.server.batching import Batcher
from kerascnn.serving.server.batching_parameters import BatchingParameters, cores
from kerascnn.serving.server.limits import Limits
from kerascnn.serving.server.model import Version
from kerascnn.serving.server.models import Models
from kerascnn.serving.server.signatures import Signature
from kerascnn.serving.server.status import Refusal

Value = TypeVar("Value")


class Engine:
    """Computes requests on the models of a server.

    Args:
        models: whose versions answer.
        limits: of requests.
        batching: how requests are joined; None: each is computed alone, in as many threads as there are cores.
        observe: called with the number of rows of each batch.
    """

    def __init__(
        self,
        models: Models,
        limits: Limits | None = None,
        batching: BatchingParameters | None = None,
        observe: Callable[[int], None] = lambda rows: None,
    ):
        self.models, self.limits = models, limits or Limits()
        self.batcher = Batcher(batching, observe) if batching else None
        self._threads = concurrent.futures.ThreadPoolExecutor(cores(), "kerascnn-compute")
        self._parsing = concurrent.futures.ThreadPoolExecutor(1, "kerascnn-parse")
        self.active = 0  # requests that were accepted and not answered yet
        self.ending = False
        self._idle = asyncio.Event()
        self._idle.set()

    @contextlib.asynccontextmanager
    async def admitted(self) -> AsyncIterator[None]:
        """The time of one request, from before its body is read.

        Raises:
            Refusal: there are too many, or the server ends.
        """
        if self.ending:
            raise Refusal("UNAVAILABLE", "The server ends")
        if self.active >= self.limits.max_requests:
            told = f"The server takes at most {self.limits.max_requests} requests at a time"
            raise Refusal("RESOURCE_EXHAUSTED", told)
        self.active += 1
        self._idle.clear()
        try:
            yield
        finally:
            self.active -= 1
            if not self.active:
                self._idle.set()

    async def drained(self, seconds: float) -> bool:
        """Waits until the last request is answered.

        Args:
            seconds: at most.

        Returns:
            Whether none is left.
        """
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._idle.wait(), seconds)
        return not self.active

    async def apart(self, function: Callable[..., Value], *arguments: Any) -> Value:
        """Calls a function in a thread, so that reading a large body stops nobody else."""
        return await asyncio.get_running_loop().run_in_executor(self._parsing, function, *arguments)

    async def run(
        self, version: Version, signature: Signature, arrays: Mapping[str, np.ndarray], outputs: Iterable[str] = ()
    ) -> dict[str, np.ndarray]:
        """Computes a signature of a leased version.

        Args:
            version: leased; it stays until the computation has ended, also when this call is cancelled.
            signature: of the version.
            arrays: its inputs.
            outputs: the names of those that are wanted; empty for all.

        Returns:
            The outputs by name.

        Raises:
            Refusal: the inputs do not fit, an image is too large, too many requests wait, or the graph fails.
        """
        names = signature.chosen(outputs)
        signature.check(arrays)
        for array in arrays.values():
            if array.dtype == object:
                pixels.check(array.reshape(-1).tolist(), self.limits.max_pixels)
        run = version.servable.run
        self.models.retain(version)
        if self.batcher is not None and signature.batches and joining.rows(arrays) is not None:
            shapes = tuple((name, array.dtype.str, array.shape[1:]) for name, array in sorted(arrays.items()))
            answer = await self.batcher.submit(
                (id(version), signature.name, shapes),
                lambda joined: run(signature.name, joined),
                arrays,
                lambda: self.models.release(version),
            )
            return {name: answer[name] for name in names}
        future = self._threads.submit(run, signature.name, arrays, names)
        future.add_done_callback(lambda _: self.models.release(version))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Ends the threads."""
        for threads in (self._threads, self._parsing):
            threads.shutdown(wait=False, cancel_futures=True)
        if self.batcher is not None:
            self.batcher.close()
