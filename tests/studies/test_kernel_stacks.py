"""Stacks of 3x3 convolutions against single larger ones."""

import importlib

import numpy as np
import pytest

from kerascnn import analysis, data, studies
from kerascnn._errors import InputError
from kerascnn.studies.trials import Draws

module = importlib.import_module("kerascnn.studies.kernel_stacks")
DIGITS = data.load("digits", limit=300)
IMAGES, LABELS = (np.stack(part) for part in zip(*DIGITS.dataset("train").as_numpy_iterator(), strict=True))
SMALL = {"sizes": (5, 7), "width": 4, "stages": 1, "steps": 5, "batch_size": 16, "draws": 2}


def test_it_measures_and_is_resumed(tmp_path, monkeypatch):
    found = studies.kernel_stacks(IMAGES, LABELS, **SMALL, folder=tmp_path / "rows")
    for name in ("loss", "accuracy", "held_loss", "held_accuracy"):
        assert found.arrays[name].shape == (2, 2, 2) and np.isfinite(found.arrays[name]).all()
    assert len(np.unique(found.arrays["loss"])) == 8  # draws, kinds and sizes differ
    np.testing.assert_array_equal(found.arrays["weights"], 16 * np.array([[18, 25], [27, 49]]))
    assert found.settings["images"] == 240 and found.settings["held_out"] == 60 and len(found.claims) == 6
    found.save(tmp_path / "study")
    monkeypatch.setattr(module, "Trainer", None)  # all rows are there
    again = studies.kernel_stacks(IMAGES, LABELS, **SMALL, folder=tmp_path / "rows")
    np.testing.assert_array_equal(again.arrays["loss"], found.arrays["loss"])
    with pytest.raises(InputError, match="rows of another study: width differ"):
        studies.kernel_stacks(IMAGES, LABELS, **{**SMALL, "width": 5}, folder=tmp_path / "rows")


@pytest.mark.parametrize("kernels", [(3, 3), (5,), (3, 3, 3), (7,)])
def test_costs_are_those_of_the_analysis(kernels):
    model = module.stacked((28, 28, 3), 10, Draws(0), kernels, 6, 2)
    weights, parameters, macs, field = module._costs(model)
    cost = analysis.count(model)
    assert not cost.unknown and (parameters, macs) == (cost.params_trainable, cost.macs)
    assert weights == sum(kernel**2 for kernel in kernels) * 36
    # The stem sees 3 pixels in steps of 2; the first stage's kernels add two steps for each that they reach, the pool
    # one, and those of the second stage four.
    reach = sum(kernel - 1 for kernel in kernels)
    assert field == 3 + 2 * reach + 2 + 4 * reach
    assert model.get_layer("stage1_conv1").output.shape == (None, 14, 14, 6)
    assert model.get_layer(f"stage2_conv{len(kernels)}").output.shape == (None, 7, 7, 6)


def made_up():
    """One size, three draws, kinds stack and single."""
    return {
        "sizes": np.array([7]), "weights": np.array([[27 * 64, 49 * 64]]), "macs": np.array([[50, 90]]),
        "field": np.array([[7, 7]]), "held_loss": np.ones((1, 2, 3)),
        "held_accuracy": np.array([[[0.8, 0.9, 0.1], [0.7, 0.8, 0.95]]]),
    }  # fmt: skip


@pytest.mark.parametrize(
    "name, place, value, expected",
    [
        ("sizes", 0, 7, [True, True, True]), ("field", (0, 1), 9, [False, True, True]),
        ("macs", (0, 0), 90, [True, False, True]), ("weights", (0, 0), 49 * 64, [True, False, True]),
        ("held_accuracy", (0, 1), 0.81, [True, True, False]),
        ("held_loss", (0, 1), np.nan, [True, True, True]),  # the single ones have diverged
        ("held_loss", (0, 0), np.inf, [True, True, False]), ("held_loss", 0, np.nan, [True, True, False]),
        ("held_loss", (0, 0, 2), np.nan, [True, True, True]),  # one draw of three: the median stays
        ("held_loss", (0, 0, 1), np.nan, [True, True, False]),
    ],
)  # fmt: skip
def test_claims(name, place, value, expected):
    arrays = made_up()
    arrays[name][place] = value
    assert list(module._claims(arrays).values()) == expected


def test_claims_name_the_sizes():
    told = list(module._claims(made_up()))
    assert told[0] == "3 convolutions of 3x3 see as many pixels as one of 7x7"
    assert "27 C^2 against 49 C^2" in told[1]


@pytest.mark.parametrize(
    "options, told",
    [
        ({"sizes": (5, 6)}, "sizes must be odd"), ({"sizes": (3, 5)}, "sizes"), ({"sizes": (7, 5)}, "sizes must"),
        ({"width": 0}, "width"), ({"stages": 0}, "stages"), ({"steps": 0}, "steps"), ({"batch_size": 241}, "batch"),
        ({"draws": 0}, "draws"), ({"learning_rate": 0}, "learning_rate"), ({"seed": -1}, "seed"),
        ({"held_out": 1.0}, "held_out"),
    ],
)  # fmt: skip
def test_what_is_refused(options, told):
    with pytest.raises(InputError, match=told):
        studies.kernel_stacks(IMAGES, LABELS, **{**SMALL, **options})
