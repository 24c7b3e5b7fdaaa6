"""SmoothGrad and integrated gradients: what follows from their definitions."""

import keras
import numpy as np
import pytest

from kerascnn import explain
from kerascnn._errors import InputError

L = keras.layers
SHAPE = (6, 5, 2)


def images(count=3, seed=0):
    return np.random.default_rng(seed).normal(size=(count, *SHAPE)).astype("float32")


def network(activation="tanh", bias=True, head=None):
    keras.utils.set_random_seed(0)
    x = image = keras.Input(SHAPE)
    x = L.Conv2D(4, 3, padding="same", activation=activation, use_bias=bias)(x)
    x = L.MaxPooling2D(2)(x)
    return keras.Model(image, L.Dense(3, head, use_bias=bias)(L.Flatten()(x)))


def linear():
    image = keras.Input(SHAPE)
    model = keras.Model(image, L.Dense(3, "softmax", name="head")(L.Flatten()(image)))
    return model, model.get_layer("head").kernel.numpy().reshape(*SHAPE, 3)


@pytest.mark.parametrize("value", [0.0, [0.5, -1.0]])
def test_a_linear_score_is_divided_exactly_in_one_step(value):
    model, kernel = linear()
    x = images()
    found = explain.integrated_gradients(model, x, target=1, steps=1, value=value)
    np.testing.assert_allclose(found.raw, kernel[..., 1] * (x - np.array(value, "float32")), rtol=1e-4, atol=1e-6)
    assert found.maps.shape == (3, 6, 5) and np.abs(found.options["gap"]).max() < 1e-5


def test_the_parts_add_up_to_the_difference_of_scores():
    model, x = network(), images()
    found = explain.integrated_gradients(model, x, target=[0, 2, 1], value=0.3)
    base = np.full_like(x, 0.3)
    scores = model(x).numpy()[range(3), [0, 2, 1]] - model(base).numpy()[range(3), [0, 2, 1]]
    np.testing.assert_allclose(found.maps.sum((1, 2)), scores, rtol=1e-2, atol=1e-3)
    np.testing.assert_allclose(found.options["gap"], found.maps.sum((1, 2)) - scores, atol=1e-5)
    few = explain.integrated_gradients(model, x, target=[0, 2, 1], value=0.3, steps=2)
    assert np.abs(few.options["gap"]).max() > np.abs(found.options["gap"]).max()


def test_without_biases_every_number_of_steps_gives_gradient_times_image():
    """A piecewise linear score that is 0 at 0 is linear along each ray."""
    model, x = network("relu", bias=False), images()
    expected = explain.gradients(model, x, target=2).raw * x
    for steps in (1, 7):
        found = explain.integrated_gradients(model, x, target=2, steps=steps)
        np.testing.assert_allclose(found.raw, expected, rtol=1e-4, atol=1e-6)


def test_what_does_not_differ_from_the_baseline_counts_nothing():
    x = images(1)
    x[0, 2:4] = 0.0
    assert not explain.integrated_gradients(network(), x, steps=5).raw[0, 2:4].any()


def test_smoothgrad_of_a_linear_score_is_its_gradient():
    model, kernel = linear()
    found = explain.smoothgrad(model, images(), target=0, samples=3, noise=2.0)
    np.testing.assert_allclose(found.raw, np.stack([kernel[..., 0]] * 3), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.maps, np.abs(found.raw).max(-1))


def test_smoothgrad_is_the_mean_over_noisy_images():
    model, x = network(), images(2)
    found = explain.smoothgrad(model, x, target=1, samples=4, noise=0.3, seed=5)
    expected = np.zeros_like(x)
    for number in range(4):
        drawn = np.random.default_rng((5, number)).standard_normal(SHAPE)
        deviation = 0.3 * (x.max((1, 2, 3)) - x.min((1, 2, 3)))[:, None, None, None]
        expected += explain.gradients(model, x + deviation * drawn, target=1).raw / 4
    np.testing.assert_allclose(found.raw, expected, rtol=1e-3, atol=1e-5)
    still = explain.smoothgrad(model, x, target=1, samples=2, noise=0.0)
    np.testing.assert_allclose(still.raw, explain.gradients(model, x, target=1).raw, rtol=1e-5, atol=1e-6)
    other = explain.smoothgrad(model, x, target=1, samples=4, noise=0.3, seed=6)
    assert np.abs(other.raw - found.raw).max() > 1e-3


@pytest.mark.parametrize("method", [explain.smoothgrad, explain.integrated_gradients])
def test_batches_do_not_change_the_result(method):
    model, x = network(), images(3)
    whole = method(model, x)
    np.testing.assert_allclose(method(model, x, batch_size=7).raw, whole.raw, rtol=1e-4, atol=1e-5)
    alone = method(model, x[1:2], target=int(whole.target[1]))
    np.testing.assert_allclose(alone.raw[0], whole.raw[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "method, change, match",
    [
        (explain.smoothgrad, {"samples": 0}, "samples must be a whole number"),
        (explain.smoothgrad, {"noise": -0.1}, "noise must be"),
        (explain.smoothgrad, {"noise": float("nan")}, "noise must be"),
        (explain.smoothgrad, {"seed": -1}, "seed must be"),
        (explain.smoothgrad, {"layer": "conv2d"}, "layer must be None"),
        (explain.integrated_gradients, {"steps": 0}, "steps must be a whole number"),
        (explain.integrated_gradients, {"value": [1.0, 2.0, 3.0]}, "one for each of 2 channels"),
        (explain.integrated_gradients, {"layer": "conv2d"}, "layer must be None"),
    ],
)
def test_what_is_refused(method, change, match):
    with pytest.raises(InputError, match=match):
        method(network(), images(1), **change)
