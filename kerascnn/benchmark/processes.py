"""The processes that subjects of a benchmark run in, as the one that asks them sees them."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kerascnn._errors import InputError

_PATIENCE = 20  # seconds for a process to end by itself
TOOLS = Path(__file__).resolve().parents[2] / "tools"


class Ended(Exception):
    """A process ended without an answer; the text is the last line that it wrote to standard error."""


class Process:
    """A process that answers lines of JSON, in order.

    Args:
        command: program and arguments.
        environment: variables that differ from those of this process.

    Raises:
        OSError: the program cannot be started.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None):
        self._errors = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(
                list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True,
                env={**os.environ, **(environment or {})},
            )  # fmt: skip
        except OSError:
            self._errors.close()
            raise

    def ask(self, question: Any) -> dict[str, Any]:
        """Sends a line and reads the answer.

        Raises:
            Ended: there is none.
        """
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise Ended(self._last_words()) from error
        return self.read()

    def read(self) -> dict[str, Any]:
        """The next line.

        Raises:
            Ended: there is none, or it is no JSON object.
        """
        line = self._process.stdout.readline()
        try:
            answer = json.loads(line)
        except ValueError as error:
            raise Ended(self._last_words()) from error
        if not isinstance(answer, dict):
            raise Ended(f"it said {line.strip()[:200]}")
        return answer

    def _last_words(self) -> str:
        try:
            status = self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            status = None
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        said = " ".join(lines[-1].split())[:300] if lines else "it said nothing"
        return said if status is None or status > 0 else f"ended by signal {-status}" if status < 0 else said

    def close(self) -> None:
        """Ends the process: it is told that no question follows, and killed where it does not listen."""
        for stream in (self._process.stdin, self._process.stdout):
            try:
                stream.close()
            except OSError:  # it is gone already
                pass
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()


def own(module: str, environment: Mapping[str, str] | None = None) -> Process:
    """A process of this interpreter that runs a module of kerascnn, on the CPU.

    Args:
        module: its name.
        environment: further variables.
    """
    return Process([sys.executable, "-m", module], {**own_environment(), **(environment or {})})


def own_environment() -> dict[str, str]:
    """What a process of this interpreter needs to find this kerascnn, and to compute on the CPU."""
    root = str(Path(__file__).resolve().parents[2])
    places = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": places, "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}


def peer(python: str, script: Path, arguments: Sequence[str] = (), threads: int | None = None) -> Process:
    """A process of an interpreter that has PyTorch: it is never imported beside TensorFlow.

    KERASCNN_PEERS_LD_LIBRARY_PATH is LD_LIBRARY_PATH there.

    Args:
        python: the interpreter.
        script: a file of tools/.
        arguments: of the script.
        threads: of OpenMP; None: as many as it likes.

    Raises:
        InputError: there is no such script, or the interpreter cannot be started.
    """
    if not script.is_file():
        raise InputError(f"Peers are timed from a checkout of kerascnn, with its tools/. Received: {script}")
    environment = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    if "KERASCNN_PEERS_LD_LIBRARY_PATH" in os.environ:
        environment["LD_LIBRARY_PATH"] = os.environ["KERASCNN_PEERS_LD_LIBRARY_PATH"]
    try:
        return Process([python, str(script), *arguments], environment)
    except OSError as error:
        raise InputError(f"peers_python must be a Python interpreter ({error.strerror}). Received: {python}") from error
