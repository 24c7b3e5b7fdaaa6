"""All workers on one machine: started, watched and started again by one process. No TensorFlow."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.training.workers import again
from kerascnn.training.workers.meeting import LAUNCHER

_PATIENCE = 3.0  # seconds for the others to end by themselves, when one has ended


def is_launched() -> bool:
    """Whether this process is a worker that `launch` started."""
    return os.environ.get(LAUNCHER) == str(os.getppid())


def launch(count: int, command: Sequence[str], finished: Callable[[], int]) -> int:
    """Starts workers on this machine, each with a part of its processors or GPUs, until all are done.

    One that is killed by a signal is started again, as often as that leads to a further epoch; where one ends with an
    error, so do all. They end, too, when this process does.

    Args:
        count: how many.
        command: of each; TF_CONFIG in its environment tells it who it is. The first one alone writes to stdout.
        finished: how many epochs are finished.

    Returns:
        0, or the status of the one that ended with an error.

    Raises:
        InputError: there are GPUs, but fewer than workers.
    """
    _check.whole("local_workers", count, 1, 1000)
    addresses, gpus = free_addresses(count), visible_gpus()
    if gpus and len(gpus) < count:
        rule = f"local_workers must be at most the {len(gpus)} GPUs; CUDA_VISIBLE_DEVICES= takes the CPU"
        raise InputError(f"{rule}. Received: local_workers={count}")

    def start(index: int) -> subprocess.Popen:
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        own = {"TF_CONFIG": json.dumps(task), LAUNCHER: str(os.getpid())}
        if gpus:
            each = len(gpus) // count
            own["CUDA_VISIBLE_DEVICES"] = ",".join(gpus[index * each : (index + 1) * each])
        quiet = {
            "TF_CPP_MIN_LOG_LEVEL": "3",  # of a worker that is gone TensorFlow tells a page, in each of the others
            "TF_NUM_INTRAOP_THREADS": str(max(1, (os.cpu_count() or 1) // count)),
        }
        output = None if index == 0 else subprocess.DEVNULL
        return subprocess.Popen(command, env={**quiet, **os.environ, **own}, stdout=output, stdin=subprocess.DEVNULL)

    workers = [start(index) for index in range(count)]
    deaths, epoch = 0, finished()
    try:
        while True:
            time.sleep(0.1)
            states = [worker.poll() for worker in workers]
            failed = [state for state in states if state is not None and state > 0]
            if failed:
                _wait(workers, _PATIENCE)
                return failed[0]
            if not any(state is None or state for state in states):
                return 0
            for index, state in enumerate(states):
                if state is not None and state < 0:
                    deaths, epoch = (1 if finished() != epoch else deaths + 1), finished()
                    name = signal.Signals(-state).name
                    if deaths > again.MOST:
                        again.say(f"worker {index} was ended by {name}, as {deaths} were since the last finished epoch")
                        return 1
                    again.say(f"worker {index} was ended by {name}; it is started again")
                    workers[index] = start(index)
    finally:
        _end(workers)


def command_line() -> list[str]:
    """The command line of this process, to be started once more."""
    return [sys.executable, *sys.orig_argv[1:]]


def free_addresses(count: int) -> list[str]:
    """Addresses of this machine alone, at which nobody listens.

    Args:
        count: how many.
    """
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [f"127.0.0.1:{listener.getsockname()[1]}" for listener in sockets]


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name and name != "-1"]
    folder = Path("/proc/driver/nvidia/gpus")
    return [str(number) for number in range(len(list(folder.iterdir())))] if folder.is_dir() else []


def _wait(workers: Sequence[subprocess.Popen], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(worker.poll() is None for worker in workers):
        time.sleep(0.05)


def _end(workers: Sequence[subprocess.Popen]) -> None:
    for worker in workers:
        if worker.poll() is None:
            worker.terminate()
    _wait(workers, _PATIENCE)
    for worker in workers:
        if worker.poll() is None:
            worker.kill()
        worker.wait()
