"""kerascnn study."""

import json

import numpy as np
import pytest
from PIL import Image

from kerascnn import studies
from kerascnn.cli import main


def test_a_study(tmp_path, capsys):
    options = ["--set", "schemes=he,xavier", "--set", "width=32", "--set", "activation=relu"]
    assert main(["study", "initialization", *options, "--out", str(tmp_path)]) == 0
    assert "Xavier's lose a factor" in capsys.readouterr().out
    record = json.loads((tmp_path / "study.json").read_text())
    assert record["settings"]["schemes"] == ["he", "xavier"] and record["settings"]["width"] == 32
    assert main(["study"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in studies.STUDIES)


def test_a_study_of_a_trained_network(tmp_path):
    words = ["landscape", "--model", "plain20", "--weights", "digits", "--data", "digits", "--samples", "40"]
    assert main(["study", *words, "--set", "points=3", "--set", "span=0.2", "--out", str(tmp_path)]) == 0
    record = json.loads((tmp_path / "study.json").read_text())
    assert record["settings"] | {"images": 40, "points": 3, "span": 0.2, "model": "plain20"} == record["settings"]
    accuracy = np.load(tmp_path / "arrays.npz")["accuracy"]
    assert accuracy[1, 1] > 0.9 and accuracy[1, 1] >= accuracy.max() - 0.1


def test_a_study_that_trains_networks(tmp_path):
    words = ["degradation", "--data", "digits", "--samples", "60", "--image-size", "10", "--split", "validation"]
    options = ["--set", "depths=8", "--set", "steps=2", "--set", "draws=1", "--set", "batch_size=8"]
    assert main(["study", *words, *options, "--out", str(tmp_path)]) == 0
    record = json.loads((tmp_path / "study.json").read_text())
    assert record["settings"] | {"images": 48, "held_out": 12, "depths": [8]} == record["settings"]


def test_images_of_several_sizes_need_a_size(tmp_path, capsys):
    folder = tmp_path / "data"
    for label, size in (("a", 8), ("b", 9)):
        for number in range(12):
            path = folder / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (size, size), number).save(path)
    words = ["degradation", "--data", str(folder), "--out", str(tmp_path / "out")]
    assert main(["study", *words]) != 0
    output = capsys.readouterr()
    assert "needs --image-size where images differ in size" in output.out + output.err


@pytest.mark.parametrize(
    "words, told",
    [
        (["nothing", "--out", "x"], "NAME"), (["initialization"], "--out"),
        (["initialization", "--out", "x", "--set", "epochs=3"], "has the options"),
        (["initialization", "--out", "x", "--set", "width=wide"], "whole number"),
        (["initialization", "--out", "x", "--set", "width=8", "--set", "width=9"], "once"),
        (["initialization", "--out", "x", "--model", "resnet20"], "no network"),
        (["effective_field", "--out", "x"], "--model"),
        (["landscape", "--out", "x"], "a trained network"),
        (["degradation", "--out", "x"], "needs --data"),
        (["degradation", "--out", "x", "--data", "digits", "--model", "lenet5"], "networks of its own"),
        (["landscape", "--out", "x", "--model", "plain20"], "without --weights"),
        (["landscape", "--out", "x", "--model", "plain20", "--weights", "digits"], "needs --data"),
        (["initialization", "--out", "x", "--samples", "5"], "is no study of data"),
        (["effective_field", "--out", "x", "--model", "lenet5", "--data", "digits"], "is no study of data"),
    ],
)  # fmt: skip
def test_what_is_refused(words, told, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["study", *words]) != 0
    output = capsys.readouterr()
    assert told in output.err + output.out and not list(tmp_path.iterdir())
