"""The cheapest network of every family in every format: it answers there as in memory."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import kerascnn
from kerascnn import serving

MODULES = {"onnx": ("tf2onnx", "onnx", "onnxruntime"), "litert": ("ai_edge_litert",), "openvino": ("openvino",)}
FACTS = json.loads((Path(kerascnn.__file__).parent / "applications/facts.json").read_text(encoding="utf-8"))


def cheapest():
    """The network with the fewest multiply-adds of each family."""
    found: dict[str, tuple[float, str]] = {}
    for name in kerascnn.list_models():
        row = FACTS.get(name, {}).get("macs", float("inf")), name
        family = kerascnn.model_info(name).family
        found[family] = min(row, found.get(family, row))
    return sorted(name for _, name in found.values())


@pytest.mark.slow
@pytest.mark.parametrize("format", list(MODULES))
@pytest.mark.parametrize("name", cheapest())
def test_a_family_answers_in_every_format(name, format, tmp_path):
    absent = [module for module in MODULES[format] if importlib.util.find_spec(module) is None]
    if absent:
        pytest.skip(f"needs the extra {format}: no {', '.join(absent)}")
    model = kerascnn.create_model(name, classes=10)
    random = np.random.default_rng(0)
    for weight in model.weights:  # a head of zeros would give equal probabilities, whatever comes before
        if len(weight.shape) > 1 and not np.any(weight):
            weight.assign(0.05 * random.normal(size=weight.shape))
    folder = serving.export(model, tmp_path / "out", format=format, class_names=list("abcdefghij"))
    report = serving.read_report(folder)
    assert report.fresh_process["tensors"] < 1e-4 and report.precision == "float32"
