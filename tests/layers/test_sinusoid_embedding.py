"""kerascnn.layers.SinusoidEmbedding: values, another grid's, what is trained, files."""

import math

import numpy as np
import pytest
from layer_checks import check_round_trip

from kerascnn.layers import SinusoidEmbedding


def vector(token, width):
    """By the formula, number by number."""
    angles = [token / 10000 ** (2 * (c // 2) / width) for c in range(width)]
    return [math.cos(a) if c % 2 else math.sin(a) for c, a in enumerate(angles)]


@pytest.mark.parametrize("prefix, width", [(0, 4), (1, 6), (2, 5)])
def test_values(prefix, width):
    layer = SinusoidEmbedding((2, 3), prefix)
    y = layer(np.zeros((1, prefix + 6, width), "float32"))
    np.testing.assert_allclose(y[0], [vector(token, width) for token in range(prefix + 6)], atol=1e-6)
    assert layer.trainable_weights == []


def test_nothing_becomes_trainable():
    layer = SinusoidEmbedding((2, 2), 1)
    layer.build((None, 5, 4))
    layer.trainable = True
    assert layer.trainable_weights == [] and len(layer.weights) == 2


def test_another_grid_is_interpolated():
    layer = SinusoidEmbedding((2, 2), 1)
    first, positions = layer.resized([np.full((1, 4), 3.0, "float32"), np.ones((4, 4, 4), "float32")])
    np.testing.assert_array_equal(first, np.full((1, 4), 3.0))
    np.testing.assert_allclose(positions, np.ones((2, 2, 4)), rtol=1e-6)


def test_file(tmp_path):
    check_round_trip([SinusoidEmbedding((2, 3), 1)], (7, 4), tmp_path)
