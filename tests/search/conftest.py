"""Evaluators that processes can import."""

import importlib
import sys

import pytest

MODULE = """
import os, signal, sys, time
from pathlib import Path

import numpy as np

from kerascnn.search import Result


def total(row, budget, seed):
    return float(sum(row.values()))


def seeded(row, budget, seed):
    noise = np.random.default_rng(seed).normal()
    return Result(sum(row.values()) + noise, {"noise": noise}, {"macs": 1.0 + row["a0"]})


class Slow:
    def __init__(self, seconds, folder=None):
        self.seconds, self.folder = seconds, folder

    def __call__(self, row, budget, seed):
        if self.folder:
            Path(self.folder, str(os.getpid())).touch()
        time.sleep(self.seconds)
        return seeded(row, budget, seed)


class Meeting:
    def __init__(self, count, folder):
        self.count, self.folder = count, folder

    def __call__(self, row, budget, seed):
        Path(self.folder, f"begun-{seed}").touch()
        until = time.monotonic() + 60
        while len(list(Path(self.folder).glob("begun-*"))) < self.count:
            if time.monotonic() > until:
                raise TimeoutError("nobody came")
            time.sleep(0.01)
        return process(row, budget, seed)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def fill():
    kept = []
    while True:
        kept.append(np.ones(2**20))
        time.sleep(0.001)


def memory():
    raise MemoryError("no more")


def whatever():
    return "good"


def broken():
    raise ValueError("two\\nlines")


TROUBLES = {
    1: broken, 2: lambda: float("nan"), 3: sys.exit, 4: memory, 5: lambda: os._exit(3), 6: die, 7: whatever,
    8: lambda: time.sleep(600), 9: fill,
}


def troubled(row, budget, seed):
    return TROUBLES[row["trouble"]]() if row["trouble"] else 1.0


def process(row, budget, seed):
    return Result(1.0, {"process": os.getpid()})
"""


@pytest.fixture
def evaluators(tmp_path, monkeypatch):
    """The module, on the path of this process and so on those of its workers."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "search_evaluators.py").write_text(MODULE)
    monkeypatch.syspath_prepend(folder)
    yield importlib.import_module("search_evaluators")
    del sys.modules["search_evaluators"]
