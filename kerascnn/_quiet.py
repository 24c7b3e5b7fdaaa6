"""TensorFlow's first words on stderr, before its log level counts, kept from the user; whatever else is said passes."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

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
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.waitpid(child, 0)


def _filter(source: int, target: int) -> None:
    """Copies lines but chatter until the other side is closed, and ends the process."""
    try:
        with open(source, "rb", buffering=0) as stream:
            rest = b""
            while read := stream.read(65536):
                *lines, rest = (rest + read).split(b"\n")
                for line in lines:
                    if not line.startswith(_CHATTER):
                        os.write(target, line + b"\n")
            if rest and not rest.startswith(_CHATTER):
                os.write(target, rest)
    finally:
        os._exit(0)
