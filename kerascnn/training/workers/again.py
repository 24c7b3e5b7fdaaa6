"""A process starts again from its own command line, as often as that helps.

TensorFlow cannot leave a group of workers of which one is gone, nor join another one: that takes a new process. The new
program keeps the number of the process, so that whoever started it, a shell, Slurm or Kubernetes, sees nothing of it.
"""

import contextlib
import os
import sys

MOST = 10  # starts without an epoch more
_VARIABLE = "KERASCNN_STARTS"  # "how often, after which epoch": what a program tells the one that takes its place


def again(finished: int, reason: str) -> None:
    """Replaces this program by a new start of it; does not return.

    Args:
        finished: how many epochs are finished: the starts are counted anew when there are more.
        reason: said on stderr.
    """
    count, epoch = _told()
    count = count + 1 if epoch == finished else 1
    if count > MOST:
        stop(f"{reason}; {MOST} starts since the last finished epoch have not helped", 1)
    say(f"{reason}; starting again after epoch {finished}")
    os.environ[_VARIABLE] = f"{count} {finished}"
    with contextlib.suppress(OSError):  # not listed on every system; then what is open is closed by its own mark
        for name in os.listdir("/proc/self/fd"):
            if int(name) > 2:
                with contextlib.suppress(OSError):
                    os.set_inheritable(int(name), False)  # a port that stayed open could not be used again
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def stop(reason: str, status: int) -> None:
    """Says why and ends the process at once, whatever its other threads wait for; does not return.

    Args:
        reason: said on stderr.
        status: of the process.
    """
    say(reason)
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    os._exit(status)


def _told() -> tuple[int, int]:
    words = os.environ.get(_VARIABLE, "").split()
    return (int(words[0]), int(words[1])) if len(words) == 2 and all(map(str.isdecimal, words)) else (0, -1)


def say(text: str) -> None:
    """Says something on stderr, where there is one.

    Args:
        text: one line.
    """
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"kerascnn: {text}\n")
        sys.stderr.flush()
