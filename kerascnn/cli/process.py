"""What the command line sets in its own process, and never in one that only calls the library."""

import os
import platform
import signal
import sys
import warnings

_HEAVY = ("evaluate", "explain", "finetune", "search", "study", "train")  # commands that compute for long
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGHUP", "SIGTERM") if hasattr(signal, name))


class Terminated(KeyboardInterrupt):
    """A signal asked the process to end; raised where the program stands, so that what it has begun is tidied up."""

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number


def prepare() -> None:
    """Streams, warnings, pictures and signals, once, before anything else."""
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks is shown as \\u..., not refused after the work is done.
        stream.reconfigure(errors="backslashreplace")
    # PYTHONWARNINGS=error is for one's own code; what Keras and NumPy warn of ends no training.
    if any(option.startswith("error") for option in sys.warnoptions):
        warnings.resetwarnings()
        warnings.simplefilter("ignore")
        os.environ.pop("PYTHONWARNINGS", None)  # not for the processes that check an export either
    os.environ["MPLBACKEND"] = "agg"  # pictures go to files
    for number in _SIGNALS:
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores SIGHUP: then so do we
            signal.signal(number, _terminate)


def prefer_onednn(command: str) -> None:
    """Turns TensorFlow's oneDNN kernels on where a command trains or differentiates, unless the user has decided.

    TensorFlow does it by itself only where a CPU has AVX-512 VNNI; training is 1.3 to 3.4 times as fast with them on
    others too (results/bench_step.txt). What is exported and predicted is left to it: saved graphs have operations on
    bytes, of which its oneDNN complains on such CPUs.

    Args:
        command: the first word of the command line.
    """
    if command in _HEAVY and platform.machine() in ("x86_64", "AMD64"):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def _open_streams() -> None:
    """Gives /dev/null to streams that were closed (2>&-), lest the next file that is opened become stderr."""
    for number, mode in ((0, "r"), (1, "w"), (2, "w")):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
        name = ("stdin", "stdout", "stderr")[number]
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))


def _terminate(number: int, frame) -> None:
    signal.signal(number, signal.SIG_DFL)  # a second one ends the process at once
    raise Terminated(number)
