"""kerascnn.layers.PerformerAttention: the formula, the estimate of attention, precision, files, refusals."""

import keras
import numpy as np
import pytest
from layer_checks import check_round_trip, images

from kerascnn._errors import InputError
from kerascnn.layers import PerformerAttention


def by_pairs(kqv, projections):
    """A weighted mean over all keys for each query, in float64; the weights are products of features."""
    key, query, value = np.split(kqv.astype("float64"), 3, axis=-1)

    def features(x):
        return np.exp(x @ projections.T - np.square(x).sum(-1, keepdims=True) / 2)

    weights = np.einsum("bqm,bkm->bqk", features(query), features(key))
    return np.einsum("bqk,bkd->bqd", weights / weights.sum(-1, keepdims=True), value)


@pytest.mark.parametrize("policy, error", [("float32", 1e-5), ("mixed_float16", 2e-3), ("mixed_bfloat16", 2e-2)])
def test_values(policy, error):
    layer, x = PerformerAttention(8, seed=3, dtype=policy), images(2, 6, 12)
    y = keras.ops.convert_to_numpy(keras.ops.cast(layer(x), "float32"))
    np.testing.assert_allclose(y, by_pairs(x, layer.projections.numpy()), atol=error, rtol=error)


def test_projections_are_orthogonal_fixed_and_of_the_length_of_the_release():
    layers = [PerformerAttention(4, seed=seed) for seed in (1, 1, 2)]
    for layer in layers:
        layer.build((None, 5, 24))
        assert layer.trainable_weights == [] and len(layer.weights) == 1
    first, same, other = (layer.projections.numpy() for layer in layers)
    np.testing.assert_allclose(first @ first.T, 4 * np.eye(4), atol=1e-5)
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 0.1


def test_many_features_estimate_attention():
    x = 0.3 * images(1, 7, 12)
    layer = PerformerAttention(4096)
    layer.build(x.shape)
    rng = np.random.default_rng(0)
    layer.set_weights([rng.normal(size=(4096, 4))])
    key, query, value = np.split(x, 3, axis=-1)
    weights = np.exp(np.einsum("bqd,bkd->bqk", query, key))
    exact = np.einsum("bqk,bkd->bqd", weights / weights.sum(-1, keepdims=True), value)
    np.testing.assert_allclose(layer(x), exact, atol=0.01)


def test_file(tmp_path):
    check_round_trip([PerformerAttention(3, seed=5)], (6, 12), tmp_path)


def test_what_does_not_fit_is_refused():
    for arguments in ((0,), (2.5,), (4, -1)):
        with pytest.raises(InputError, match="whole number"):
            PerformerAttention(*arguments)
    with pytest.raises(InputError, match="3 d"):
        PerformerAttention(4)(keras.Input((5, 8)))
