"""Depth, width and filter size at the same cost."""

import dataclasses
import importlib

import numpy as np
import pytest

from kerascnn import data, studies
from kerascnn._errors import InputError
from kerascnn.analysis import count
from kerascnn.studies.trials import Draws, processor_seconds

module = importlib.import_module("kerascnn.studies.constrained_cost")
DIGITS = data.load("digits", limit=100)
IMAGES, LABELS = (np.stack(part) for part in zip(*DIGITS.dataset("train").as_numpy_iterator(), strict=True))
SMALL = {"depths": (1, 2), "kernels": (5,), "width": 6, "stem": 2, "steps": 4, "batch_size": 16, "draws": 2}


def test_it_measures_and_is_resumed(tmp_path, monkeypatch):
    found = studies.constrained_cost(IMAGES, LABELS, **SMALL, folder=tmp_path / "rows")
    for name in ("loss", "accuracy", "held_loss", "held_accuracy", "forward_seconds", "step_seconds"):
        assert found.arrays[name].shape == (4, 2) and np.isfinite(found.arrays[name]).all()
    assert len(np.unique(found.arrays["loss"])) == 8  # networks and draws differ
    assert (found.arrays["forward_seconds"] > 0).all() and (found.arrays["step_seconds"] > 0).all()
    assert found.arrays["networks"].tolist() == ["1 of 3x3", "2 of 3x3", "1 of 5x5", "2 of 3x3 delayed"]
    assert found.arrays["widths"][0].tolist() == [6, 12]
    assert found.arrays["widths"][1].tolist() == found.arrays["widths"][3].tolist()
    found.save(tmp_path / "study")
    monkeypatch.setattr(module, "Trainer", None)  # all rows are there
    again = studies.constrained_cost(IMAGES, LABELS, **SMALL, folder=tmp_path / "rows")
    np.testing.assert_array_equal(again.arrays["loss"], found.arrays["loss"])
    with pytest.raises(InputError, match="rows of another study: stem differ"):
        studies.constrained_cost(IMAGES, LABELS, **{**SMALL, "stem": 3}, folder=tmp_path / "rows")


@pytest.mark.parametrize("shape", [(28, 28, 1), (9, 13, 3)])
@pytest.mark.parametrize("depth, kernel, delayed", [(1, 3, False), (3, 3, True), (1, 3, True), (2, 7, False)])
def test_the_formula_is_what_is_counted(shape, depth, kernel, delayed):
    variant = module.Variant(depth, kernel, delayed, (5, 7))
    found = count(module.network(shape, 4, Draws(0), variant, 3))
    assert module.multiply_adds(shape, 4, variant, 3)[1] == found.macs and not found.unknown


def test_costs_are_the_same_and_no_other_width_is_nearer():
    compared = module.variants((28, 28, 1), 10, (1, 2, 3, 6, 12), (5, 7), 32, 8)
    costs = np.array([module.multiply_adds((28, 28, 1), 10, variant, 8) for variant in compared])
    assert len(compared) == 8 and abs(costs[:, 1] / costs[0, 1] - 1).max() < 0.025
    assert abs(costs[:, 0] / costs[0, 0] - 1).max() < 0.2
    for variant, cost in zip(compared[1:], costs[1:], strict=True):
        for change in (-1, 1):
            widths = (variant.widths[0], variant.widths[1] + change)
            other = module.multiply_adds((28, 28, 1), 10, dataclasses.replace(variant, widths=widths), 8)[1]
            assert abs(other - costs[0, 1]) >= abs(cost[1] - costs[0, 1])
    # By hand: the base's stages are 14x14 and 7x7.
    assert costs[0].tolist() == [196 * 9 * 8 * 32, 196 * 9 * 8 + 196 * 9 * 8 * 32 + 49 * 9 * 32 * 64 + 640]


def test_the_delayed_network_has_the_same_maps():
    of = {delayed: module.network((28, 28, 1), 10, Draws(0), module.Variant(2, 3, delayed, (4, 6)), 3)
          for delayed in (False, True)}  # fmt: skip
    assert [of[x].get_layer("pool").output.shape[1] for x in (False, True)] == [7, 14]
    assert [of[x].get_layer("stage2_conv2").output.shape for x in (False, True)] == [(None, 7, 7, 6)] * 2
    for a, b in zip(of[False].get_weights(), of[True].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_processor_time_is_told_for_any_batch():
    model = module.network((8, 8, 1), 4, Draws(0), module.Variant(1, 3, False, (2, 2)), 2)
    assert 0 < processor_seconds(model, np.zeros((5, 8, 8, 1), "float32"), runs=2) < 60


def test_claims():
    arrays = {"depths": np.array([1, 2, 3, 6, 1, 1, 3]), "kernels": np.array([3, 3, 3, 3, 5, 7, 3]),
              "held_accuracy": 1 - np.array([0.5, 0.4, 0.3, 0.6, 0.45, 0.35, 0.29])[:, None] * np.ones(3)}  # fmt: skip
    arrays["held_accuracy"][1, 0] = 0  # medians are compared
    assert list(module._claims(arrays).values()) == [True] * 5
    assert "3 layers of 3x3 are ahead of 1 of 7x7 at the same cost" == list(module._claims(arrays))[3]
    arrays["held_accuracy"][:4, :] = 0.5
    arrays["held_accuracy"][-1] = 0.5
    assert list(module._claims(arrays).values()) == [False] * 5
    short = {name: values[[0, 4, 0]] for name, values in arrays.items()}
    assert list(module._claims(short)) == ["Delayed subsampling lowers the held-out error"]


@pytest.mark.parametrize(
    "options, told",
    [
        ({"depths": (2, 1)}, "depths must be ascending"), ({"depths": (0, 1)}, "depths"),
        ({"kernels": (4,)}, "kernels"), ({"kernels": (6,)}, "kernels must be odd"), ({"kernels": (3, 5)}, "kernels"),
        ({"width": 0}, "width"),
        ({"stem": 0}, "stem"), ({"steps": 1}, "steps"), ({"batch_size": 81}, "batch_size"),
        ({"learning_rate": 0}, "learning_rate"), ({"draws": 0}, "draws"), ({"seed": -1}, "seed"),
        ({"held_out": 1.0}, "held_out"),
    ],
)  # fmt: skip
def test_what_is_refused(options, told):
    with pytest.raises(InputError, match=told):
        studies.constrained_cost(IMAGES, LABELS, **{**SMALL, **options})
