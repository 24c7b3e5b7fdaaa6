"""FractalPath and FractalJoin: the mean, local and global drop-path, gradients, saving."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.layers import FractalJoin, FractalPath

COLUMNS = [np.full((2, 1, 1, 1), value, "float32") for value in (1.0, 10.0, 100.0)]
LOCAL = np.array([-1], "int32")


def outcomes(layer, choice, columns=COLUMNS, count=400):
    """Value of the join for each of many mini-batches."""
    call = tf.function(lambda choice: layer([choice, *columns], training=True))
    values = [call(tf.constant(choice)).numpy() for _ in range(count)]
    assert all((value == value[0]).all() for value in values)  # one draw for the mini-batch
    return np.array([value[0, 0, 0, 0] for value in values])


def test_inference_is_the_mean():
    np.testing.assert_allclose(FractalJoin(0.9)([LOCAL, *COLUMNS]), np.full((2, 1, 1, 1), 37.0), rtol=1e-6)
    assert int(FractalPath(3, 1.0)(COLUMNS[0])[0]) == -1


def test_local_drop_path_is_a_mean_of_what_is_left():
    means = outcomes(FractalJoin(0.15, seed=1), LOCAL)
    np.testing.assert_allclose(np.unique(means), [1, 5.5, 10, 37, 50.5, 55, 100], rtol=1e-6)
    assert abs((means == 37).mean() - 0.85**3) < 4 * np.sqrt(0.25 / 400)


def test_one_column_always_survives():
    means = outcomes(FractalJoin(0.999, seed=1), LOCAL)
    shares = [(means == value).mean() for value in (1, 10, 100)]
    assert min(shares) > 0.2 and sum(shares) > 0.95


@pytest.mark.parametrize("choice, heard", [(0, 100), (1, 10), (2, 1)])
def test_global_drop_path_hears_one_column_counted_from_the_deepest(choice, heard):
    assert set(outcomes(FractalJoin(0.15), np.array([choice], "int32"), count=3)) == {heard}


def test_a_join_that_the_column_does_not_reach_takes_the_mean():
    assert set(outcomes(FractalJoin(0.5), np.array([2], "int32"), COLUMNS[1:], count=3)) == {55}


def test_paths_are_local_half_of_the_time_and_columns_equally_likely():
    layer = FractalPath(3, seed=1)
    call = tf.function(lambda x: layer(x, training=True))
    paths = np.array([call(COLUMNS[0]).numpy()[0] for _ in range(600)])
    for path, share in [(-1, 1 / 2), (0, 1 / 6), (1, 1 / 6), (2, 1 / 6)]:
        assert abs((paths == path).mean() - share) < 4 * np.sqrt(share * (1 - share) / 600)


def test_gradient_reaches_the_living_columns_alone():
    x, y = tf.Variable(COLUMNS[0]), tf.Variable(COLUMNS[1])
    with tf.GradientTape() as tape:
        z = FractalJoin()([np.array([0], "int32"), x, y], training=True)
    assert [float(tf.reduce_max(g)) for g in tape.gradient(z, [x, y])] == [0, 1]


def net():
    """Two convolutions joined."""
    inputs = keras.Input((None, None, 2))
    columns = [keras.layers.Conv2D(3, 3, padding="same")(inputs) for _ in range(2)]
    x = FractalJoin(0.3, seed=2, name="join")([FractalPath(2, 0.25, seed=1, name="path")(inputs), *columns])
    assert x.shape == (None, None, None, 3)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))


IMAGES = np.random.default_rng(0).normal(size=(8, 5, 6, 2)).astype("float32")


@pytest.mark.parametrize("policy, jit", [("float32", False), ("float32", True), ("mixed_float16", False)])
def test_trains_and_comes_back_from_a_file(policy, jit, tmp_path):
    keras.config.set_dtype_policy(policy)
    model = net()
    model.compile("sgd", "mse", jit_compile=jit)
    assert np.isfinite(model.fit(IMAGES, np.ones((8, 3)), verbose=0).history["loss"][0])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for name in ("join", "path"):
        assert again.get_layer(name).get_config() == model.get_layer(name).get_config()
    np.testing.assert_array_equal(again(IMAGES), model(IMAGES))


def test_in_a_mirrored_strategy():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        layer = FractalJoin(0.5, seed=1)
    values = strategy.run(tf.function(lambda: [layer([LOCAL, *COLUMNS], training=True)[0, 0, 0, 0] for _ in range(6)]))
    found = np.array([strategy.experimental_local_results(value) for value in values])
    assert set(found.flat) <= {1, 5.5, 10, 37, 50.5, 55, 100} and len(set(found.flat)) > 2


def test_exports(tmp_path):
    model = net()
    model.export(tmp_path / "model", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "model")
    np.testing.assert_allclose(loaded.serve(IMAGES), model(IMAGES), atol=1e-6)


@pytest.mark.parametrize(
    "make, text",
    [(lambda: FractalJoin(1), "rate"), (lambda: FractalPath(0), "columns"), (lambda: FractalPath(2, 2), "global_rate")],
)
def test_refusals(make, text):
    with pytest.raises(InputError, match=f"^{text} must be .*Received: "):
        make()
