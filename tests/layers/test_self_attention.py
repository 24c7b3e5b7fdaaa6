"""kerascnn.layers.SelfAttention: as the formula and keras.layers.MultiHeadAttention; gradients, precision, files."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_checks import check_round_trip, images, stacked

from kerascnn._errors import InputError
from kerascnn.layers import SelfAttention


def attention(x, heads):
    """The formula, token by token, in float64."""
    query, key, value = np.moveaxis(x.astype("float64").reshape(*x.shape[:2], 3, heads, -1), 2, 0)
    scores = np.einsum("bqhc,bkhc->bhqk", query, key) / np.sqrt(query.shape[-1])
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return np.einsum("bhqk,bkhc->bqhc", weights, value).reshape(*x.shape[:2], -1)


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("policy, error", [("float32", 1e-6), ("mixed_float16", 5e-3), ("mixed_bfloat16", 4e-2)])
def test_values(heads, policy, error):
    x = images(2, 5, 24)
    y = keras.ops.convert_to_numpy(keras.ops.cast(SelfAttention(heads, dtype=policy)(x), "float32"))
    np.testing.assert_allclose(y, attention(x, heads), atol=error, rtol=error)


def test_large_scores_stay_finite_in_half_precision():
    x = 60 * images(1, 7, 12)
    y = SelfAttention(1, dtype="float16")(x)
    assert np.isfinite(y).all()


def test_equals_keras_multi_head_attention():
    x = images(2, 5, 8)
    theirs = keras.layers.MultiHeadAttention(2, 4, bias_initializer="random_normal")
    wanted = theirs(x, x)
    qkv, proj = keras.layers.Dense(24), keras.layers.Dense(8)
    proj(SelfAttention(2)(qkv(x)))
    parts = [dense.get_weights() for dense in (theirs.query_dense, theirs.key_dense, theirs.value_dense)]
    kernels, biases = zip(*parts, strict=True)
    qkv.set_weights(
        [np.concatenate([k.reshape(8, 8) for k in kernels], 1), np.concatenate([b.ravel() for b in biases])]
    )
    kernel, bias = theirs.output_dense.get_weights()
    proj.set_weights([kernel.reshape(8, 8), bias])
    made = proj(SelfAttention(2)(qkv(x)))
    np.testing.assert_allclose(made, wanted, rtol=1e-5, atol=1e-6)


def test_gradient():
    x = tf.constant(images(1, 3, 12), tf.float64)
    layer = SelfAttention(2, dtype="float64")
    theory, numeric = tf.test.compute_gradient(layer, [x])
    np.testing.assert_allclose(theory[0], numeric[0], atol=1e-6)


def test_the_number_of_tokens_may_be_open(tmp_path):
    model = stacked([SelfAttention(2)], (None, 12))
    assert model.output_shape == (None, None, 4)
    for tokens in (1, 5):
        x = images(2, tokens, 12)
        np.testing.assert_allclose(model(x), attention(x, 2), rtol=1e-5, atol=1e-6)
    check_round_trip([SelfAttention(2)], (5, 12), tmp_path)


@pytest.mark.parametrize("shape", [(5, 10), (5, 12), (12,), (2, 2, 24)])
def test_other_widths_are_refused(shape):
    with pytest.raises(InputError, match="d a multiple of 8 heads"):
        SelfAttention(8)(keras.Input(shape))
    with pytest.raises(InputError, match="heads must be"):
        SelfAttention(0)
