"""tools/fuzz_ops.py on a few calls of every op: no crash, no hang, no error outside the contract."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.after  # a process for each op


def test_nothing_is_found():
    command = [sys.executable, "tools/fuzz_ops.py", "--cases", "120", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert len(lines) == 9 and all(", 0 wrong, " in line for line in lines)
    counts = [[int(word) for word in line.replace(",", "").split() if word.isdigit()] for line in lines]
    assert all(given + refused >= 120 for given, refused, *_ in counts)
