"""DropPath: expectation, the two conventions, reproducibility, saving, mixed precision."""

import keras
import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.layers import DropPath

ONES = np.ones((4000, 1, 2, 3), "float32")


def test_rows_are_dropped_whole_and_the_rest_is_scaled_up():
    y = keras.ops.convert_to_numpy(DropPath(0.25, seed=1)(ONES, training=True))
    rows = y.reshape(len(y), -1)
    assert (rows == rows[:, :1]).all()
    np.testing.assert_allclose(np.unique(rows), [0, 1 / 0.75], rtol=1e-6)
    # 4 standard deviations of the mean of 4000 coins
    assert abs(rows.mean() - 1) < 4 * np.sqrt(0.25 / 0.75 / 4000)


def test_inference_is_the_identity():
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    np.testing.assert_array_equal(DropPath(0.9)(x), x)


def test_the_paper_scales_at_inference():
    layer = DropPath(0.25, scale_at="inference", seed=1)
    np.testing.assert_allclose(layer(ONES[:2]), 0.75 * ONES[:2])
    trained = keras.ops.convert_to_numpy(layer(ONES, training=True))
    assert set(np.unique(trained)) == {0.0, 1.0}
    assert abs(trained.mean() - 0.75) < 4 * np.sqrt(0.25 * 0.75 / 4000)


def test_one_coin_for_the_batch():
    layer = DropPath(0.5, mode="batch", seed=3)
    outcomes = [keras.ops.convert_to_numpy(layer(ONES[:5], training=True)) for _ in range(40)]
    assert all(np.unique(outcome).size == 1 for outcome in outcomes)
    dropped = sum(outcome.max() == 0 for outcome in outcomes)
    assert 8 <= dropped <= 32  # 4 standard deviations around 20


def test_a_dropped_branch_leaks_no_nan():
    y = keras.ops.convert_to_numpy(DropPath(0.5, seed=0)(np.full((64, 2), np.nan, "float32"), training=True))
    assert 0 < np.isnan(y).all(axis=1).sum() < 64
    assert not np.isnan(y[~np.isnan(y).any(axis=1)]).any()


def test_seeds_fix_the_coins_and_are_saved(tmp_path):
    x = ONES[:64]
    first, second = (DropPath(0.5, seed=7) for _ in range(2))
    np.testing.assert_array_equal(first(x, training=True), second(x, training=True))

    model = keras.Sequential([keras.Input((1, 2, 3)), DropPath(0.5, mode="row", scale_at="inference", seed=7)])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.layers[-1].get_config() == model.layers[-1].get_config()
    np.testing.assert_array_equal(again(x, training=True), model(x, training=True))


def test_gradient_passes_only_through_survivors():
    import tensorflow as tf

    x = tf.Variable(ONES[:32])
    with tf.GradientTape() as tape:
        y = DropPath(0.5, seed=1)(x, training=True)
    np.testing.assert_array_equal(tape.gradient(y, x), y)  # d/dx of x·c is c, and x is 1


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    y = DropPath(0.01, seed=1, dtype=policy)(ONES, training=True)
    assert keras.backend.standardize_dtype(y.dtype) == policy.removeprefix("mixed_")
    dropped = (keras.ops.convert_to_numpy(keras.ops.cast(y, "float32")).max(axis=(1, 2, 3)) == 0).mean()
    assert 0.003 < dropped < 0.017  # a coin in bfloat16 could not tell rates this small


def test_symbolic_shapes_keep_unknown_dimensions():
    symbol = DropPath(0.5)(keras.KerasTensor((None, None, 8)))
    assert symbol.shape == (None, None, 8)


@pytest.mark.parametrize(
    "arguments, text",
    [({"rate": 1}, "rate"), ({"rate": -0.1}, "rate"), ({"rate": "a"}, "rate"), ({"rate": 0.1, "mode": "x"}, "mode"),
     ({"rate": 0.1, "scale_at": "x"}, "scale_at")],
)  # fmt: skip
def test_refusals(arguments, text):
    with pytest.raises(InputError, match=f"^{text} must be .*Received: "):
        DropPath(**arguments)
