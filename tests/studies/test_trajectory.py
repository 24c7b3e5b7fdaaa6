"""The way of a training in the plane of its principal components, and a network as a function of a vector."""

import importlib

import numpy as np
import pytest
import tensorflow as tf

from kerascnn import data, studies
from kerascnn._errors import InputError
from kerascnn.studies.flattened import Flattened
from kerascnn.studies.small_networks import small_network
from kerascnn.studies.trials import Draws, measure

module = importlib.import_module("kerascnn.studies.trajectory")
RANDOM = np.random.default_rng(0)
DIGITS = data.load("digits", limit=200)
IMAGES, LABELS = (np.stack(part) for part in zip(*DIGITS.dataset("train").as_numpy_iterator(), strict=True))
SMALL = {"batch_sizes": (8, 32), "width": 2, "steps": 12, "every": 3, "points": 5}


def test_components_against_the_eigenvectors_of_the_covariance():
    weights = np.cumsum(RANDOM.normal(size=(8, 30)), axis=0)
    directions, way, variance = module.components(weights)
    sizes, vectors = np.linalg.eigh(np.cov(weights.T))
    np.testing.assert_allclose(abs(np.sum(directions * vectors[:, :-3:-1].T, axis=1)), 1, rtol=1e-9)
    np.testing.assert_allclose(variance, sizes[: -len(weights) - 1 : -1] / sizes.sum(), atol=1e-12)
    np.testing.assert_allclose(way, (weights - weights[-1]) @ directions.T)
    assert (way[-1] == 0).all() and (way[0] >= 0).all()
    assert module.components(np.ones((3, 4)))[2].sum() == 0


def test_a_random_walk():
    walk = np.cumsum(RANDOM.normal(size=(30, 20_000)), axis=0)
    np.testing.assert_allclose(module.components(walk)[2][:5], module.random_walk(30)[:5], rtol=0.06)
    np.testing.assert_allclose(module.random_walk(500)[:2], [6 / np.pi**2, 1.5 / np.pi**2], rtol=0.01)


def test_the_grid_has_the_origin():
    found = module.axis(np.array([0.0, 3.0, -1.0]), 7, 0.5)
    np.testing.assert_allclose(found[[0, -1]], [-3, 5])
    assert (found == 0).sum() == 1 and (np.diff(found) > 0).all()
    assert (module.axis(np.zeros(3), 5, 0.2) == 0).sum() == 1


def test_it_ends_at_the_origin_and_is_resumed(tmp_path, monkeypatch):
    found = studies.trajectory(IMAGES, LABELS, **SMALL, folder=tmp_path / "rows")
    arrays = found.arrays
    assert arrays["variance"].shape == arrays["loss"].shape == (2, 5) and arrays["random_walk"].shape == (5,)
    np.testing.assert_allclose(arrays["variance"].sum(axis=1), 1)
    assert (arrays["way"][:, -1] == 0).all() and (arrays["way"][:, 0] != 0).all()
    for at, surface, loss in zip(arrays["at"], arrays["surface"], arrays["loss"], strict=True):
        assert surface[at[1] == 0][0][at[0] == 0][0] == loss[-1]
        assert len(np.unique(surface)) == 25
    assert arrays["loss"][0, 0] == arrays["loss"][1, 0]  # the same weights at first
    assert arrays["loss"][0, -1] != arrays["loss"][1, -1]
    found.save(tmp_path / "study")
    monkeypatch.setattr(module, "Trainer", None)  # all rows are there
    again = studies.trajectory(IMAGES, LABELS, **SMALL, folder=tmp_path / "rows")
    np.testing.assert_array_equal(again.arrays["surface"], arrays["surface"])
    with pytest.raises(InputError, match="rows of another study: width differ"):
        studies.trajectory(IMAGES, LABELS, **{**SMALL, "width": 3}, folder=tmp_path / "rows")


def test_a_training_that_diverges(tmp_path):
    found = studies.trajectory(IMAGES, LABELS, **{**SMALL, "batch_sizes": (8,), "learning_rate": 1e30})
    assert np.isnan(found.arrays["surface"]).all() and not any(found.claims.values())
    found.draw(tmp_path / "picture.png")


@pytest.mark.parametrize("variance, holds", [((0.5, 0.2), True), ((0.3, 0.05), False), ((0.9, 0.05), False)])
def test_claims(variance, holds):
    both = np.array([[0.4, 0.2, 0.4], [*variance, 1 - sum(variance)]])
    assert list(module._claims({"variance": both}).values()) == [holds]


def network(seed=0):
    return small_network((8, 8, 1), 3, Draws(seed), widths=(4, 4, 8))


def test_a_network_as_a_function_of_a_vector():
    model, other = network(), network(1)
    images, labels = RANDOM.normal(size=(601, 8, 8, 1)).astype("float32"), np.arange(601, dtype="int32") % 3
    loss, before = Flattened(model), [x.copy() for x in model.get_weights()]
    assert loss.measure(loss.vector(), images, labels) == pytest.approx(measure(model, images, labels), rel=1e-5)
    found = loss.measure(Flattened(other).vector(), images, labels)  # fresh statistics are the same in both
    assert found == pytest.approx(measure(other, images, labels), rel=1e-5)
    point, batch = loss.vector(), (tf.constant(images[:50]), tf.constant(labels[:50]))
    value, gradient = loss.slope(point, *batch)
    assert value == pytest.approx(loss.measure(point, images[:50], labels[:50])[0], rel=1e-5)
    step = 3e-3 * gradient / np.linalg.norm(gradient)
    rise = loss.slope(point + step, *batch)[0] - loss.slope(point - step, *batch)[0]
    assert rise == pytest.approx(2 * step @ gradient, rel=0.02)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_with_statistics_of_the_batch_the_scale_before_a_norm_does_not_matter():
    model = network()
    images, labels = RANDOM.normal(size=(60, 8, 8, 1)).astype("float32"), np.arange(60, dtype="int32") % 3
    loss, before = Flattened(model, training=True), model.get_weights()
    point = loss.vector()
    scaled = point.copy()
    scaled[: model.get_layer("stem").kernel.numpy().size] *= 5  # the stem's kernel is the first variable
    assert loss.measure(scaled, images, labels)[0] == pytest.approx(loss.measure(point, images, labels)[0], rel=2e-3)
    inference = Flattened(model)
    assert abs(inference.measure(scaled, images, labels)[0] - inference.measure(point, images, labels)[0]) > 0.05
    loss.slope(point, tf.constant(images), tf.constant(labels))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)  # moving statistics too


@pytest.mark.parametrize(
    "options, told",
    [
        ({"batch_sizes": (161,)}, "batch_sizes"), ({"batch_sizes": (8, 8)}, "batch_sizes must be ascending"),
        ({"steps": 13}, "steps must be a multiple of every=3"), ({"every": 7}, "every"), ({"blocks": 0}, "blocks"),
        ({"width": 0}, "width"), ({"points": 2}, "points"), ({"margin": 0.0}, "margin"), ({"seed": -1}, "seed"),
        ({"learning_rate": 0}, "learning_rate"), ({"weight_decay": -1}, "weight_decay"), ({"held_out": 0}, "held_out"),
    ],
)  # fmt: skip
def test_what_is_refused(options, told):
    with pytest.raises(InputError, match=told):
        studies.trajectory(IMAGES, LABELS, **{**SMALL, **options})
