"""Groups of convolutions at the same cost."""

import importlib

import numpy as np
import pytest

from kerascnn import data, studies
from kerascnn._errors import InputError
from kerascnn.analysis import count
from kerascnn.studies.trials import Draws

module = importlib.import_module("kerascnn.studies.cardinality")
DIGITS = data.load("digits", limit=100)
IMAGES, LABELS = (np.stack(part) for part in zip(*DIGITS.dataset("train").as_numpy_iterator(), strict=True))
SMALL = {"cardinalities": (1, 2), "width": 2, "steps": 4, "batch_size": 16, "draws": 2}


@pytest.mark.after
def test_it_measures_and_is_resumed(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "STAGES", 1)  # the others have the same and take long to trace
    found = studies.cardinality(IMAGES, LABELS, **SMALL, folder=tmp_path / "rows")
    for name in ("loss", "accuracy", "held_loss", "held_accuracy"):
        assert found.arrays[name].shape == (6, 2) and np.isfinite(found.arrays[name]).all()
    assert len(np.unique(found.arrays["loss"])) == 12  # networks and draws differ
    assert found.arrays["cardinality"].tolist() == [1, 2, 1, 1, 2, 4]
    assert found.arrays["blocks"].tolist() == [1, 1, 2, 1, 1, 1]
    assert found.arrays["networks"].tolist() == ["1x2d", "2x1d", "1x2d", "1x3d", "2x2d", "4x1d"]
    assert found.arrays["macs"].shape == found.arrays["params"].shape == (6,)
    found.save(tmp_path / "study")
    monkeypatch.setattr(module, "Trainer", None)  # all rows are there
    again = studies.cardinality(IMAGES, LABELS, **SMALL, folder=tmp_path / "rows")
    np.testing.assert_array_equal(again.arrays["loss"], found.arrays["loss"])
    with pytest.raises(InputError, match="rows of another study: blocks differ"):
        studies.cardinality(IMAGES, LABELS, **SMALL, blocks=2, folder=tmp_path / "rows")


def test_widths_of_groups_are_those_of_the_paper():
    """Table 2: blocks of 256 channels with about 70,000 weights."""
    weights = module.block_weights(1, 64, 256)
    assert weights == 256 * 64 + 3 * 3 * 64 * 64 + 64 * 256
    widths = {groups: module.group_width(groups, 256, weights) for groups in (1, 2, 4, 8, 32)}
    assert widths == {1: 64, 2: 40, 4: 24, 8: 14, 32: 4}


@pytest.mark.parametrize("groups, channels, weights", [(1, 8, 100), (3, 32, 5000), (16, 64, 4352), (64, 32, 10)])
def test_no_other_width_is_nearer(groups, channels, weights):
    found = module.group_width(groups, channels, weights)
    away = [abs(module.block_weights(groups, width, channels) - weights) for width in range(1, 200)]
    assert found == np.argmin(away) + 1


def test_counted_costs_are_those_by_hand():
    """28x28 images, two blocks a stage: the stem, the blocks, the transitions, the classifier."""
    variant = module.Variant("same cost", 4, (6, 12, 24), 2)
    cost = count(module.network((28, 28, 1), 10, Draws(0), variant, 16))
    macs, params = 14 * 14 * 9 * 64 + 2560, 9 * 64 + 2 * 64 + 2570
    for stage, group in enumerate(variant.widths):
        channels, inner, size = 64 * 2**stage, 4 * group, (14, 7, 4)[stage]
        block = 2 * channels * inner + 9 * group * inner
        assert block == module.block_weights(4, group, channels)
        transition = channels * channels // 2 if stage else 0
        macs += size**2 * (2 * block + transition)
        params += 2 * (block + 4 * inner + 2 * channels) + (transition + 2 * channels if stage else 0)
    assert not cost.unknown
    assert (cost.macs, cost.params_trainable) == (macs, params)


@pytest.mark.parametrize("width", [8, 16])
def test_the_same_cost_and_twice_the_cost(width):
    compared = module.variants((1, 2, 4, 16), width, 2)
    costs = [count(module.network((28, 28, 1), 10, Draws(0), x, width)) for x in compared]
    macs, params = (np.array([getattr(x, name) for x in costs]) for name in ("macs", "params_trainable"))
    assert abs(macs[:4] / macs[0] - 1).max() < 0.07 and abs(params[:4] / params[0] - 1).max() < 0.1
    assert ((macs[4:] / macs[0] > 1.7) & (macs[4:] / macs[0] < 2)).all()
    weights = [sum(module.block_weights(x.cardinality, w, 4 * width * 2**stage) * x.blocks
                   for stage, w in enumerate(x.widths)) for x in compared]  # fmt: skip
    assert weights[6] == 2 * weights[0] and weights[7] == 2 * weights[3] and weights[4] == 2 * weights[0]
    assert abs(weights[5] / weights[0] - 2) < 0.05


def test_claims():
    held = 1 - np.array([[0.3, 0.3, 0.9], [0.2] * 3, [0.1] * 3, [0.15] * 3, [0.16] * 3, [0.09] * 3, [0.08] * 3])
    loss = np.linspace(1, 0.1, 7)[:, None] * np.ones(3)
    assert list(module._claims({"held_accuracy": held, "loss": loss}).values()) == [True] * 6
    loss[2, 1:] = np.nan  # diverged: as bad as can be
    assert list(module._claims({"held_accuracy": held, "loss": loss}).values()) == [True] * 2 + [False] + [True] * 3
    held[1] = held[0]
    held[5] = 0.845  # one of both with more groups is worse than the deeper network, not than the wider one
    held[3] = 0.85
    held[4] = 0.84
    found = list(module._claims({"held_accuracy": held, "loss": loss}).values())
    assert found == [False, True, False, False, True, True]


@pytest.mark.parametrize(
    "options, told",
    [
        ({"cardinalities": (1,)}, "ascending from 1, at least two"), ({"cardinalities": (2, 4)}, "ascending from 1"),
        ({"cardinalities": (2, 1)}, "ascending"), ({"cardinalities": (0, 1)}, "cardinalities"),
        ({"width": 1}, "width"), ({"blocks": 0}, "blocks"), ({"steps": 0}, "steps"), ({"batch_size": 81}, "batch_size"),
        ({"learning_rate": 0}, "learning_rate"), ({"draws": 0}, "draws"), ({"seed": -1}, "seed"),
        ({"held_out": 1.0}, "held_out"),
    ],
)  # fmt: skip
def test_what_is_refused(options, told):
    with pytest.raises(InputError, match=told):
        studies.cardinality(IMAGES, LABELS, **{**SMALL, **options})
