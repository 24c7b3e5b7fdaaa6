"""kerascnn finetune: a run like that of train, of which the case chose the settings."""

import json

import numpy as np
import pytest

from kerascnn.cli.main import main
from kerascnn.inference import checkpoint
from kerascnn.training import history

LENET = ["finetune", "--model", "lenet5", "--weights", "fashion_mnist", "--data", "digits", "--limit", "300"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Small and different: a linear head on the second stage of three; two of its three epochs."""
    out = tmp_path_factory.mktemp("finetune") / "run"
    main([*LENET, "--epochs", "2", "--schedule", "constant", "--out", str(out)])
    return out


def test_a_linear_head_on_an_earlier_stage(run):
    import kerascnn

    config = json.loads((run / "config.json").read_text())
    assert config["model"]["options"] == {"head_stage": 2, "weights": "fashion_mnist"}
    assert config["training"]["freeze"] == "head" and config["training"]["learning_rate"] == 0.02
    assert config["asked"] == ["epochs", "limit", "schedule"]
    predictor = checkpoint.load(run)
    trained = kerascnn.create_model("lenet5", weights="fashion_mnist")
    names = [layer.name for layer in predictor.model.layers if layer.weights]
    assert names == ["c1", "c3", "head_norm", "head"]
    for name in ("c1", "c3"):
        for ours, theirs in zip(predictor.model.get_layer(name).weights, trained.get_layer(name).weights, strict=True):
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    rows = history.read(run / "history.csv")
    assert rows[1]["loss"] < rows[0]["loss"]


@pytest.mark.parametrize("command", [pytest.param("finetune", marks=pytest.mark.after), "train"])
def test_resumed_evaluated_and_exported(run, tmp_path, capsys, command):
    import shutil

    out = str(shutil.copytree(run, tmp_path / "run"))
    stage = ["--head-stage", "2"] if command == "train" else []
    assert main([command, *LENET[1:], *stage, "--schedule", "constant", "--epochs", "3", "--out", out]) in (0, None)
    assert "resuming after epoch 2" in capsys.readouterr().out
    if command == "finetune":
        main(["evaluate", "--checkpoint", out, "--data", "digits", "--limit", "50"])
        main(["export", "--checkpoint", out, "--out", str(tmp_path / "exported")])
        assert "exported and checked" in capsys.readouterr().out


def test_the_head_is_new_although_it_has_as_many_classes(tmp_path):
    import kerascnn

    # A rate at which nothing moves: what is not new is that of the file.
    flags = ["--domain", "similar", "--learning-rate", "1e-30", "--epochs", "1", "--out", str(tmp_path / "run")]
    assert main([*LENET, *flags]) in (0, None)
    trained = kerascnn.create_model("lenet5", weights="fashion_mnist")
    model = checkpoint.load(tmp_path / "run").model
    same = {x.name: np.array_equal(x.kernel, trained.get_layer(x.name).kernel) for x in model.layers if x.weights}
    assert same == {"c1": True, "c3": True, "c5": True, "f6": True, "head": False}
    assert json.loads((tmp_path / "run" / "config.json").read_text())["model"]["head"] == "new"


def test_one_line_says_what_is_done(capsys, tmp_path):
    main([*LENET, "--dry-run", "--out", str(tmp_path / "run")])
    text = capsys.readouterr().out
    assert text.splitlines()[0] == (
        "300 images of 10 classes are a small set (below 200 a class), different from those of the weights "
        "(8 pixels, not 32): a linear head on an earlier stage, stage 2 of 3."
    )
    main([*LENET, "--dry-run", "--size", "large", "--domain", "similar", "--out", str(tmp_path / "run")])
    text = capsys.readouterr().out
    assert text.startswith("300 images of 10 classes are a large set as was said, similar to those of the weights")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "more, words",
    [
        (["--size", "huge"], "size must be one of small, large. Received: size='huge'"),
        (["--head-stage", "4"], "head_stage must be a whole number from 1 to 3. Received: head_stage=4"),
        (["--unfreeze", "1,x"], "unfreeze must be a number. Received: unfreeze='x'"),
        (["--unfreeze", "1.5"], "unfreeze must be a whole number"),
        (["--unfreeze", "9", "--epochs", "3"], "unfreeze must be below epochs=3"),
        (
            ["--unfreeze", "1,1,1,1,1"],
            "unfreeze must have at most 4 numbers: lenet5 has the parts head, f6, c5",
        ),
        (["--layer-decay", "2"], "layer_decay must be a finite number in (0, 1]"),
        (["--initializer", "he"], "Weights are either drawn or read"),
    ],
)
def test_bad_input(capsys, tmp_path, more, words):
    assert main([*LENET, *more, "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
