"""kerascnn explain, on the tiny run."""

import numpy as np
import pytest
from PIL import Image

from kerascnn import cli


@pytest.fixture(scope="module")
def run(train, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "tiny"
    train(out, epochs=1)
    return out


@pytest.fixture
def image(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 12), dtype="uint8")
    Image.fromarray(pixels).save(tmp_path / "[bold]$x.png")
    return str(tmp_path / "[bold]$x.png")


def test_pictures_and_arrays(run, image, tmp_path, capsys):
    for method, options in (
        ("gradients", []), ("occlusion", ["--window=4", "--stride=2"]), ("grad_cam", []),
        ("integrated_gradients", ["--steps=3"]), ("smoothgrad", ["--samples=2", "--noise=0.1"]),
    ):  # fmt: skip
        out = tmp_path / method
        words = [
            "explain",
            method,
            image,
            image,
            "--checkpoint",
            str(run),
            "--out",
            str(out),
            "--target",
            "3",
            *options,
        ]
        assert cli.main(words) == 0
        assert "[bold]" in capsys.readouterr().out
        assert {path.name for path in out.iterdir()} == {
            "explanation.npz", f"[bold]$x_{method}.png", f"[bold]$x_2_{method}.png"
        }  # fmt: skip
        with np.load(out / "explanation.npz") as found:
            assert found["maps"].shape == (2, 8, 8) and found["target"].tolist() == [3, 3]


@pytest.mark.parametrize(
    "words, message",
    [
        (["sight", "IMAGE"], "METHOD must be one of attention_rollout, cam, deconvnet, "),
        (["gradients", "IMAGE", "--window", "3"], "gradients has no option window"),
        (["grad_cam", "IMAGE", "--steps", "3"], "grad_cam has no option steps"),
        (["gradients", "IMAGE", "--target", "eleven"], "--target must be a class"),
        (["gradients", "IMAGE", "--layer", "absent"], "layer must be the name"),
        (["occlusion", "IMAGE", "--window", "99"], "window must be"),
        (["gradients", "absent.png"], "no such image"),
        (["gradients"], "needs METHOD IMAGE_OR_FOLDER"),
    ],
)
def test_refusals_are_one_line(words, message, run, image, tmp_path, capsys):
    words = [image if word == "IMAGE" else word for word in words]
    assert cli.main(["explain", *words, "--checkpoint", str(run), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not (tmp_path / "out").exists()
