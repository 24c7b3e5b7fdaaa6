"""The loss around networks with and without shortcuts: how rough and how flat it is."""

import importlib

import keras
import numpy as np
import pytest

from kerascnn import data, studies
from kerascnn._errors import InputError
from kerascnn.studies.small_networks import small_network
from kerascnn.studies.trials import Draws, Trainer, divided, measure

module = importlib.import_module("kerascnn.studies.shortcuts_landscape")
RANDOM = np.random.default_rng(0)
DIGITS = data.load("digits", limit=150)
IMAGES, LABELS = (np.stack(part) for part in zip(*DIGITS.dataset("train").as_numpy_iterator(), strict=True))
SMALL = {"depths": (8, 14), "widths": (2, 3), "steps": 4, "batch_size": 16, "draws": 1, "points": 3, "samples": 40}
Y, X = np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 9), indexing="ij")


@pytest.mark.parametrize(
    "surface, share",
    [
        (X**2 + X * Y + Y**2, 0), (X**2 - Y**2, 1), (X * Y, 1), (-(X**2), 1), (X**2, 0), (0 * X + 2.3, 0),
        (X**2 + Y**2 + 1e-7 * RANDOM.normal(size=X.shape), 0), (2.3 + 1e-6 * RANDOM.normal(size=X.shape), 0),
        (np.abs(X) ** 3 * np.sign(X) + Y**2, 3 / 7),  # bends down where x < 0, three of seven inner columns
    ],
)  # fmt: skip
def test_roughness_of_known_surfaces(surface, share):
    assert module.roughness(surface) == pytest.approx(share)


def test_roughness_against_eigenvalues():
    surface = RANDOM.normal(size=(3, 2, 6, 6)) + 4 * (X[:6, :6] ** 2 + Y[:6, :6] ** 2) * 10
    found = module.roughness(surface)
    for index in np.ndindex(3, 2):
        z, bent = surface[index], 0
        for r in range(1, 5):
            for c in range(1, 5):
                mixed = (z[r + 1, c + 1] - z[r + 1, c - 1] - z[r - 1, c + 1] + z[r - 1, c - 1]) / 4
                along, other = z[r, c + 1] - 2 * z[r, c] + z[r, c - 1], z[r + 1, c] - 2 * z[r, c] + z[r - 1, c]
                low, high = np.linalg.eigvalsh([[along, mixed], [mixed, other]])
                bent += low < -max(1e-5 * abs(z[r, c]), 0.01 * abs(high))
        assert found[index] == pytest.approx(bent / 16)


def test_what_is_not_finite():
    surface = X**2 + Y**2
    surface[0, 0] = np.inf
    assert module.roughness(surface) == pytest.approx(1 / 49)
    surface[4, 4] = np.nan  # the network itself: there is none
    assert np.isnan(module.roughness(surface)) and np.isnan(module.flatness(surface, 1.0))


def test_flatness_is_a_share_of_the_grid():
    surface = np.stack([X**2 + Y**2, 5 + X])
    np.testing.assert_allclose(module.flatness(surface, 0.3), [((X**2 + Y**2) < 0.3).mean(), 0])


@pytest.mark.after
def test_it_measures_and_is_resumed(tmp_path, monkeypatch):
    found = studies.shortcuts_landscape(IMAGES, LABELS, **SMALL, folder=tmp_path / "rows")
    arrays = found.arrays
    assert arrays["surface"].shape == (2, 3, 1, 3, 3) and np.isfinite(arrays["surface"]).all()
    assert arrays["rough"].shape == arrays["flat"].shape == (2, 3, 1)
    assert list(zip(arrays["depths"], arrays["widths"], strict=True)) == [(8, 2), (14, 2), (14, 3)]
    # The middle is the trained network's own loss.
    examples = divided(IMAGES, LABELS, 0.2)
    model = small_network(examples.shape, examples.classes, Draws(0, 0), widths=(2, 4, 8), shortcuts=False)
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([3], [0.1, 0.01])
    Trainer(model, examples, keras.optimizers.SGD(rate, momentum=0.9, weight_decay=5e-4), 16, 0).steps(4)
    loss = measure(model, examples.images[:40], examples.labels[:40])[0]
    assert arrays["loss"][0, 0, 0] == arrays["surface"][0, 0, 0, 1, 1] == pytest.approx(loss, rel=1e-4)
    found.save(tmp_path / "study")
    monkeypatch.setattr(module, "Trainer", None)  # all rows are there
    again = studies.shortcuts_landscape(IMAGES, LABELS, **SMALL, folder=tmp_path / "rows")
    np.testing.assert_array_equal(again.arrays["surface"], arrays["surface"])
    with pytest.raises(InputError, match="rows of another study: samples differ"):
        studies.shortcuts_landscape(IMAGES, LABELS, **{**SMALL, "samples": 41}, folder=tmp_path / "rows")


@pytest.mark.after
def test_a_training_that_diverges(tmp_path):
    options = {**SMALL, "depths": (8,), "widths": (2,), "learning_rate": 1e30}
    found = studies.shortcuts_landscape(IMAGES, LABELS, **options)
    assert np.isnan(found.arrays["surface"]).all() and not any(found.claims.values())
    found.draw(tmp_path / "picture.png")


def test_claims():
    arrays = {"depths": np.array([8, 44, 44]), "widths": np.array([4, 4, 16])}
    arrays["rough"] = np.array([[[0.1, 0.1], [0.5, 0.7], [0.3, 0.3]], [[0.1, 0.1], [0.2, 0.2], [0.1, 0.1]]])
    arrays["flat"] = np.array([[[0.5, 0.5], [0.1, 0.1], [0.2, 0.2]], [[0.5, 0.5], [0.4, 0.4], [0.6, 0.6]]])
    assert list(module._claims(arrays).values()) == [True] * 5
    arrays["rough"][0, 1, 0] = np.nan  # diverged: nothing is said of it
    arrays["flat"][1, 2] = 0.3
    assert list(module._claims(arrays).values()) == [False, True, False, False, True]
    assert len(module._claims({name: x[..., 1:2, :] if x.ndim > 1 else x[1:2] for name, x in arrays.items()})) == 2


@pytest.mark.parametrize(
    "options, told",
    [
        ({"depths": (8, 10)}, r"depths must be 6 \* blocks \+ 2 each"), ({"depths": (20, 8)}, "depths must be asc"),
        ({"widths": (4, 2)}, "widths must be ascending"), ({"widths": (0,)}, "widths"), ({"steps": 0}, "steps"),
        ({"batch_size": 121}, "batch_size"), ({"draws": 0}, "draws"), ({"points": 4}, "points must be odd"),
        ({"points": 1}, "points"), ({"span": 0.0}, "span"), ({"samples": 0}, "samples"), ({"level": 0.0}, "level"),
        ({"learning_rate": 0}, "learning_rate"), ({"seed": -1}, "seed"), ({"held_out": 1.0}, "held_out"),
    ],
)  # fmt: skip
def test_what_is_refused(options, told):
    with pytest.raises(InputError, match=told):
        studies.shortcuts_landscape(IMAGES, LABELS, **{**SMALL, **options})
