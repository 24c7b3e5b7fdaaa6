"""Attacks on linear networks, whose answers are known, and what holds for any network."""

import importlib.util

import keras
import numpy as np
import pytest
from PIL import Image

import kerascnn
from kerascnn import explain
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.layers.preprocessing import ImageInput

L = keras.layers
SHAPE = (4, 5, 2)
CONSTANTS = Preprocessing(mean=(0.4, 0.6), std=(0.25, 0.5))
UNIT = 1 / (255 * np.array(CONSTANTS.std))  # of a pixel, after preprocessing
needs_scipy = pytest.mark.skipif(importlib.util.find_spec("scipy") is None, reason="needs SciPy")


def images(count=6, seed=0, low=40, high=215):
    """Away from black and white, so that the range of pixels does not cut attacks of 40 pixels."""
    pixels = np.random.default_rng(seed).uniform(low, high, (count, *SHAPE))
    return ((pixels / 255 - CONSTANTS.mean) / CONSTANTS.std).astype("float32")


def linear(classes=2):
    image = keras.Input(SHAPE)
    model = keras.Model(image, L.Dense(classes, "softmax", name="head")(L.Flatten()(image)))
    model.set_weights([np.random.default_rng(1).normal(size=w.shape) for w in model.get_weights()])
    return model


def network(seed=0):
    keras.utils.set_random_seed(seed)
    x = image = keras.Input(SHAPE)
    x = L.Conv2D(8, 3, padding="same", activation="tanh")(x)
    x = L.Dropout(0.5)(L.BatchNormalization()(x))
    return keras.Model(image, L.Dense(3)(L.Flatten()(x)))


def test_fgsm_lowers_the_margin_of_a_linear_network_by_epsilon_times_the_norm_of_its_weights():
    model, x = linear(), images()
    kernel = model.get_layer("head").kernel.numpy().reshape(*SHAPE, 2)
    difference = kernel[..., 0] - kernel[..., 1]
    labels = model(x).numpy().argmax(1)
    sign = np.where(labels == 0, 1, -1)
    found = explain.fgsm(model, x, epsilon=10, preprocessing=CONSTANTS)
    before, after = ((y * difference).sum((1, 2, 3)) * sign for y in (x, found.images))
    np.testing.assert_allclose(before - after, 10 * (np.abs(difference) * UNIT).sum(), rtol=1e-4)
    np.testing.assert_allclose(np.abs(found.changes), 10, atol=1e-3)
    assert (found.goal == labels).all() and (found.before == labels).all() and not found.targeted


def test_fgsm_is_one_step_of_pgd_without_a_random_start():
    model, x = network(), images()
    for given in ({"labels": [0, 1, 2, 0, 1, 2]}, {"target": 1}, {}):
        one = explain.fgsm(model, x, epsilon=7, preprocessing=CONSTANTS, **given)
        same = explain.pgd(model, x, epsilon=7, step=7, steps=1, random_start=False, preprocessing=CONSTANTS, **given)
        np.testing.assert_array_equal(one.images, same.images)


def test_nothing_happens_without_epsilon():
    model, x = network(), images()
    for attack in (explain.fgsm, explain.pgd):
        found = attack(model, x, epsilon=0, preprocessing=CONSTANTS)
        np.testing.assert_allclose(found.images, x, atol=1e-6)
        assert not found.success.any()


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_every_step_stays_in_the_ball_and_among_the_pixels(steps):
    model, x = network(), images(low=0, high=255)
    found = explain.pgd(model, x, epsilon=30, step=17, steps=steps, restarts=2, preprocessing=CONSTANTS)
    assert np.abs(found.changes).max() <= 30 + 1e-3
    assert found.pixels.min() >= -1e-3 and found.pixels.max() <= 255 + 1e-3
    assert (found.pixels < 1e-3).any() or (found.pixels > 255 - 1e-3).any()


def test_pgd_by_numpy_on_a_linear_network():
    """To the boundary of a step grid: with a constant gradient each step moves every pixel by the step."""
    model, x = linear(), images()
    kernel = model.get_layer("head").kernel.numpy().reshape(*SHAPE, 2)
    found = explain.pgd(model, x, target=0, epsilon=9, step=2, steps=3, random_start=False, preprocessing=CONSTANTS)
    expected = np.clip(x + 6 * UNIT * np.sign(kernel[..., 0] - kernel[..., 1]), -9e9, 9e9)
    np.testing.assert_allclose(found.images, expected, atol=1e-4)
    assert found.targeted and (found.goal == 0).all() and (found.success == (found.after == 0)).all()


def test_restarts_never_do_less_and_large_balls_defeat_the_network():
    model, x = network(), images(12)
    settings = {"epsilon": 25.0, "step": 8, "steps": 3, "preprocessing": CONSTANTS}
    one = explain.pgd(model, x, **settings)
    more = explain.pgd(model, x, restarts=3, **settings)
    assert (more.success >= one.success).all() and more.success.sum() > 0
    assert explain.pgd(model, x, **{**settings, "epsilon": 255, "step": 40, "steps": 12}).success.mean() == 1
    again = explain.pgd(model, x, batch_size=7, **settings)
    np.testing.assert_allclose(again.images, one.images, atol=1e-5)


def test_labels_that_are_wrong_already_are_left():
    model, x = network(), images()
    said = model(x).numpy().argmax(1)
    found = explain.fgsm(model, x, (said + 1) % 3, epsilon=0, preprocessing=CONSTANTS)
    assert found.success.all() and (found.before == said).all()


def test_the_model_says_what_its_pixels_went_through():
    model = kerascnn.create_model("lenet5")
    x = np.zeros((1, 32, 32, 1), "float32")
    unit = 1 / (255 * kerascnn.model_preprocessing(model).std[0])
    found = explain.fgsm(model, x, epsilon=4)
    moved = np.abs(found.images[found.images != 0])
    np.testing.assert_allclose(moved, 4 * unit, rtol=1e-4)
    with pytest.raises(InputError, match="what its pixels go through"):
        explain.fgsm(network(), images())


@needs_scipy
def test_the_smallest_change_of_a_linear_network_is_that_of_its_boundary():
    """|margin| / |w| in pixels: nothing smaller reaches the class, and the search comes within 5 percent."""
    model, x = linear(), images(2)
    kernel, bias = (w.astype("float64") for w in model.get_layer("head").get_weights())
    direction = ((kernel[:, 0] - kernel[:, 1]).reshape(SHAPE) * UNIT * 255).ravel()  # in parts of the range
    margin = x.reshape(2, -1) @ (kernel[:, 0] - kernel[:, 1]) + bias[0] - bias[1]
    for target in (0, 1):
        found = explain.lbfgs(model, x, target, searches=6, preprocessing=CONSTANTS)
        assert found.success.all()
        there = found.before == target
        assert not found.changes[there].any()
        length = np.sqrt(((found.changes / 255).astype("float64") ** 2).sum((1, 2, 3)))
        least = np.abs(margin) / np.linalg.norm(direction)
        assert (length[~there] >= least[~there] * 0.999).all() and (length[~there] <= least[~there] * 1.05).all()


def test_transfer():
    """Of linear networks fitted by least squares: each is deceived most by what was made against itself."""
    rng = np.random.default_rng(0)
    centers = rng.uniform(90, 165, (3, 8, 8, 1))
    labels = np.repeat(np.arange(3), 60)
    pixels = np.clip(centers[labels] + rng.normal(scale=25, size=(180, 8, 8, 1)), 0, 255)
    models = {}
    for index, name in enumerate("abc"):
        constants = Preprocessing(mean=(0.5,), std=(0.1 + 0.2 * index,))
        image = ImageInput((8, 8, 1), preprocessing=constants).output
        model = keras.Model(image, L.Dense(3)(L.Flatten()(image)))
        own = rng.permutation(180)[:90]
        prepared = ((pixels[own] / 255 - 0.5) / constants.std[0]).reshape(90, -1)
        prepared = np.concatenate([prepared, np.ones((90, 1))], axis=1)
        weights = np.linalg.solve(prepared.T @ prepared + 1e-2 * np.eye(65), prepared.T @ np.eye(3)[labels[own]])
        model.set_weights([weights[:-1], weights[-1]])
        models[name] = model
    found = explain.transfer(models, pixels, labels, epsilon=12.0)
    assert found.names == ("a", "b", "c") and found.images == 180
    assert (found.clean < 0.1).all() and (found.errors > found.clean[None]).all()
    assert (np.diag(found.errors)[:, None] >= found.errors).all()
    by_hand = explain.fgsm(models["b"], ((pixels / 255 - 0.5) / 0.3).astype("float32"), labels, epsilon=12.0)
    np.testing.assert_allclose(found.errors[1, 1], (by_hand.after != labels).mean())


def test_the_pictures(tmp_path):
    found = explain.fgsm(kerascnn.create_model("lenet5"), np.zeros((3, 32, 32, 1), "float32"))
    explain.draw_adversarial(found, tmp_path / "a.png", class_names=[f"${i}" for i in range(10)])
    table = explain.Transfer(("a", "b"), np.array([0.1, 0.2]), np.array([[0.9, 0.5], [0.4, 1.0]]), 10)
    explain.draw_transfer(table, tmp_path / "b.png")
    for name in "ab":
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert picture.width == 1000


@pytest.mark.parametrize(
    "change, match",
    [
        ({"epsilon": -1}, "epsilon must"), ({"epsilon": 256}, "epsilon must"), ({"step": 0}, "step must"),
        ({"steps": 0}, "steps must"), ({"restarts": 0}, "restarts must"), ({"random_start": 1}, "random_start must"),
        ({"restarts": 2, "random_start": False}, "1 without random_start"), ({"seed": -1}, "seed must"),
        ({"labels": 1, "target": 2}, "Either labels"), ({"labels": 7}, "from 0 to 2"),
        ({"preprocessing": "imagenet"}, "must be a Preprocessing"), ({"batch_size": 0}, "batch_size must"),
        ({"images": images() * np.nan}, "finite"),
    ],
)  # fmt: skip
def test_refusals(change, match):
    with pytest.raises(InputError, match=match):
        explain.pgd(**{"model": network(), "images": images(), "preprocessing": CONSTANTS, **change})


def test_refusals_of_the_others():
    model = network()
    with pytest.raises(InputError, match="target must be a class to be reached"):
        explain.lbfgs(model, images(), None, preprocessing=CONSTANTS)
    with pytest.raises(InputError, match="networks by name"):
        explain.transfer([model], images(), 0)
    with pytest.raises(InputError, match="of 0 to 255"):
        explain.transfer({"a": model}, images() - 300, 0)
    with pytest.raises(InputError, match="what transfer returns"):
        explain.draw_transfer(None, "a.png")
    with pytest.raises(InputError, match="changed images"):
        explain.draw_adversarial(None, "a.png")
