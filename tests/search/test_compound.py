"""The grid search end to end on a network of three convolutions, and that no interruption changes its result."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import pytest

import kerascnn
from kerascnn import cli, data, search, training
from kerascnn._errors import InputError
from kerascnn.applications import resnet_cifar
from kerascnn.search import compound

TINY = resnet_cifar.Spec(1, widths=(8,))
CONFIG = training.TrainConfig(batch_size=16, epochs=1, learning_rate=0.05)


@pytest.fixture(scope="module")
def source():
    return data.load("digits").take(64)


def start(source, out, **options):
    arguments = {"step": 1.0, "spec": TINY, "resolution": 8, "config": CONFIG, **options}
    return search.grid_search("resnet20", source, out, **arguments)


@pytest.fixture(scope="module")
def whole(source, tmp_path_factory):
    """An uninterrupted search: the base and the network of twice the depth. Its folder and its rows."""
    out = tmp_path_factory.mktemp("search") / "whole"
    return out, start(source, out)


def check_same(rows, others):
    """All but the time that each took, to the rounding of sums."""
    assert len(rows) == len(others)
    for row, other in zip(rows, others, strict=True):
        assert row == pytest.approx({**other, "seconds": row["seconds"]}, rel=1e-4)


def test_rows(whole):
    out, rows = whole
    assert [(row["alpha"], row["beta"], row["gamma"]) for row in rows].count((2.0, 1.0, 1.0)) == 1 and len(rows) == 2
    base, deeper = sorted(rows, key=lambda row: row["alpha"])
    assert base["macs"] == 8 * 8 * 9 * (8 + 2 * 64) + 80 and base["params"] == 9 * (8 + 2 * 64) + 3 * 16 + 90
    assert deeper["macs"] - base["macs"] == 8 * 8 * 9 * 2 * 64
    assert 0 <= base["accuracy"] <= 1 and base["epoch"] == 1 and base["resolution"] == 8
    assert {path.name for path in out.iterdir()} == {
        "search.json", "alpha1_beta1_gamma1", "alpha2_beta1_gamma1",
    }  # fmt: skip
    assert not list(out.rglob("checkpoints")) and len(list(out.rglob("history.csv"))) == 2


def test_ranking():
    rows = [{"accuracy": a, "macs": m} for a, m in ((0.5, 3), (0.9, 2), (0.9, 1), (0.1, 0))]
    assert [row["macs"] for row in search.ranking(rows)] == [1, 2, 3, 0]


def test_finished_candidates_are_not_trained_again(whole, source, monkeypatch):
    out, rows = whole
    monkeypatch.setattr(training, "train", None)
    assert start(source, out) == rows


@pytest.mark.after
def test_an_interrupted_search_goes_on(whole, source, tmp_path, monkeypatch):
    """Interrupted in the second candidate: the first is not trained again, and the rows are those of `whole`."""
    trained = []

    def train(build, source, config, out, **options):
        trained.append(out.name)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return training.loop.train(build, source, config, out, **options)

    monkeypatch.setattr(compound.training, "train", train, raising=False)
    with pytest.raises(KeyboardInterrupt):
        start(source, tmp_path)
    rows = start(source, tmp_path)
    assert trained == ["alpha1_beta1_gamma1", "alpha2_beta1_gamma1", "alpha2_beta1_gamma1"]
    check_same(rows, whole[1])


def test_other_settings_are_refused(whole, source):
    with pytest.raises(InputError, match="another search: phi was 1.0, now 2.0"):
        start(source, whole[0], phi=2.0)
    with pytest.raises(InputError, match="training.learning_rate was 0.05, now 0.1"):
        start(source, whole[0], config=dataclasses.replace(CONFIG, learning_rate=0.1))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"phi": 0}, "phi must be a finite number .*Received: phi=0"),
        ({"phi": float("nan")}, "phi must be a finite number .*Received: phi=nan"),
        ({"step": 0.3, "tolerance": 0.01}, "No factors on this grid"),
        ({"resolution": 4}, "8 pixels or more. Received: resolution=4"),
        ({"spec": kerascnn.model_info("lenet5").spec}, "method scaled"),
    ],
)
def test_bad_arguments_leave_nothing_behind(source, tmp_path, options, words):
    with pytest.raises(InputError, match=words):
        start(source, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("search --model resnet20 --data digits --out c", "needs STRATEGY"),
        ("search grid --model resnet20 --data digits --out c", "What can be searched by is random"),
        ("search compound --model resnet20 --data digits", "needs --out"),
        ("search compound --model resnet20 --data digits --out c --step 0", "step must be greater than 0"),
        ("search compound --model resnet20 --data digits --out c --tolerance 2", "tolerance must be greater than 0"),
        ("search compound --model resnet20 --data digits --out c --phi=-1", "phi must be a finite number"),
        ("search compound --model resnet20 --data digits --out c --epochs 0", "epochs must be a whole number"),
        ("search compound --model resnet20 --data digits --out c --image-size 0", "image_size must be a whole number"),
        ("search compound --model lenet5 --data digits --out c", "must have a method scaled"),
        ("search compound --model resnet200 --data digits --out c", "no network of that name"),
    ],
)
def test_bad_commands_are_one_line_and_status_2(capsys, tmp_path, monkeypatch, line, words):
    monkeypatch.chdir(tmp_path)
    assert cli.main(line.split()) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1, error
    assert list(tmp_path.iterdir()) == []


def test_the_command(capsys, tmp_path, monkeypatch):
    """Prints the ranking; what it passes on is what was asked for."""
    asked = {}

    def grid_search(name, source, out, **options):
        asked.update(options, name=name, sizes=source.sizes)
        row = {"resolution": 8, "epoch": 2, "params": 1000, "macs": 2000, "seconds": 3.0}
        return [{"alpha": 1.2, "beta": 1.1, "gamma": 1.15, "accuracy": 0.75, **row}]

    monkeypatch.setattr(compound, "grid_search", grid_search)
    line = "search compound --model resnet20 --data digits --limit 64 --step 0.5 --tolerance 0.25 --phi 2 --out"
    assert cli.main([*line.split(), str(tmp_path / "out")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "resnet20 and 3 candidates, 5 epochs each, recipe resnet_cifar" in shown and "75.00% │ 1k │ 2k" in shown
    assert (asked["name"], asked["step"], asked["phi"], asked["resolution"]) == ("resnet20", 0.5, 2.0, 8)
    assert asked["config"].epochs == 5 and asked["config"].augment == "none" and asked["sizes"]["train"] == 64


SCRIPT = """
import sys
from kerascnn import data, search, training
from kerascnn.applications import resnet_cifar
search.grid_search(
    "resnet20", data.load("digits").take(64), sys.argv[1], step=1.0, spec=resnet_cifar.Spec(1, widths=(8,)),
    resolution=8, config=training.TrainConfig(batch_size=16, epochs=1, learning_rate=0.05),
)
"""


@pytest.mark.slow  # a process of its own
def test_a_killed_process_loses_no_finished_candidate(whole, source, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path)])
    deadline = time.monotonic() + 180
    while not (tmp_path / "alpha2_beta1_gamma1").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(json.loads((tmp_path / "search.json").read_text())["rows"]) == 1
    check_same(start(source, tmp_path), whole[1])
    assert not list(tmp_path.rglob(".tmp-*"))
