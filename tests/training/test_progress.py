"""What is shown while a network trains: on a terminal, in a notebook, in a file."""

import io

import numpy as np
import pytest
from rich.console import Console

from kerascnn.training import peak_memory
from kerascnn.training.callbacks import progress

LOGS = {"loss": 1.25, "accuracy": 0.5, "val_loss": 1.5, "val_accuracy": 0.25}


@pytest.fixture(autouse=True)
def fresh_keras():
    """Nothing here touches Keras, so there is nothing to clear after each test."""


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves when it is told to, in a process of 1.5 GB."""
    now = [100.0]
    monkeypatch.setattr(progress, "peak_bytes", lambda: 1_500_000_000)
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def epoch(shown, clock, steps, validation_steps, seconds):
    """One epoch whose steps take so many seconds each."""
    shown.on_epoch_begin(0)
    for step in range(steps):
        clock[0] += seconds
        shown.on_train_batch_end(step, LOGS)
    shown.on_test_begin()
    for step in range(validation_steps):
        clock[0] += seconds
        shown.on_test_batch_end(step)
    shown.on_epoch_end(0, LOGS)
    shown.on_train_end()


def lines(clock, steps, validation_steps, seconds, **console):
    out = io.StringIO()
    shown = progress.ShowProgress(
        Console(file=out, width=200, **console), 3, steps, validation_steps, 8, {"accuracy": "accuracy"}
    )
    epoch(shown, clock, steps, validation_steps, seconds)
    return out.getvalue()


def test_a_file_gets_a_line_now_and_then(clock):
    found = lines(clock, 100, 20, 1.0).splitlines()
    assert found[0] == "epoch 1/3, 10%  loss 1.2500  accuracy 50.00%  8 images/s"
    assert [line.split("%")[0] for line in found[:-1]] == [
        *(f"epoch 1/3, {part}" for part in range(10, 100, 10)), "epoch 1/3, validation, 50"
    ]  # fmt: skip
    assert found[-1].startswith(
        "epoch 1/3  loss 1.2500  accuracy 50.00%  validation: loss 1.5000, accuracy 25.00%  "
        "120.0 s (8 images/s, 1.5 GB), 4 min left"
    )


def test_a_fit_without_validation(clock):
    out = io.StringIO()
    shown = progress.ShowProgress(Console(file=out, width=200), 1, 1, 0, 8, {"accuracy": "accuracy"})
    shown.on_epoch_begin(0)
    clock[0] += 2.0
    shown.on_train_batch_end(0, LOGS)
    shown.on_epoch_end(0, {"loss": 1.25, "accuracy": 0.5})
    assert out.getvalue() == "epoch 1/1  loss 1.2500  accuracy 50.00%  2.0 s (4 images/s, 1.5 GB)\n"


def test_the_time_that_is_left():
    times = [progress._duration(seconds) for seconds in (0.4, 99, 100, 5900, 6000, 12_000)]
    assert times == ["0 s", "99 s", "2 min", "98 min", "1 h 40 min", "3 h 20 min"]


def test_the_memory_of_the_process():
    held = np.ones(200_000_000, np.uint8)
    assert peak_memory.peak_bytes() > held.nbytes


def test_slow_steps_are_told_every_half_minute(clock):
    found = lines(clock, 1000, 1, 4.0).splitlines()[:-1]
    assert 4000 / 32 <= len(found) <= 4000 / 32 + 10  # and one at each tenth


def test_short_epochs_are_one_line(clock):
    assert len(lines(clock, 100, 10, 0.05).splitlines()) == 1


def test_a_terminal_has_a_bar_for_both(clock):
    shown = lines(clock, 4, 2, 1.0, force_terminal=True, force_jupyter=False)
    assert "4/4" in shown and "epoch 1/3, validation" in shown and "images/s" in shown


def test_a_notebook_has_a_line_that_is_overwritten(clock, capsys):
    lines(clock, 10, 2, 1.0, force_jupyter=True)
    shown = capsys.readouterr().out
    assert "\repoch 1/3 [##########..........] 5/10  loss 1.2500" in shown
    assert "\repoch 1/3, validation [####################] 2/2" in shown
    assert "\n" not in shown.rpartition("\r")[0].replace("\n", "", 1)
