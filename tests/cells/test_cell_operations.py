"""The operations of cells: shapes and parameters under the conventions of the papers."""

import dataclasses
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn import cells
from kerascnn.cells import OPERATIONS, Value, operations
from kerascnn.cells.style import AMOEBANET, DARTS, ENAS, NAO, NASNET, NASNET_KERAS

STYLES = {"nasnet": NASNET, "keras": NASNET_KERAS, "amoebanet": AMOEBANET, "enas": ENAS, "darts": DARTS, "nao": NAO}


def apply(operation, style=NASNET, *, channels=8, filters=8, stride=1, size=None):
    inputs = keras.Input((size, size, channels))
    outputs = operations.APPLY[operation](Value(inputs, 0, "x"), filters, stride, style, name="path")
    return keras.Model(inputs, outputs)


def trainable(model):
    return sum(math.prod(w.shape) for w in model.trainable_weights)


@pytest.mark.parametrize("style", ["nasnet", "amoebanet", "darts"])
@pytest.mark.parametrize("operation", sorted(set(OPERATIONS) - {"zero"}))
def test_shapes(operation, style):
    """Half the size, rounded up, and the filters that were asked for, also where the size is open."""
    for stride, channels, size in ((1, 8, 7), (2, 6, 7)):
        model = apply(operation, STYLES[style], channels=channels, stride=stride)
        y = model(np.ones((2, size, size, channels), "float32"))
        assert y.shape == (2, -(-size // stride), -(-size // stride), 8)
        assert model.compute_output_shape((2, size, size, channels)) == y.shape
        kernels = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
        assert not any(layer.use_bias for layer in kernels)


@pytest.mark.parametrize(
    "operation, style, stride, count",
    [
        ("identity", NASNET, 1, 0),
        ("identity", NASNET, 2, 8 * 8 + 16),
        ("identity", DARTS, 2, 8 * 8 + 16),  # two halves
        ("avg_3x3", NASNET, 2, 0),
        ("conv_1x1", AMOEBANET, 1, 64 + 16),
        ("conv_3x3", NAO, 1, 9 * 64 + 16),
        ("conv_3x3", AMOEBANET, 1, 8 * 2 + 4 + 9 * 4 + 4 + 2 * 8 + 16),
        ("conv_1x3_3x1", AMOEBANET, 1, 8 * 3 + 6 + 2 * (3 * 9 + 6) + 3 * 8 + 16),
        ("conv_1x7_7x1", NAO, 1, 2 * (7 * 64 + 16)),
        ("conv_1x7_7x1", DARTS, 2, 2 * 7 * 64 + 16),  # nothing between the two
        ("sep_5x5", NASNET, 2, 2 * (25 * 8 + 64 + 16)),
        ("dil_sep_3x3", DARTS, 1, 9 * 8 + 64 + 16),
        ("dil_sep_3x3", AMOEBANET, 1, 2 * (9 * 8 + 64 + 16)),
        ("factorized_reduction", NASNET, 2, 64 + 16),
    ],
)
def test_parameters(operation, style, stride, count):
    assert trainable(apply(operation, style, stride=stride)) == count


def test_what_does_not_fit_is_matched():
    assert trainable(apply("max_3x3", channels=6)) == 6 * 8 + 16
    assert trainable(apply("identity", channels=6)) == 6 * 8 + 16


def test_odd_filters_of_a_factorized_reduction():
    less = dataclasses.replace(NASNET, odd_halves=False)
    assert apply("factorized_reduction", stride=2, filters=7).output_shape[-1] == 7
    assert apply("factorized_reduction", less, stride=2, filters=7).output_shape[-1] == 6


def test_a_factorized_reduction_sees_every_other_diagonal():
    """Its halves are the pixels (0, 0), (2, 2), ... and (1, 1), (3, 3), ...; past the border are zeros."""
    model = apply("factorized_reduction", channels=1, filters=2, stride=2)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.set_weights([np.ones((1, 1, 1, 1))])
    x = np.arange(1.0, 26).reshape(1, 5, 5, 1).astype("float32")
    y = np.asarray(model(x))[0] * np.sqrt(1 + NASNET.epsilon)
    np.testing.assert_allclose(y[..., 0], x[0, ::2, ::2, 0], rtol=1e-5)
    moved = np.pad(x[0, 1:, 1:, 0], ((0, 1), (0, 1)))[::2, ::2]
    np.testing.assert_allclose(y[..., 1], moved, rtol=1e-5)


def test_pools_of_the_conventions_differ_at_the_border():
    x = -np.ones((1, 4, 4, 8), "float32")
    means = {name: np.asarray(apply("avg_3x3", STYLES[name], stride=2, size=4)(x)) for name in STYLES}
    np.testing.assert_allclose(means["nasnet"], -1, rtol=1e-6)
    np.testing.assert_allclose(means["darts"], -1, rtol=1e-6)
    np.testing.assert_allclose(means["keras"][0, 1, 1], -4 / 9, rtol=1e-6)  # five zeros count
    assert float(tf.reduce_max(apply("max_3x3", NASNET_KERAS, stride=2, size=4)(x))) == 0
    assert float(tf.reduce_max(apply("max_3x3", NASNET, stride=2, size=4)(x))) == -1
    ramp = np.arange(4.0).reshape(1, 4, 1, 1).repeat(4, 2).repeat(8, 3).astype("float32")
    assert np.asarray(apply("max_3x3", NASNET, stride=2, size=4)(ramp))[0, :, 0, 0].tolist() == [2, 3]
    assert np.asarray(apply("max_3x3", DARTS, stride=2, size=4)(ramp))[0, :, 0, 0].tolist() == [1, 3]


def test_pools_may_have_batch_norm_and_it_may_lack_factors():
    bare = dataclasses.replace(DARTS, pool_norm=True, affine=False)
    model = apply("max_3x3", bare)
    assert trainable(model) == 0 and len(model.non_trainable_weights) == 2
    assert trainable(apply("sep_3x3", bare)) == 2 * (9 * 8 + 64)


def test_a_style_says_what_differs():
    assert str(NASNET) == "as NASNet"
    assert str(NASNET_KERAS) == "average_zeros True, maximum_zeros True"
    assert hash(cells.Style()) == hash(NASNET)
