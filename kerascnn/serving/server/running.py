"""A server from its start to its end: ports, signals, and requests that finish before it goes."""

import asyncio
import contextlib
import signal
from collections.abc import Callable

from aiohttp import web

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.serving.server.batching_parameters import BatchingParameters
from kerascnn.serving.server.engine import Engine
from kerascnn.serving.server.grpc import Grpc
from kerascnn.serving.server.limits import Limits
from kerascnn.serving.server.models import Models
from kerascnn.serving.server.observing import LOG, Metrics
from kerascnn.serving.server.rest import Rest

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Server:
    """A server in an event loop.

    Args:
        models: not started yet.
        limits: of requests; None: the defaults.
        batching: how requests are joined; None: not.
        host: the address to listen at.
        port: of the REST interface; 0: any free one.
        grpc_port: of gRPC; 0: any free one; None: no gRPC.

    Raises:
        InputError: a port is no port.
    """

    def __init__(
        self,
        models: Models,
        limits: Limits | None = None,
        batching: BatchingParameters | None = None,
        host: str = "127.0.0.1",
        port: int = 8501,
        grpc_port: int | None = 8500,
    ):
        self._models, self._limits, self._batching = models, limits or Limits(), batching
        self.quiet = True  # after the end: whether no thread computes or loads any more
        self.host, self.port = host, _check.whole("port", port, 0, 65_535)
        self.grpc_port = None if grpc_port is None else _check.whole("grpc_port", grpc_port, 0, 65_535)

    async def start(self) -> None:
        """Listens, and begins to load the models; `port` and `grpc_port` are then the ones in use.

        Raises:
            InputError: a port cannot be had.
        """
        self.metrics = Metrics(self._models, lambda: self.engine.active, self._waiting)
        self.engine = Engine(self._models, self._limits, self._batching, self.metrics.batch)
        self._runner = web.AppRunner(
            Rest(self.engine, self.metrics).application(), access_log=None, shutdown_timeout=1.0
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise _taken("port", self.host, self.port, error.strerror or str(error)) from error
        self.port = self._runner.addresses[0][1]
        self._grpc = None
        if self.grpc_port is not None:
            self._grpc = Grpc(self.engine, self.metrics).server()
            address = f"[{self.host}]" if ":" in self.host else self.host
            try:
                self.grpc_port = self._grpc.add_insecure_port(f"{address}:{self.grpc_port}")
            except RuntimeError as error:
                await self._runner.cleanup()
                raise _taken("grpc_port", self.host, self.grpc_port, "it is in use, or not ours") from error
            await self._grpc.start()
        self._models.start()
        LOG.info("listening", extra={"host": self.host, "port": self.port, "grpc_port": self.grpc_port})

    def _waiting(self) -> int:
        return self.engine.batcher.waiting if self.engine.batcher else 0

    async def stop(self) -> bool:
        """Takes no new requests, waits for the others, and ends.

        Returns:
            Whether all requests were answered within the limit `grace`.
        """
        self.engine.ending = True
        LOG.info("ending", extra={"active": self.engine.active})
        for site in list(self._runner.sites):
            await site.stop()
        drained = await self.engine.drained(self._limits.grace)
        if self._grpc is not None:
            await self._grpc.stop(1.0)
        await self._runner.cleanup()
        self.engine.close()
        watching = asyncio.get_running_loop().run_in_executor(None, self._models.stop, self._limits.grace)
        self.quiet = drained and await watching
        LOG.info("ended", extra={"drained": drained})
        return drained


def run(server: Server, announce: Callable[[Server], None] = lambda server: None) -> bool:
    """Runs a server until SIGTERM or SIGINT; a second signal ends the process at once.

    Args:
        server: not started yet.
        announce: called once it listens.

    Returns:
        Whether all requests were answered.

    Raises:
        InputError: a port cannot be had.
    """

    async def main() -> bool:
        await server.start()
        announce(server)
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def end() -> None:
            ended.set()
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

        for number in _SIGNALS:
            with contextlib.suppress(NotImplementedError):  # Windows
                loop.add_signal_handler(number, end)
        await ended.wait()
        return await server.stop()

    return asyncio.run(main())


def _taken(name: str, host: str, port: int, reason: str) -> InputError:
    return InputError(f"The server must be able to listen ({reason}). Received: host={host}, {name}={port}")
