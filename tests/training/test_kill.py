"""A process killed outright loses nothing but the unfinished epoch."""

import os
import signal
import subprocess
import sys
import time

from kerascnn import cli
from kerascnn.training import history

COMMAND = "train --model lenet5 --data digits --limit 128 --epochs 4 --batch_size 32 --augment pad_crop_flip --out"


def test_kill_and_start_again(tmp_path, capsys, same_history):
    arguments = [*COMMAND.split(), str(tmp_path / "killed")]
    process = subprocess.Popen([sys.executable, "-m", "kerascnn", *arguments], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (tmp_path / "killed" / "checkpoints" / "epoch_0002.keras").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert cli.main(arguments) == 0
    assert cli.main([*COMMAND.split(), str(tmp_path / "whole")]) == 0
    assert len(history.read(tmp_path / "whole/history.csv")) == 4
    same_history(tmp_path / "killed/history.csv", tmp_path / "whole/history.csv")
    assert not list(tmp_path.rglob(".tmp-*"))
