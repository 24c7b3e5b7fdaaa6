"""TensorFlow's first words on stderr, before its log level counts, kept from the user; whatever else is said passes."""

import contextlib
import faulthandler
import os
import sys
import threading
from collections.abc import Iterator

_LOADED = b"\0loaded"  # the line after which the filter ends in peace
_CHATTER = (b"WARNING: All log messages before absl::InitializeLog()", b"I0000 ")


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """Leaves out the known lines of what is written to the process's stderr meanwhile.

    Another process does it, so that the last words of one that aborts are passed on. Where that cannot be made safely,
    among other threads or without `fork`, or where TensorFlow was asked to be verbose, nothing is left out.
    """
    alone = hasattr(os, "fork") and threading.active_count() == 1
    if "TF_CPP_MAX_VLOG_LEVEL" in os.environ or not alone:
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # warnings and errors, once the level counts
    try:
        kept = os.dup(2)
    except OSError:  # stderr is closed: there is nobody to be kept from anything
        yield
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    source, sink = os.pipe()
    child = os.fork()
    if not child:
        os.close(sink)
        _filter(source, kept)
    os.close(source)
    os.dup2(sink, 2)
    os.close(sink)
    traced = faulthandler.is_enabled()  # absl's; where TensorFlow gives up, its own words say more than our stack
    faulthandler.disable()
    try:
        yield
    finally:
        if sys.stderr is not None:
            sys.stderr.flush()
        os.write(2, b"\n" + _LOADED + b"\n")
        os.dup2(kept, 2)
        os.close(kept)
        os.waitpid(child, 0)
        if traced:
            faulthandler.enable()


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
