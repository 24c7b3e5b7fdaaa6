"""`kill_program.py OUT KILLS SEED`: trains a tiny network in processes that are killed, one on a full disk, a last one.

Each is a fork of this one, which has imported all that they need, but computed nothing.
"""

import os
import random
import resource
import signal
import sys

import tiny_runs

from kerascnn import data, training
from kerascnn.training import callbacks, curves, history
from kerascnn.training.callbacks import record

EPOCHS = 12
FIELDS = {"epochs": EPOCHS, "augment": "pad_crop_flip + mixup(0.2)"}
# Where a process is killed: what is called then, and after how many calls at most.
PHASES = {
    "data": (data, "train_pipeline", 1),
    "step": (callbacks.StopOnNaN, "on_train_batch_end", 7),
    "validation": (callbacks.AverageStatistics, "on_test_begin", 2),
    "history": (history, "write", 2),
    "checkpoint": (record, "save", 4),
    "plot": (curves, "plot", 2),
}
SMALL = 16384  # bytes of the largest file that a full disk still takes: the settings and the history, no checkpoint


def dying(name, calls):
    """Kills this process in a phase; of a checkpoint when half of it is written."""
    home, attribute, _ = PHASES[name]
    before, count = getattr(home, attribute), [0]

    def kill(*arguments, **options):
        count[0] += 1
        if count[0] >= calls:
            if name == "checkpoint":
                path = arguments[1]
                path.with_name(f".tmp-{os.getpid()}-{path.name}").write_bytes(b"half of it")
            os.kill(os.getpid(), signal.SIGKILL)
        return before(*arguments, **options)

    setattr(home, attribute, kill)


def full_disk():
    """No file may grow beyond a few kilobytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, resource.RLIM_INFINITY))


def in_a_process(out, before=lambda: None):
    """Trains in a fork; its status: 0 done, 3 an OSError, -9 killed."""
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    try:
        before()
        tiny_runs.trainer(tiny_runs.digits())(out, **FIELDS)
        status = 0
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        status = 3
    finally:
        sys.stderr.flush()
    os._exit(status)


def main(out, kills, seed):
    draws = random.Random(seed)
    folder = training.run_folder.RunFolder(out)
    phases = [*PHASES, *draws.choices(list(PHASES), k=kills - len(PHASES) - 1)]  # each once at least
    draws.shuffle(phases)
    first = ("plot", 1)  # when one epoch is finished
    for number, (phase, calls) in enumerate([first, *((name, draws.randint(1, PHASES[name][2])) for name in phases)]):
        status = in_a_process(out, lambda phase=phase, calls=calls: dying(phase, calls))
        sys.stdout.write(f"{phase} {calls} {status}\n")
        if number == 0:
            saved = folder.saved_epochs()
            status = in_a_process(out, full_disk)
            sys.stdout.write(f"full {saved == folder.saved_epochs() == [1]} {status}\n")
        sys.stdout.flush()
    sys.stdout.write(f"end {in_a_process(out)}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
