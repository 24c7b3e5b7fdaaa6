"""Scores of untrained networks, against what their formulas give by hand."""

import math

import keras
import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.search import spaces
from kerascnn.search.building import Networks
from kerascnn.search.evaluators import ZeroCost, gradient_norm, naswot, parameters, synflow

RNG = np.random.default_rng(0)


def linear(widths=(3, 4, 2)):
    x = image = keras.Input((1, 1, widths[0]))
    x = keras.layers.Flatten()(x)
    for width in widths[1:]:
        x = keras.layers.Dense(width, use_bias=False)(x)
    return keras.Model(image, x)


def test_synflow_is_the_sum_of_all_paths_in_each_layer():
    model = linear()
    one, two = (np.array(weight) for weight in model.trainable_weights)
    paths = (np.abs(one) @ np.abs(two)).sum()
    assert synflow(model, np.zeros((5, 1, 1, 3)), None) == pytest.approx(math.log(2 * paths), rel=1e-5)
    assert np.array_equal(model.trainable_weights[0], one) and (one < 0).any()


def test_the_gradient_norm_of_a_linear_network():
    model, labels = linear((3, 2)), np.array([0, 1, 1, 0, 1, 0])
    images = RNG.normal(size=(6, 1, 1, 3)).astype("float32")
    x, weights = images.reshape(6, 3), np.array(model.trainable_weights[0])
    grown = np.exp(x @ weights)
    gradient = x.T @ (grown / grown.sum(1, keepdims=True) - np.eye(2)[labels]) / 6
    assert gradient_norm(model, images, labels) == pytest.approx(np.linalg.norm(gradient), rel=1e-4)
    assert parameters(model, images, labels) == 6


def test_naswot_counts_relus_that_agree():
    image = keras.Input((1, 1, 3))
    model = keras.Model(image, keras.layers.Flatten()(keras.layers.ReLU()(image)))
    images = np.array([[1, 1, -1], [1, -1, -1], [-1, 1, 1]], "float32").reshape(3, 1, 1, 3)
    kernel = [[3, 2, 1], [2, 3, 0], [1, 0, 3]]
    assert naswot(model, images, None) == pytest.approx(math.log(np.linalg.det(kernel)))
    assert naswot(model, images[[0, 0, 1]], None) == -math.inf
    with pytest.raises(InputError, match="must have ReLUs"):
        naswot(linear(), images, None)


@pytest.mark.parametrize("proxy", ["synflow", "naswot", "gradient_norm"])
def test_a_candidate_is_scored_and_the_score_follows_from_the_seed(proxy):
    space = spaces.Choices({"layers": (1, 2), "filters": (4, 8)})
    score, row = ZeroCost(proxy, "digits", batch_size=8, build=Networks()), space.decode((1, 0))
    one, again, other = (score(row, None, seed) for seed in (1, 1, 2))
    assert one.value == again.value != other.value
    assert one.cost["parameters"] == Networks()(row, (8, 8, 1), 10).count_params()


def test_what_is_no_proxy_is_refused():
    with pytest.raises(InputError, match="proxy must be one of parameters, gradient_norm"):
        ZeroCost("fisher", "digits")
