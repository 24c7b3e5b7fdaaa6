"""The words of kerascnn explain that give no map of a class, on the tiny run."""

import csv

import numpy as np
import pytest
from PIL import Image

from kerascnn import cli
from kerascnn.cli.seeing import word


@pytest.fixture(scope="module")
def run(train, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "tiny"
    train(out, epochs=1)
    return out


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "[bold]$x.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 12), dtype="uint8")).save(path)
    return str(path)


def call(run, out, *words):
    return cli.main(["explain", *words, "--checkpoint", str(run), "--out", str(out)])


def test_activations_and_filters(run, image, tmp_path):
    assert call(run, tmp_path / "a", "activations", image, image, "--layer=re_lu") == 0
    written = {"[bold]$x_activations.png", "[bold]$x_2_activations.png", "activations.npz", "activations.csv"}
    assert {path.name for path in (tmp_path / "a").iterdir()} == written
    with np.load(tmp_path / "a" / "activations.npz") as found, open(tmp_path / "a" / "activations.csv") as file:
        assert found["maps"].shape == (2, 3, 3, 6)
        zeros = [float(row["zero_fraction"]) for row in csv.DictReader(file)]
        np.testing.assert_allclose(zeros, (found["maps"] == 0).mean((0, 1, 2)))
    assert call(run, tmp_path / "f", "filters") == 0
    assert {path.name for path in (tmp_path / "f").iterdir()} == {"filters.png", "filters.npz"}


@pytest.mark.parametrize(
    "words, message",
    [
        (["activations", "IMAGE"], "activations needs --layer"),
        (["activations", "--layer=re_lu"], "activations needs IMAGE_OR_FOLDER"),
        (["activations", "IMAGE", "--layer=absent"], "layer must be the name"),
        (["activations", "IMAGE", "--layer=re_lu", "--steps=3"], "activations has no option steps"),
        (["activations", "absent.png", "--layer=re_lu"], "no such image"),
        (["filters", "IMAGE"], "filters takes no images"),
    ],
)
def test_refusals_are_one_line(words, message, run, image, tmp_path, capsys):
    words = [image if each == "IMAGE" else each for each in words]
    assert call(run, tmp_path / "out", *words) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_the_help_tells_every_word(capsys):
    assert cli.main(["explain", "--help"]) == 0
    text = capsys.readouterr().out
    assert word.find() and all(name in text for name in word.find())
