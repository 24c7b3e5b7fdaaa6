"""Two processes on loopback train as one does, and as if none of them had ever been killed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import worker_program

from kerascnn.training import callbacks, history

pytestmark = pytest.mark.after  # each starts processes that import TensorFlow


def run(program, out, seconds=600):
    paths = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    environment.pop("TF_CONFIG", None)
    command = [sys.executable, worker_program.__file__, program, str(out)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds)


def test_two_workers_take_the_steps_of_one(tmp_path, monkeypatch):
    """ResNet-20, 19 batch norms over the whole batch: the loss after each of the first 20 steps."""
    done = run("resnet", tmp_path / "two")
    assert done.returncode == 0, done.stderr[-3000:]
    two = [json.loads(Path(f"{tmp_path / 'two'}.losses{index}").read_text()) for index in range(2)]
    # workers.fit is there for this; once Keras has mended its own fit, the file is empty.
    assert [Path(f"{tmp_path / 'two'}.keras{index}").read_text() != "" for index in range(2)] == [True, True]
    step = callbacks.StopOnNaN.on_train_batch_end
    monkeypatch.setattr(callbacks.StopOnNaN, "on_train_batch_end", step)  # which the program replaces, is put back
    worker_program.resnet(tmp_path / "one", None)
    one = json.loads(Path(f"{tmp_path / 'one'}.losses0").read_text())
    assert len(one) == worker_program.STEPS and one[-1] != one[0]
    assert not np.allclose(two[0], two[1], atol=1e-3)  # each has seen its own half of each batch
    np.testing.assert_allclose(np.mean(two, axis=0), one, atol=1e-4)
    rows = [history.read(tmp_path / name / "history.csv")[0] for name in ("one", "two")]
    assert rows[1]["val_loss"] == pytest.approx(rows[0]["val_loss"], rel=1e-4)


def test_killed_workers_come_again_and_nothing_shows_it(tmp_path, same_history, train, network):
    """SIGKILL of worker 1 within the second epoch, and of the chief within the fourth."""
    done = run("tiny", tmp_path / "two")
    assert done.returncode == 0, done.stderr[-3000:]
    said = [line for line in done.stderr.splitlines() if line.startswith("kerascnn: ")]
    for part in (
        "worker 1 was ended by SIGKILL",
        "worker 0 was ended by SIGKILL",
        "the chief is lost",
        "worker 1 is lost",
    ):
        assert any(part in line for line in said), said
    assert all(Path(f"{tmp_path / 'two'}.killed{index}").exists() for index in range(2))
    train(tmp_path / "one", lambda: network(dropout=0), **worker_program.TINY, teacher=worker_program.teacher())
    same_history(tmp_path / "one" / "history.csv", tmp_path / "two" / "history.csv")
    names = sorted(path.name for path in (tmp_path / "two").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "one").iterdir())
