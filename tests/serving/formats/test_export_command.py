"""kerascnn export --format, and predict and evaluate on what it wrote."""

import importlib.util
import json

import numpy as np
import pytest
from PIL import Image

from kerascnn import cli, data, inference, serving
from kerascnn._errors import InputError
from kerascnn.serving import formats
from kerascnn.serving.formats import quantize

MODULES = {"onnx": ("tf2onnx", "onnx", "onnxruntime"), "litert": ("ai_edge_litert",), "openvino": ("openvino",)}


def each(*names):
    """Those whose packages are there; the others are skipped."""
    absent = {name: [x for x in MODULES[name] if importlib.util.find_spec(x) is None] for name in names}
    reasons = {name: f"needs the extra {name}: no {', '.join(missing)}" for name, missing in absent.items()}
    return [pytest.param(x, marks=pytest.mark.skipif(bool(absent[x]), reason=reasons[x])) for x in names]


@pytest.fixture(scope="module")
def run(train, tmp_path_factory):
    """A run of the tiny network on digits."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    train(folder)
    return folder


def rows(capsys):
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", each("onnx", "litert", "openvino"))
def test_a_run_is_exported_predicted_and_evaluated(name, run, tmp_path, capsys):
    out, shown = tmp_path / "out", tmp_path / "shown"
    assert cli.main(["export", "--checkpoint", str(run), "--format", name, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"exported and checked: {out}/1" in said and "alone (tensors" in said
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 8), np.uint8)).save(tmp_path / "a.png")
    answers = []
    for source in (["--checkpoint", str(run)], ["--saved-model", str(out)]):
        assert cli.main(["predict", *source, "--json", str(tmp_path / "a.png")]) == 0
        answers += rows(capsys)
    assert answers[0]["classes"] == answers[1]["classes"]
    np.testing.assert_allclose(answers[0]["probabilities"], answers[1]["probabilities"], atol=1e-5)
    reports = []
    for source in ([str(run)], ["--saved-model", str(out)]):
        assert cli.main(["evaluate", *source, "--data", "digits", "--out", str(shown)]) == 0
        reports.append(json.loads((shown / "evaluation.json").read_text()))
    assert reports[0]["top1"] == reports[1]["top1"] and reports[1]["examples"] == reports[0]["examples"]
    np.testing.assert_allclose(reports[0]["loss"], reports[1]["loss"], rtol=1e-4)


@pytest.mark.after
@pytest.mark.parametrize("name", each("onnx", "litert", "openvino"))
def test_int8_takes_the_images_of_the_run(name, run, tmp_path, capsys):
    if name == "openvino":
        pytest.importorskip("tf2onnx", reason="OpenVINO's int8 needs the extra onnx")
    line = ["export", "--checkpoint", str(run), "--format", name, "--out", str(tmp_path / "out")]
    assert cli.main([*line, "--quantize", "int8", "--calibration_images", "32", "--seed", "5"]) == 0
    assert "int8: the same class for" in capsys.readouterr().out
    quantization = serving.read_report(tmp_path / "out").quantization
    assert quantization["data"] == "digits" and quantization["images"] == 32 and quantization["seed"] == 5
    assert quantization["agreement"] >= 0.8
    line = ["evaluate", "--saved-model", str(tmp_path / "out"), "--data", "digits", "--out", str(tmp_path / "shown")]
    assert cli.main(line) == 0
    before = serving.exporting.predictor_of(inference.checkpoint.load(run))
    images = np.stack([before.prepare(image) for image, _ in data.load("digits").dataset("test").take(64)])
    agreement = quantize.agreement(before.predict(images), formats.load(tmp_path / "out").predict(images))
    assert agreement["agreement"] >= 0.8


REFUSED = [
    ("--calibration digits", "calibration is for --quantize int8. Received: calibration=digits"),
    ("--data_dir x", "data_dir is for --quantize int8. Received: data_dir=x"),
    (
        "--quantize int8 --native --precision float16",
        "Give --quantize or --precision, not both. Received: int8 and float16",
    ),
    ("--quantize int4", "quantize must be one of none, int8. Received: quantize='int4'"),
    ("--precision half", "precision must be one of float32, bfloat16, float16. Received: precision='half'"),
    ("--quantize int8 --calibration_images 0", "calibration_images must be a whole number from 1 to"),
    ("--quantize int8", "--quantize int8 of a SavedModel needs --native. Received: native=False"),
    ("--quantize int8 --native --calibration digits", "scales from the numbers as they come. Received: calibration"),
    ("--format onxx", "format must be one of litert, onnx, openvino, saved_model"),
]


@pytest.mark.parametrize("flags, message", REFUSED)
def test_a_line_that_asks_for_too_much_is_told_why(flags, message, run, tmp_path, capsys):
    line = ["export", "--checkpoint", str(run), "--out", str(tmp_path / "out"), *flags.split()]
    assert cli.main(line) == 2
    said = capsys.readouterr().err
    assert message in said and len(said.strip().splitlines()) == 1 and not (tmp_path / "out").exists()


def test_a_network_by_its_name_needs_calibration_data(tmp_path, capsys):
    line = ["export", "--model", "lenet5", "--weights", "x", "--out", str(tmp_path / "out"), "--quantize", "int8"]
    line += ["--format", "litert"]
    assert cli.main(line) == 2 and "needs --calibration DATA" in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags, message",
    [
        ("", "needs --data and --out"),
        ("--data digits --out o --checkpoint r", "is the one network that is measured. Received: --checkpoint, too"),
        ("--data digits --out o runs/a", "is the one network that is measured. Received: runs/a, too"),
        ("--data digits --out o --calibrate", "calibrate is for runs. Received: --saved_model"),
        ("--data digits --out o", "no such folder"),
    ],
)
def test_evaluate_refuses_what_does_not_fit_an_export(flags, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["evaluate", "--saved-model", str(tmp_path / "none"), *flags.split()]) == 2
    assert message in capsys.readouterr().err


def test_calibration_draws_training_images_alone(run):
    predictor, source = inference.checkpoint.load(run), data.load("digits")
    found = quantize.calibration(source, predictor, 50, seed=3)
    again = quantize.calibration(source, predictor, 50, seed=3)
    np.testing.assert_array_equal(found.images, again.images)
    assert found.images.shape == found.compared.shape == (50, *predictor.input_shape)
    assert not np.array_equal(found.images, quantize.calibration(source, predictor, 50, seed=4).images)
    training = {predictor.prepare(image).tobytes() for image, _ in source.dataset("train")}
    drawn = [image.tobytes() for image in (*found.images, *found.compared)]
    assert set(drawn) <= training
    # Each image of the part comes once; some pictures of this set are equal.
    everything = quantize.calibration(source, predictor, 10**4)
    assert len(everything.images) == source.sizes["train"] and everything.origin["compared_on"] == "the same images"
    for arguments, message in (
        ((source, predictor, 0), "calibration_images must be a whole number"),
        (("digits", predictor), "calibration must be a data.Source"),
        ((data.load("shapes"), predictor), "must be for classification. Received: shapes, segmentation"),
        ((source, predictor, 10**9), "must fit into 2 GiB. Received: 1000000000 images"),
    ):
        with pytest.raises(InputError, match=message):
            quantize.calibration(*arguments)
