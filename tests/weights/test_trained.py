"""The networks that come trained in the package: they load by name, offline, and know what they were taught."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import kerascnn
from kerascnn import data, evaluation, inference
from kerascnn.weights import cache, published

ROOT = Path(__file__).parents[2]
SHIPPED = [row for row in published() if row.location.startswith("shipped:")]
FEW = np.load(ROOT / "tests/golden/fashion_mnist_40.npz")  # the first test images, MIT license


# Of these, how many are right: what a file gave when it was shipped.
RIGHT = {"lenet5": 37, "resnet20": 38, "tf_mobilenetv1_025_128": 33}


def score(row) -> float:
    """What was measured on all test images, in percent."""
    return row.reported.get("top1", row.reported.get("miou"))


def test_their_files():
    folder = ROOT / "kerascnn/weights/trained"
    files = {path.name: path.stat().st_size for path in folder.glob("*.safetensors")}
    assert files == {row.location.removeprefix("shipped:"): row.bytes for row in SHIPPED}
    assert sum(files.values()) <= 4 * 2**20
    assert all(cache.at_hand(row) and row.hash and row.licence and row.class_names for row in SHIPPED)


def test_the_manual_lists_them():
    lines = (ROOT / "docs/weights.md").read_text(encoding="utf-8").splitlines()
    for row in SHIPPED:
        size = "×".join(str(value) for value in (*row.input_size, row.channels))
        cells = (f"`{row.network}`", f"`{row.tag}`", size, f"{score(row):.2f} %", f"{row.bytes / 1000:.0f} kB")
        assert any(all(f"| {cell} |" in line for cell in cells) for line in lines), cells


def test_their_commands_make_what_was_trained(monkeypatch):
    """Though recipes change: a command names the recipe where it is no longer the network's own."""
    spec = importlib.util.spec_from_file_location("ship_weights", ROOT / "tools/ship_weights.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    images = np.broadcast_to(np.zeros([1], np.uint8), (60_000, 28, 28, 1))  # the set itself is not at hand
    part = data.splits.Arrays(images, np.arange(60_000) % 10)
    clothes = data.Source("fashion_mnist", tuple("0123456789"), (28, 28, 1), {"train": part, "test": part})
    load = data.load
    monkeypatch.setattr(data, "load", lambda name: clothes if name == "fashion_mnist" else load(name))
    folders = [path.parent for path in (ROOT / "results/trained").glob("*/config.json")]
    assert {folder.name for folder in folders} == {f"{row.network}-{row.tag}" for row in SHIPPED}
    for folder in folders:
        config, report = (json.loads((folder / f"{name}.json").read_text()) for name in ("config", "evaluation"))
        assert tool.command(config) == report["command"]


@pytest.mark.parametrize("row", SHIPPED, ids=lambda row: f"{row.network}-{row.tag}")
def test_they_know_what_they_were_taught(row, monkeypatch):
    monkeypatch.setenv("KERASCNN_OFFLINE", "1")
    model = kerascnn.create_model(row.network, weights=row.tag)
    assert model.input_shape[1:] == (*row.input_size, row.channels)
    places = row.input_size if "miou" in row.reported else ()
    assert model.output_shape == (None, *places, row.classes) and len(row.class_names) == row.classes
    constants = kerascnn.model_preprocessing(model)
    assert constants == row.preprocessing
    predictor = inference.Predictor.from_model(model, row.class_names)
    if row.tag == "fashion_mnist":  # which is too large to be here
        images = np.stack([predictor.prepare(image) for image in FEW["images"]])
        right = np.sum(predictor.predict(images).argmax(axis=-1) == FEW["labels"])
        assert abs(right - RIGHT[row.network]) <= 1  # sums are in another order on another processor
    else:
        test = data.eval_pipeline(
            data.load(row.tag), "test", image_shape=predictor.input_shape, preprocessing=constants, batch_size=60
        )
        report = evaluation.evaluate(predictor, test).to_dict()
        found = report["mean_iou" if "miou" in row.reported else "top1"]
        assert 100 * found == pytest.approx(score(row), abs=0.3)  # of digits, one of 360
    assert row.tag in kerascnn.model_info(row.network).weights
    assert row.network in kerascnn.list_models(pretrained=True)


def test_another_size_and_other_classes():
    model = kerascnn.create_model("lenet5", weights="fashion_mnist", classes=3)
    assert model.output_shape == (None, 3)
    trained = kerascnn.create_model("lenet5", weights="fashion_mnist")
    np.testing.assert_array_equal(model.get_layer("c1").kernel, trained.get_layer("c1").kernel)
