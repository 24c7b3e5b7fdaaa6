"""Plain and residual networks by depth."""

import importlib

import numpy as np
import pytest

from kerascnn import data, studies
from kerascnn._errors import InputError

module = importlib.import_module("kerascnn.studies.degradation")
DIGITS = data.load("digits", limit=300)
IMAGES, LABELS = (np.stack(part) for part in zip(*DIGITS.dataset("train").as_numpy_iterator(), strict=True))
SMALL = {"depths": (8, 14), "width": 4, "steps": 12, "batch_size": 16, "draws": 2}


@pytest.mark.after
def test_it_measures_and_is_resumed(tmp_path, monkeypatch):
    found = studies.degradation(IMAGES, LABELS, **SMALL, folder=tmp_path / "rows")
    for name in ("loss", "accuracy", "held_loss", "held_accuracy"):
        assert found.arrays[name].shape == (2, 2, 2) and np.isfinite(found.arrays[name]).all()
    # Draws differ, and so do kinds and depths.
    assert len(np.unique(found.arrays["loss"])) == 8
    assert found.settings["images"] == 240 and found.settings["held_out"] == 60
    found.save(tmp_path / "study")
    monkeypatch.setattr(module, "Trainer", None)  # all rows are there
    again = studies.degradation(IMAGES, LABELS, **SMALL, folder=tmp_path / "rows")
    np.testing.assert_array_equal(again.arrays["loss"], found.arrays["loss"])
    with pytest.raises(InputError, match="rows of another study: steps differ"):
        studies.degradation(IMAGES, LABELS, **{**SMALL, "steps": 13}, folder=tmp_path / "rows")


def test_claims():
    loss = np.array([[[1.0, 2, 9], [3, 3, 3]], [[1, 1, 1], [0.5, 1, 1]]])
    assert list(module._claims({"loss": loss}).values()) == [True, True, True]
    loss[0, 1] = np.nan  # diverged: as bad as can be
    loss[1, 1] = 1.5
    assert list(module._claims({"loss": loss}).values()) == [True, False, True]
    assert module._claims({"loss": loss[:, :1]}) == {}


@pytest.mark.parametrize(
    "options, told",
    [
        ({"depths": (8, 10)}, r"depths must be 6 \* blocks \+ 2 each"),
        ({"depths": (20, 8)}, "depths must be ascending"),
        ({"width": 0}, "width"), ({"steps": 0}, "steps"), ({"batch_size": 241}, "batch_size"), ({"draws": 0}, "draws"),
        ({"learning_rate": 0}, "learning_rate"), ({"seed": -1}, "seed"), ({"held_out": 1.0}, "held_out"),
    ],
)  # fmt: skip
def test_what_is_refused(options, told):
    with pytest.raises(InputError, match=told):
        studies.degradation(IMAGES, LABELS, **{**SMALL, **options})
