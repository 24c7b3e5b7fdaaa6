"""ShakeShake: independent draws per image, forwards and backwards, in graphs, mixed precision and strategies."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn.layers import ShakeShake

N = 2000


def shake(layer, dtype="float32"):
    """Coefficients of the first branch, forwards and backwards, one per image; their complements are checked."""
    x, y = tf.ones((N, 2, 3, 1), dtype), tf.zeros((N, 2, 3, 1), dtype)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            tape.watch([x, y])
            z = layer([x, y], training=True)
        return z, *tape.gradient(z, [x, y])

    forward, backward, other = (tf.cast(t, "float32").numpy().reshape(N, 6) for t in step(x, y))
    for rows in (forward, backward, other):
        assert (rows == rows[:, :1]).all()
    np.testing.assert_allclose(backward + other, 1, atol=1e-6 if dtype == "float32" else 1e-2)
    return forward[:, 0], backward[:, 0]


def test_draws_are_uniform_and_independent():
    forward, backward = shake(ShakeShake(seed=1))
    for draws in (forward, backward):
        assert 0 <= draws.min() and draws.max() <= 1
        assert abs(draws.mean() - 0.5) < 4 * np.sqrt(1 / 12 / N)
        assert abs(draws.var() - 1 / 12) < 0.01
    assert abs(np.corrcoef(forward, backward)[0, 1]) < 4 / np.sqrt(N)
    again = shake(ShakeShake(seed=1))
    np.testing.assert_array_equal(again, (forward, backward))


def test_every_call_draws_anew():
    layer = ShakeShake()
    first, second = shake(layer), shake(layer)
    assert abs(np.corrcoef(first[0], second[0])[0, 1]) < 4 / np.sqrt(N)


def test_inference_is_the_mean():
    x, y = np.random.default_rng(0).normal(size=(2, 3, 4, 4, 2)).astype("float32")
    np.testing.assert_allclose(ShakeShake()([x, y]), (x + y) / 2, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_mixed_precision(dtype):
    forward, backward = shake(ShakeShake(dtype=f"mixed_{dtype}"), dtype)
    assert abs(forward.mean() - 0.5) < 0.05 and abs(backward.mean() - 0.5) < 0.05


def model():
    """Two convolutions shaken."""
    inputs = keras.Input((6, 6, 2))
    sides = [keras.layers.Conv2D(3, 3, padding="same")(inputs) for _ in range(2)]
    x = ShakeShake(seed=5, name="shake")(sides)
    assert x.shape == (None, 6, 6, 3)
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.GlobalAveragePooling2D()(x)))


@pytest.mark.parametrize("policy, jit", [("float32", False), ("float32", True), ("mixed_float16", False)])
def test_trains_and_comes_back_from_a_file(policy, jit, tmp_path):
    keras.config.set_dtype_policy(policy)
    net = model()
    x = np.random.default_rng(0).normal(size=(4, 6, 6, 2)).astype("float32")
    before = [w.copy() for w in net.get_weights()]
    net.compile("sgd", "mse", jit_compile=jit)
    assert np.isfinite(net.fit(x, np.ones((4, 1)), verbose=0).history["loss"][0])
    assert all((a != b).any() for a, b in zip(before, net.get_weights(), strict=True))
    net.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.get_layer("shake").get_config() == net.get_layer("shake").get_config()
    np.testing.assert_array_equal(again(x), net(x))


def test_exports(tmp_path):
    net = model()
    net.export(tmp_path / "model", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "model")
    x = np.random.default_rng(0).normal(size=(4, 6, 6, 2)).astype("float32")
    np.testing.assert_allclose(loaded.serve(x), net(x), atol=1e-6)


def test_in_a_mirrored_strategy():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        layer = ShakeShake(seed=1)

    def step():
        x, y = tf.ones((50, 1)), tf.zeros((50, 1))
        with tf.GradientTape() as tape:
            tape.watch(x)
            z = layer([x, y], training=True)
        return z, tape.gradient(z, x)

    results = strategy.run(tf.function(step))
    draws = np.array([strategy.experimental_local_results(result) for result in results])
    for device in range(2):  # the devices share the state of the seed, as in all of Keras' random layers
        forward, backward = draws[:, device, :, 0]
        assert abs(np.corrcoef(forward, backward)[0, 1]) < 4 / np.sqrt(50)
