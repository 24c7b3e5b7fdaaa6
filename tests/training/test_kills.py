"""Killed ten times in whatever it does, and stopped by a full disk, a run ends as if nothing had been."""

import os
import subprocess
import sys
from pathlib import Path

import kill_program
import pytest


@pytest.mark.after  # twelve processes, each of which traces its steps anew
def test_ten_kills_and_a_full_disk_leave_the_history_as_it_is(tmp_path, train, same_history):
    paths = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, kill_program.__file__, str(tmp_path / "run"), "10", "1"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)}, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    first, full, *kills, end = [line.split() for line in done.stdout.splitlines()]
    kills = [first, *kills]
    assert len(kills) == 10 and {phase for phase, *_ in kills} == set(kill_program.PHASES)
    assert [status for *_, status in kills] == ["-9"] * 10
    assert full == ["full", "True", "3"] and "File too large" in done.stderr
    assert end == ["end", "0"]
    train(tmp_path / "whole", **kill_program.FIELDS)
    same_history(tmp_path / "whole" / "history.csv", tmp_path / "run" / "history.csv")
    assert not list((tmp_path / "run").rglob(".tmp-*"))
