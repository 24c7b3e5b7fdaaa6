"""The closed world: every network is recorded, the record equals the published numbers, and rebuilding equals it."""

import json
from pathlib import Path

import pytest

from kerascnn import applications
from kerascnn.applications import _registry

ROOT = Path(__file__).parents[2]
PUBLISHED = json.loads((ROOT / "tests/golden/published.json").read_text(encoding="utf-8"))
ROWS = json.loads((ROOT / "kerascnn/applications/rows.json").read_text(encoding="utf-8"))
FACTS = json.loads((ROOT / "kerascnn/applications/facts.json").read_text(encoding="utf-8"))


def test_every_network_is_recorded_and_published():
    assert set(FACTS) == set(applications.list_models()), "run tools/golden.py --record NAME"
    assert set(PUBLISHED) == set(FACTS), "add the independent numbers and their source to tests/golden/published.json"


def test_the_recorded_rows_are_those_of_the_families():
    assert ROWS == _registry.rows_of_families(), "run tools/golden.py --rows"


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_the_record_equals_the_published_numbers(name):
    fact, published = FACTS[name], PUBLISHED[name]
    assert fact["params"] == published["params"], published["source"]
    assert fact["params_other"] == published["bn_statistics"], published["source"]
    if published["macs"] is not None:
        assert fact["macs"] == pytest.approx(published["macs"], rel=0.01), published["source"]


def test_rebuilding_equals_the_record(network, golden):
    assert golden.differences(FACTS[network], golden.record(network)) == []


def test_differences_are_named(golden):
    old = {"params": 1, "macs": 2, "fingerprint": {"input": [2, 2, 1], "mean": 0.0, "std": 1.0}}
    new = {"params": 1, "macs": 3, "fingerprint": {"input": [2, 2, 1], "mean": 0.00005, "std": 1.001}}
    assert golden.differences(old, old) == []
    assert golden.differences(old, new) == ["logits_std: 1.0 -> 1.001", "macs: 2 -> 3"]
    assert golden.differences({**old, "receptive_field": 7}, {**old, "receptive_field": 9}) == [
        "receptive_field: 7 -> 9"
    ]


def test_facts_reach_model_info():
    info = applications.model_info("lenet5")
    assert (info.params, info.macs, info.activations, info.receptive_field) == (61_706, 416_520, 8_094, 32)
