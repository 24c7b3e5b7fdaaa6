"""Paths between networks: what is measured is the networks', and what is claimed follows from it."""

import importlib

import numpy as np
import pytest

from kerascnn import data, studies
from kerascnn._errors import InputError
from kerascnn.studies.trials import divided, measure

module = importlib.import_module("kerascnn.studies.paths")
DIGITS = data.load("digits", limit=200)
IMAGES, LABELS = (np.stack(part) for part in zip(*DIGITS.dataset("train").as_numpy_iterator(), strict=True))
SMALL = {
    "blocks": (1,), "widths": (2, 3), "minima": 2, "rounds": 1, "steps": 25, "batch_size": 32, "rates": (0.05, 0.005),
    "cycle_steps": 6, "pivots": 3,
}  # fmt: skip


@pytest.mark.after
def test_it_measures_and_is_resumed(tmp_path, monkeypatch):
    found = studies.paths(IMAGES, LABELS, **SMALL, folder=tmp_path / "rows")
    arrays = found.arrays
    assert list(arrays["blocks"]) == [1, 1] and list(arrays["widths"]) == [2, 3]
    for name in ("line", "path"):
        assert np.isnan(arrays[name][:, [0, 1], [0, 1]]).all()
        np.testing.assert_array_equal(arrays[name][:, 0, 1], arrays[name][:, 1, 0])
    assert (arrays["path"][:, 0, 1] <= arrays["line"][:, 0, 1]).all()
    assert (arrays["path"][:, 0, 1] >= arrays["loss"].max(axis=1)).all()
    np.testing.assert_array_equal(arrays["saddle"], arrays["path"][:, 0, 1])
    np.testing.assert_array_equal(arrays["saddles"][:, 0, 1], arrays["saddle"])
    np.testing.assert_array_equal(arrays["cycles"][:, 0], arrays["straight"])
    # Both ways lead from the lower minimum to the other one.
    for name in ("path_loss", "line_loss"):
        np.testing.assert_array_equal(np.sort(arrays["loss"]), arrays[name][:, [0, -1]])
    # The minima are the trained networks, and half way is the network between them.
    examples = divided(IMAGES, LABELS, 0.2)
    models = [module._trained(examples, 1, 2, draw, found.settings) for draw in range(2)]
    for draw, model in enumerate(models):
        loss = measure(model, examples.images, examples.labels)[0]
        assert arrays["loss"][0, draw] == pytest.approx(loss, rel=1e-4)
        accuracy = measure(model, examples.held_images, examples.held_labels)[1]
        assert arrays["held_accuracy"][0, draw] == pytest.approx(accuracy, abs=0.03)
    between = [(one + other) / 2 for one, other in zip(*(model.get_weights() for model in models), strict=True)]
    models[0].set_weights(between)
    loss = measure(models[0], examples.images, examples.labels)[0]
    assert arrays["line_loss"][0, 50] == pytest.approx(loss, rel=1e-4)
    found.save(tmp_path / "study")
    monkeypatch.setattr(module, "Trainer", None)  # all rows are there
    again = studies.paths(IMAGES, LABELS, **SMALL, folder=tmp_path / "rows")
    np.testing.assert_array_equal(again.arrays["path_loss"], arrays["path_loss"])
    with pytest.raises(InputError, match="rows of another study: pivots differ"):
        studies.paths(IMAGES, LABELS, **{**SMALL, "pivots": 4}, folder=tmp_path / "rows")


@pytest.mark.after
def test_residual_networks_with_statistics_of_the_batch():
    options = {"kind": "residual", "norm": "batch", "widths": (2,), "rates": (0.01,), "minima": 3, "rounds": 0}
    found = studies.paths(IMAGES, LABELS, **{**SMALL, **options})
    assert np.isfinite(found.arrays["path_loss"]).all()
    assert np.isnan(found.arrays["path"][0]).sum() == 3 + 2  # the diagonal, and the pair that the tree does without
    assert np.isfinite(found.arrays["saddles"]).all()


def test_trainings_that_diverge(tmp_path):
    found = studies.paths(IMAGES, LABELS, **{**SMALL, "learning_rate": 1e30})
    assert np.isnan(found.arrays["path"]).all() and np.isnan(found.arrays["saddle"]).all()
    assert len(found.claims) == 3 and not any(found.claims.values())
    found.draw(tmp_path / "picture.png")


def test_claims():
    arrays = {"blocks": np.array([1, 2, 1]), "widths": np.array([4, 4, 8]), "minimum": np.array([0.1, 0.02, 0.0])}
    arrays["saddle"], arrays["straight"] = np.array([0.15, 0.05, 0.06]), np.array([2.0, 1.5, 2.5])
    assert list(module._claims(arrays, 10).values()) == [True] * 4
    arrays["saddle"][1] = 0.19  # more than a tenth of 1.48, and more than 5 % of ln(10)
    assert list(module._claims(arrays, 10).values()) == [False, False, False, True]
    arrays["saddle"][1] = 0.14  # 0.12 above
    assert list(module._claims(arrays, 10).values()) == [True, False, True, True]
    arrays["saddle"][2] = np.nan
    assert list(module._claims(arrays, 10).values()) == [False, False, True, False]


def test_means_are_over_the_spanning_tree():
    """Three minima; the pair of the highest path is no edge of the tree."""
    path = np.array([[np.nan, 1.0, 9.0], [1.0, np.nan, 2.0], [9.0, 2.0, np.nan]])
    row = np.concatenate([[0.1, 0.2, 0.3], [0.5, 0.6, 0.7], (10 * path).ravel(), path.ravel(), np.zeros(4 * 101 + 2)])
    found = module._parts(row[None], 3, 1)
    assert found["saddle"] == 1.5 and found["straight"] == 15 and found["minimum"] == pytest.approx(0.2)
    assert found["saddles"][0, 0, 2] == 2 and found["cycles"].shape == (1, 2)


@pytest.mark.parametrize(
    "options, told",
    [
        ({"blocks": (2, 1)}, "blocks must be ascending"), ({"widths": ()}, "widths"), ({"widths": (0,)}, "widths"),
        ({"kind": "dense"}, "kind must be one of plain, residual"), ({"norm": "layer"}, "norm must be one of none"),
        ({"minima": 1}, "minima"), ({"rounds": -1}, "rounds"), ({"steps": 0}, "steps"), ({"rates": ()}, "rates"),
        ({"batch_size": 161}, "batch_size"), ({"learning_rate": 0}, "learning_rate"), ({"rates": (0.1, 0)}, "rates"),
        ({"rates": "0.1"}, "rates"), ({"cycle_steps": 0}, "cycle_steps"), ({"pivots": 0}, "pivots"),
        ({"weight_decay": -1}, "weight_decay"), ({"held_out": 0}, "held_out"), ({"seed": -1}, "seed"),
    ],
)  # fmt: skip
def test_what_is_refused(options, told):
    with pytest.raises(InputError, match=told):
        studies.paths(IMAGES, LABELS, **{**SMALL, **options})
