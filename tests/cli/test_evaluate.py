"""kerascnn evaluate and predict on a run that trains in a second: files, tables, and what does not go together."""

import json

import pytest
import tensorflow as tf

from kerascnn import cli, data


@pytest.fixture(scope="module")
def run(train, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "tiny"
    train(out)
    return out


def called(capsys, *words):
    """Runs a line that must succeed; what it printed."""
    assert cli.main([str(word) for word in words]) == 0
    return capsys.readouterr().out


def refused(capsys, *words):
    assert cli.main([str(word) for word in words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("kerascnn: ") and error.count("\n") == 1, error
    return error


def record(folder):
    return json.loads((folder / "evaluation.json").read_text())


@pytest.mark.after
def test_calibrate_then_calibrated(run, tmp_path, capsys):
    assert "has no calibration.json" in refused(capsys, "evaluate", run, "--calibrated", "--out", tmp_path / "none")
    shown = called(capsys, "evaluate", run, "--calibrate", "--out", tmp_path)
    kept, found = json.loads((run / "calibration.json").read_text()), record(tmp_path)
    scaled = found["with_temperature"]
    assert scaled["temperature"] == kept["temperature"] and kept["split"] == "validation"
    assert f"{found['calibration']['ece']:.2%}" in shown and f"{scaled['calibration']['ece']:.2%}" in shown
    assert (tmp_path / "reliability.png").read_bytes().startswith(b"\x89PNG")
    called(capsys, "evaluate", run, "--calibrated", "--out", tmp_path / "again")
    again = record(tmp_path / "again")
    assert again["calibrated"] and again["loss"] == pytest.approx(scaled["loss"], rel=1e-4)
    image = tmp_path / "a.png"
    image.write_bytes(tf.io.encode_png(data.load("digits").split("test").pixels[0]).numpy())
    line = ["predict", "--checkpoint", run, image, "--json", "--top", "10"]
    plain, softer = (json.loads(called(capsys, *line, *more))[0] for more in ([], ["--calibrated"]))
    assert plain["classes"] == softer["classes"] and plain["probabilities"] != softer["probabilities"]
    called(capsys, "export", "--checkpoint", run, "--calibrated", "--out", tmp_path / "exported")
    served = json.loads(called(capsys, "predict", "--saved_model", tmp_path / "exported", *line[3:]))[0]
    assert served["classes"] == softer["classes"]
    assert served["probabilities"] == pytest.approx(softer["probabilities"], rel=1e-4, abs=1e-6)
    shifted = json.loads(called(capsys, *line, "--tta", "shift(1)"))[0]
    assert shifted["probabilities"] != plain["probabilities"]
    assert "same images" not in shown and "fitted on the images" in called(
        capsys, "evaluate", run, "--calibrate", "--split", "validation", "--out", tmp_path
    )


@pytest.mark.after
def test_views(run, tmp_path, capsys):
    shown = called(capsys, "evaluate", run, "--tta", "flip", "--limit", "20", "--out", tmp_path)
    assert "flip has mirror images, which do not mean the same in digits" in shown
    assert record(tmp_path)["views"] == 2 and (tmp_path / "mistakes.png").exists()


@pytest.mark.after
def test_ensembles_and_soups(run, tmp_path, capsys):
    older = run / "checkpoints" / "epoch_0002.keras"
    shown = called(capsys, "evaluate", run, older, "--soup", "--out", tmp_path)
    found = json.loads((tmp_path / "ensemble.json").read_text())
    names = [str(run), str(older), *(f"ensemble: {name}" for name in ("mean", "weighted", "greedy"))]
    assert list(found["reports"]) == [*names, "one network: soup of all", "one network: greedy soup"]
    assert all(name in shown for name in names) and "Batch statistics of the soups were estimated" in shown
    for weights in found["weights"].values():
        assert sum(weights) == pytest.approx(1)
    assert (tmp_path / "ensemble.png").read_bytes().startswith(b"\x89PNG")
    called(capsys, "evaluate", run, "--out", tmp_path / "alone")
    assert record(tmp_path / "alone")["loss"] == pytest.approx(found["reports"][str(run)]["loss"], rel=1e-6)
    soup = tmp_path / "soup_of_all"
    called(capsys, "evaluate", soup, "--out", soup)  # a run like any other
    assert record(soup)["loss"] == pytest.approx(found["reports"]["one network: soup of all"]["loss"], rel=1e-5)
    shown = called(capsys, "evaluate", run, older, "--split", "validation")
    assert "No weights are fitted" in shown and "--out FOLDER writes" in shown and "weighted" not in shown


@pytest.mark.after
def test_corruptions(run, tmp_path, capsys):
    shown = called(capsys, "evaluate", run, "--corruptions", "contrast", "--limit", "20", "--out", tmp_path)
    found = json.loads((tmp_path / "robustness.json").read_text())
    assert list(found["errors"]) == ["contrast"] and found["examples"] == 20 and len(found["errors"]["contrast"]) == 5
    assert f"{found['mean_corruption_error']:.2%}" in shown and "AlexNet" not in shown
    for name in ("robustness.png", "corruptions.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert "corruptions must be all, or some of" in refused(capsys, "evaluate", run, "--corruptions", "snow")


@pytest.mark.after
def test_accepted_labels(run, tmp_path, capsys):
    numbers = data.load("digits").split("test").numbers
    (tmp_path / "real.json").write_text(json.dumps([[int(k)] if i else [] for i, k in enumerate(numbers)]))
    line = ["evaluate", run, "--accepted", tmp_path / "real.json", "--out", tmp_path]
    shown, found = called(capsys, *line), record(tmp_path)
    assert f"{len(numbers) - 1:,}; 1 without labels are left out" in shown and "recall" in shown
    right = found["top1"] * len(numbers)
    assert round(found["accepted"]["top1"] * (len(numbers) - 1)) in (round(right), round(right) - 1)
    assert (tmp_path / "classes.png").read_bytes().startswith(b"\x89PNG")
    assert "one entry an image" in refused(capsys, *line, "--limit", "9")


@pytest.mark.after
def test_runs_that_make_no_ensemble(run, tmp_path, capsys):
    assert "Each run must be given once" in refused(capsys, "evaluate", run, run / "../tiny")
    config = json.loads((run / "config.json").read_text())
    config["data"]["fingerprint"]["train"] = "other"
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "best.keras").write_bytes((run / "best.keras").read_bytes())
    assert "trained and validated on the same images" in refused(capsys, "evaluate", run, tmp_path)
    config["class_names"][0] = "naught"
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert "must have the classes of the checkpoint" in refused(capsys, "evaluate", run, tmp_path)


@pytest.mark.parametrize(
    "words, message",
    [
        ("a b --calibrate", "calibrate is for one run. Received: 2 runs"),
        ("a --corruptions all --tta flip", "Received: tta, too"),
        ("a b --corruptions all", "Received: 2 runs, too"),
        ("a b --accepted c", "accepted is for one run"),
        ("a --soup", "soup is for two runs or more"),
        ("a --checkpoint b", "as arguments or --checkpoint, not both"),
        ("a --model b --weights c", "as arguments or --model, not both"),
        ("", "needs a trained network"),
        ("a --calibrate --calibrated", "give one"),
        ("a --calibrate --tta flip", "calibrate is for one view"),
        (
            "--model resnet18 --weights imagenet --calibrated --data digits --out o",
            "beside which a temperature is kept",
        ),
    ],
)
def test_what_does_not_go_together(words, message, capsys):
    assert message in refused(capsys, "evaluate", *words.split())


@pytest.mark.after
def test_views_are_checked(run, capsys):
    assert "views must be one of these: flip, " in refused(capsys, "evaluate", run, "--tta", "twelve_crop")
