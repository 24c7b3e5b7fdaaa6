"""Exports behind `kerascnn serve`: requests a second, and how long each takes, over REST and gRPC."""

import contextlib
import dataclasses
import functools
import importlib.util
import io
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.benchmark import processes
from kerascnn.benchmark.exports import Export
from kerascnn.benchmark.runtimes import FILES
from kerascnn.benchmark.settings import Settings
from kerascnn.serving.client import Client, Retries, ServerError

PROTOCOLS = ("rest", "grpc")
_NEEDED = ("aiohttp", "grpc", "prometheus_client")  # modules of the extra `serve`
_TURNS, _WARM_UP = 3, 5
_MODEL = "network"  # what every server calls its model
_SIZE = 224  # pixels of the side of the image that is sent


@dataclasses.dataclass(frozen=True)
class Load:
    """How servers are asked; checked when it is made."""

    protocols: tuple[str, ...] = PROTOCOLS
    clients: int = 8  # each sends its next request when it has the answer to the last
    seconds: float = 10.0  # for each server and protocol, in three turns
    batching: bool = False  # compute waiting requests together

    def __post_init__(self):
        if not self.protocols:
            raise _check.refuse("server", f"at least one of {', '.join(PROTOCOLS)}", [])
        for protocol in self.protocols:
            _check.one_of("server", protocol, PROTOCOLS)
        _check.whole("clients", self.clients, 1, 4096)
        _check.real("seconds", self.seconds, 0.0, 86_400.0, above=True)
        _check.flag("batching", self.batching)
        absent = [module for module in _NEEDED if importlib.util.find_spec(module) is None]
        if absent:
            raise InputError(f'A server needs pip install "kerascnn[serve]". Received: no {", ".join(absent)}')


@dataclasses.dataclass
class _Asked:
    """What came of one server and protocol."""

    latencies: list[float] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    errors: int = 0
    last: str = ""  # the last error
    failed: bool = False


def time_servers(
    exports: Sequence[Export], load: Load, how: Settings, advance: Callable[[str], None] = lambda text: None
) -> list[dict[str, Any]]:
    """Starts a server for each export, and asks all in turns for the classes of a JPEG file.

    Args:
        exports: of `exports.gather`; those that are no SavedModels cannot be served, and are passed over.
        load: protocols, clients and seconds.
        how: threads of TensorFlow.
        advance: called with a text before each part of the work.

    Returns:
        A row for each export and protocol, with "export", "format", "precision", "protocol", "clients", "requests",
        "requests_per_s", "p50_ms", "p99_ms", "errors" (requests that were refused, or whose answer was lost) and
        "note"; "failed" where the server did not begin.

    Raises:
        InputError: no export is a SavedModel.
    """
    served = [export for export in exports if export.folder is not None and export.format not in (*FILES, "plain")]
    if not served:
        kinds = ", ".join(export.format for export in exports)
        raise InputError(f"kerascnn serve needs a SavedModel of kerascnn. Received: {kinds}")
    body, found = jpeg(), {}
    with contextlib.ExitStack() as stack:
        addresses = []
        for export in served:
            advance(f"server of {export.name}")
            try:
                addresses.append(stack.enter_context(_server(export, load, how)))
            except (ServerError, processes.Ended) as error:
                addresses.append(str(error))
        for turn in range(_TURNS):
            for number, address in enumerate(addresses):
                for protocol in load.protocols:
                    asked = found.setdefault((number, protocol), _Asked())
                    if isinstance(address, str):
                        asked.last, asked.failed = address, True
                        continue
                    advance(f"{served[number].name}: {protocol}, turn {turn + 1} of {_TURNS}")
                    _ask(asked, functools.partial(_client, protocol, address), body, load, warm=turn == 0)
    return [_row(served[number], protocol, asked, load) for (number, protocol), asked in found.items()]


def jpeg() -> bytes:
    """A file to be classified: noise on a slope, in gray, which a network for colors and one for gray take."""
    slope = np.linspace(0, 191, _SIZE * _SIZE).reshape(_SIZE, _SIZE)
    pixels = slope + np.random.default_rng(0).integers(0, 64, slope.shape)
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


@contextlib.contextmanager
def _server(export: Export, load: Load, how: Settings) -> Iterator[dict[str, str]]:
    """A running server; yields its addresses by protocol, once the model answers."""
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile() as errors:
        versions = Path(scratch) / _MODEL
        versions.mkdir()
        (versions / "1").symlink_to(Path(export.folder or "").resolve(), target_is_directory=True)
        command = [sys.executable, "-m", "kerascnn", "serve", f"{_MODEL}={versions}", "--port=0", "--grpc_port=0"]
        command += ["--log=error", *(["--batching"] if load.batching else [])]
        environment = {**os.environ, **processes.own_environment(), "TF_NUM_INTRAOP_THREADS": str(how.threads)}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
        try:
            addresses = {}
            for line in process.stdout or ():
                name, _, value = line.strip().partition(": ")
                if name == "REST":
                    addresses["rest"] = value.partition("/v1/")[0]
                elif name == "gRPC":
                    addresses["grpc"] = value
                elif name == "Page":
                    break
            if "grpc" not in addresses:
                process.wait()
                errors.seek(0)
                lines = errors.read().decode(errors="replace").strip().splitlines()
                raise processes.Ended(lines[-1] if lines else "the server said nothing")
            with _client("rest", addresses) as client:
                client.wait_until_ready(600.0)
            yield addresses
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _client(protocol: str, addresses: dict[str, str]) -> Any:
    once = Retries(attempts=1)  # a refusal counts
    if protocol == "rest":
        return Client(addresses["rest"], _MODEL, timeout=60.0, retries=once)
    from kerascnn.serving.client import GrpcClient

    return GrpcClient(addresses["grpc"], _MODEL, timeout=60.0, retries=once)


def _ask(asked: _Asked, connect: Callable[[], Any], body: bytes, load: Load, warm: bool) -> None:
    """One turn of all clients."""
    seconds, ends = load.seconds / _TURNS, [0.0]

    def start_clock() -> None:
        ends[0] = time.perf_counter() + seconds

    lock, begin = threading.Lock(), threading.Barrier(load.clients + 1, start_clock)

    def work() -> None:
        latencies, errors, last = [], 0, ""
        with connect() as client:
            for _ in range(_WARM_UP if warm else 1):
                with contextlib.suppress(InputError):
                    client.classify([body])
            begin.wait()
            while (start := time.perf_counter()) < ends[0]:
                try:
                    client.classify([body])
                    latencies.append(time.perf_counter() - start)
                except InputError as error:
                    errors, last = errors + 1, str(error)
        with lock:
            asked.latencies += latencies
            asked.errors += errors
            asked.last = last or asked.last

    threads = [threading.Thread(target=work) for _ in range(load.clients)]
    for thread in threads:
        thread.start()
    begin.wait()
    for thread in threads:
        thread.join()
    asked.seconds += time.perf_counter() - (ends[0] - seconds)


def _row(export: Export, protocol: str, asked: _Asked, load: Load) -> dict[str, Any]:
    milliseconds = sorted(1e3 * value for value in asked.latencies)
    return {
        "export": export.name,
        "format": export.format,
        "precision": export.precision,
        "protocol": protocol,
        "clients": load.clients,
        "requests": len(milliseconds),
        "requests_per_s": len(milliseconds) / asked.seconds if milliseconds else None,
        "p50_ms": percentile(milliseconds, 50),
        "p99_ms": percentile(milliseconds, 99),
        "errors": asked.errors,
        "note": asked.last,
        "failed": asked.failed,
    }


def percentile(values: Sequence[float], percent: int) -> float | None:
    """The value that `percent` of a hundred do not exceed, between neighbors; None of nothing.

    Args:
        values: sorted.
        percent: from 1 to 99.
    """
    if len(values) < 2:
        return values[0] if values else None
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
