"""ScheduledDropPath and Progress: rates, expectation, saving, mixed precision."""

import keras
import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.layers import Progress, ScheduledDropPath

ONES = np.ones((4000, 1, 2, 3), "float32")


def build(rate=0.5, seed=1):
    image = keras.Input((1, 2, 3))
    outputs = ScheduledDropPath(rate, seed=seed, name="path")([image, Progress(name="progress")(image)])
    return keras.Model(image, outputs)


def test_the_rate_grows_with_the_progress():
    model = build(0.4)
    progress = model.get_layer("progress").progress
    assert float(progress) == 1.0 and not model.trainable_variables
    for done in (0.0, 0.5, 1.0):
        progress.assign(done)
        rows = np.asarray(model(ONES, training=True)).reshape(len(ONES), -1)
        assert (rows == rows[:, :1]).all()  # a coin an example
        rate = 0.4 * done
        kept = np.unique(rows[rows > 0])
        np.testing.assert_allclose(kept, [1 / (1 - rate)], rtol=1e-6)
        # 5 standard deviations of the mean of 4000 coins
        assert abs((rows[:, 0] == 0).mean() - rate) <= 5 * np.sqrt(rate * (1 - rate) / len(ONES))


def test_inference_is_the_identity():
    x = np.random.default_rng(0).normal(size=(3, 1, 2, 3)).astype("float32")
    np.testing.assert_array_equal(build(0.9)(x), x)


def test_a_dropped_path_leaks_no_nan():
    y = np.asarray(build(0.5)(np.full((64, 1, 2, 3), np.nan, "float32"), training=True)).reshape(64, -1)
    assert 0 < np.isnan(y).all(axis=1).sum() < 64
    assert not np.isnan(y[~np.isnan(y).any(axis=1)]).any()


def test_a_file_keeps_the_progress_and_the_coins(tmp_path):
    model = build(seed=7)
    model.get_layer("progress").progress.assign(0.25)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert float(again.get_layer("progress").progress) == 0.25
    assert again.get_layer("path").get_config() == model.get_layer("path").get_config()
    np.testing.assert_array_equal(again(ONES[:64], training=True), build_at(0.25)(ONES[:64], training=True))


def build_at(done):
    model = build(seed=7)
    model.get_layer("progress").progress.assign(done)
    return model


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_keeps_the_rate(policy):
    keras.config.set_dtype_policy(policy)
    model = build(0.3)
    progress = model.get_layer("progress")
    assert progress.progress.dtype == "float32" and progress.output.dtype == "float32"
    half = keras.ops.cast(ONES, policy.removeprefix("mixed_"))
    y = model.get_layer("path")([half, progress(half)], training=True)
    assert y.dtype == half.dtype
    rows = np.asarray(keras.ops.cast(y, "float32")).reshape(len(ONES), -1)[:, 0]
    assert abs((rows == 0).mean() - 0.3) <= 5 * np.sqrt(0.21 / len(ONES))


@pytest.mark.parametrize("rate", [1, -0.1, "0.5", None, True])
def test_errors(rate):
    with pytest.raises(InputError, match=r"rate must be in \[0, 1\). Received"):
        ScheduledDropPath(rate)
