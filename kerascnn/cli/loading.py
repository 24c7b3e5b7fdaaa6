"""TensorFlow for the command line: loaded late and without chatter."""

import faulthandler
import importlib.util
import os
import sys

from kerascnn._environment import check_environment
from kerascnn._errors import InputError

_LOADED = b"\0loaded"  # the line after which the filter ends in peace
_CHATTER = (b"WARNING: All log messages before absl::InitializeLog()", b"I0000 ")


def load_tensorflow() -> None:
    """Imports TensorFlow without the lines that it writes to stderr before its log level counts; passes on others.

    Raises:
        InputError: TensorFlow or Keras is not installed or cannot be imported, or set up for another backend.
    """
    check_environment(strict=True)
    if "tensorflow" in sys.modules or "TF_CPP_MAX_VLOG_LEVEL" in os.environ or not hasattr(os, "fork"):
        _import()
        return
    sys.stderr.flush()
    kept, (source, sink) = os.dup(2), os.pipe()
    child = os.fork()
    if not child:  # a process of its own, which passes on the last words of one that aborts
        os.close(sink)
        _filter(source, kept)
    os.close(source)
    os.dup2(sink, 2)
    os.close(sink)
    traced = faulthandler.is_enabled()  # absl's; where TensorFlow gives up, its own words say more than our stack
    faulthandler.disable()
    try:
        _import()
    finally:
        sys.stderr.flush()
        os.write(2, b"\n" + _LOADED + b"\n")
        os.dup2(kept, 2)
        os.close(kept)
        os.waitpid(child, 0)
        if traced:
            faulthandler.enable()


def _import() -> None:
    for name in ("tensorflow", "keras"):
        if sys.modules.get(name) is None and importlib.util.find_spec(name) is None:
            raise InputError(
                f"kerascnn needs {name}, which is not installed: pip install 'kerascnn[cpu]', or 'kerascnn[gpu]' for "
                f"NVIDIA GPUs. Received: {sys.executable}"
            )
    try:
        import tensorflow  # noqa: F401, I001
        import keras  # noqa: F401
    except ImportError as error:
        raise InputError(f"TensorFlow cannot be imported ({error}). Received: {sys.executable}") from error


def _filter(source: int, target: int) -> None:
    """Copies lines but chatter until the other side is closed, and ends the process."""
    try:
        loaded, rest = False, b""
        while read := os.read(source, 65536):
            *lines, rest = (rest + read).split(b"\n")
            loaded = loaded or _LOADED in lines
            for line in lines:
                if line and line != _LOADED and not line.startswith(_CHATTER):
                    os.write(target, line + b"\n")
        if not loaded:
            os.write(target, rest + b"\n" * bool(rest))
            os.write(target, b"kerascnn: TensorFlow ended the process while it was loaded; its reason stands above.\n")
    finally:
        os._exit(0)
