"""The words of kerascnn explain that give no map of a class, on a small network."""

import csv

import numpy as np
import pytest
from PIL import Image

import kerascnn
from kerascnn import cli
from kerascnn.cli.seeing import word


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The flags that name a network: weights are drawn, since nothing here looks at what they have learned."""
    path = tmp_path_factory.mktemp("weights") / "lenet5.weights.h5"
    kerascnn.create_model("lenet5").save_weights(path)
    return ["--model", "lenet5", "--weights", str(path)]


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "[bold]$x.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 12), dtype="uint8")).save(path)
    return str(path)


def call(run, out, *words):
    return cli.main(["explain", *words, *run, "--out", str(out)])


def test_activations_and_filters(run, image, tmp_path):
    assert call(run, tmp_path / "a", "activations", image, image, "--layer=c3") == 0
    written = {"[bold]$x_activations.png", "[bold]$x_2_activations.png", "activations.npz", "activations.csv"}
    assert {path.name for path in (tmp_path / "a").iterdir()} == written
    with np.load(tmp_path / "a" / "activations.npz") as found, open(tmp_path / "a" / "activations.csv") as file:
        assert found["maps"].shape == (2, 10, 10, 16)
        zeros = [float(row["zero_fraction"]) for row in csv.DictReader(file)]
        np.testing.assert_allclose(zeros, (found["maps"] == 0).mean((0, 1, 2)))
    assert call(run, tmp_path / "f", "filters") == 0
    assert {path.name for path in (tmp_path / "f").iterdir()} == {"filters.png", "filters.npz"}


def test_patches(run, image, tmp_path):
    options = ["--layer=c3", "--channels=4,1", "--count=2"]
    assert call(run, tmp_path / "p", "patches", image, image, image, *options) == 0
    with np.load(tmp_path / "p" / "patches.npz") as found:
        assert found["patches"].shape == (2, 2, 14, 14, 1) and found["channels"].tolist() == [4, 1]
        assert found["images"].tolist() == [[0, 1], [0, 1]]
    lines = (tmp_path / "p" / "patches.txt").read_text().splitlines()
    assert len(lines) == 4 and lines[0].startswith("4\t") and lines[0].endswith(image)


def test_attacks(run, image, tmp_path):
    out = tmp_path / "a"
    assert call(run, out, "pgd", image, "--epsilon=9", "--steps=2", "--step=5", "--target=3") == 0
    assert {path.name for path in out.iterdir()} == {"[bold]$x_pgd.png", "pgd_sheet.png", "pgd.npz"}
    with np.load(out / "pgd.npz") as found, Image.open(out / "[bold]$x_pgd.png") as picture:
        assert np.abs(found["changes"]).max() <= 9.001 and found["goal"].tolist() == [3]
        assert picture.size == (32, 32) and picture.mode == "L"


@pytest.mark.after
def test_made_images(run, image, tmp_path):
    for name, words in (
        ("class_image", ["--target=3"]), ("feature_image", ["--layer=c3", "--channels=1,4"]),
        ("inversion", [image, "--layer=c3"]),
    ):  # fmt: skip
        assert call(run, tmp_path / name, name, *words, "--steps=2") == 0
        assert {path.name for path in (tmp_path / name).iterdir()} == {f"{name}.png", f"{name}.npz"}
        with np.load(tmp_path / name / f"{name}.npz") as found:
            count = 2 if name == "feature_image" else 1
            assert found["images"].shape == (count, 32, 32, 1) and found["history"].shape == (2, count)


@pytest.mark.parametrize(
    "words, message",
    [
        (["activations", "IMAGE"], "activations needs --layer"),
        (["activations", "--layer=c3"], "activations needs IMAGE_OR_FOLDER"),
        (["activations", "IMAGE", "--layer=absent"], "layer must be the name"),
        (["activations", "IMAGE", "--layer=c3", "--steps=3"], "activations has no option steps"),
        (["activations", "absent.png", "--layer=c3"], "no such image"),
        (["patches", "IMAGE", "--layer=c3", "--channels=1.5"], "channels must be whole"),
        (["activations", "IMAGE", "--layer=c3", "--count=3"], "activations has no option count"),
        (["gradients", "IMAGE", "--count=3"], "gradients has no option count"),
        (["fgsm", "IMAGE", "--epsilon=300"], "epsilon must"),
        (["fgsm", "IMAGE", "--steps=3"], "fgsm has no option steps"),
        (["pgd", "IMAGE", "--target=eleven"], "--target must be a class"),
        (["lbfgs", "IMAGE"], "lbfgs needs --target"),
        (["feature_image", "--layer=c3"], "--layer with --channels"),
        (["feature_image", "--layer=c3", "--target=3"], "--layer with --channels"),
        (["class_image", "--target=eleven"], "--target must be a class"),
        (["inversion", "IMAGE"], "inversion needs --layer"),
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


def test_codes(run, image, tmp_path):
    assert call(run, tmp_path / "c", "codes", *[image] * 5, "--method=pca") == 0
    with np.load(tmp_path / "c" / "codes.npz") as found:
        assert found["codes"].shape == (5, 84) and found["points"].shape == (5, 2)
    assert (tmp_path / "c" / "codes.png").exists()
