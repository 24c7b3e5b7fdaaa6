"""The layer: shapes, configuration, saving, seeds, precision, training, compilation by XLA."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.layers import SAFPooling2D
from kerascnn.ops import native

X = np.random.default_rng(0).normal(size=(4, 6, 6, 8)).astype("float32")


def test_inference_is_max_pooling():
    np.testing.assert_array_equal(SAFPooling2D(3, 2, "same")(X), keras.layers.MaxPooling2D(3, 2, "same")(X))
    np.testing.assert_array_equal(SAFPooling2D(None)(X), keras.layers.GlobalMaxPooling2D(keepdims=True)(X))


@pytest.mark.parametrize("mode", ["element", "channel"])
def test_training_drops_at_the_rate(mode):
    x = np.ones((300, 4, 4, 20), "float32")
    y = keras.ops.convert_to_numpy(SAFPooling2D(rate=0.25, mode=mode, seed=1)(x, training=True))
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.75], rtol=1e-6)
    assert abs(y[:, 0, 0].mean() - 1) < 4 * np.sqrt(0.25 / 0.75 / 6000)
    assert (y == y[:, :1, :1]).all() == (mode == "channel")


def test_seeds_advance_and_repeat():
    first, second = (SAFPooling2D(rate=0.5, seed=7) for _ in range(2))
    ones = np.ones_like(X)
    outcomes = [keras.ops.convert_to_numpy(first(ones, training=True)) for _ in range(3)]
    for outcome in outcomes:
        np.testing.assert_array_equal(second(ones, training=True), outcome)
    assert (outcomes[0] != outcomes[1]).any() and (outcomes[1] != outcomes[2]).any()


def test_round_trip(tmp_path):
    inputs = keras.Input((None, None, 8))
    x = SAFPooling2D(3, (2, 1), "same", 0.4, "channel", seed=3, name="pool")(inputs)
    model = keras.Model(inputs, SAFPooling2D(None, name="global")(x))
    assert x.shape == (None, None, None, 8) and model.output_shape == (None, 1, 1, 8)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.get_layer("pool").get_config() == model.get_layer("pool").get_config()
    assert again.get_layer("global").get_config() == model.get_layer("global").get_config()
    np.testing.assert_array_equal(again.get_layer("pool")(X, training=True), model.get_layer("pool")(X, training=True))


def test_shapes_agree_with_values():
    for arguments in [(2,), ((3, 2), (2, 3)), (3, 2, "same"), (None,), (2, 5)]:
        layer = SAFPooling2D(*arguments)
        assert layer.compute_output_shape(X.shape) == tuple(layer(X).shape) == tuple(layer(X, training=True).shape)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_policies(policy):
    y = SAFPooling2D(dtype=policy)(X, training=True)
    assert keras.backend.standardize_dtype(y.dtype) == policy.removeprefix("mixed_")


@pytest.mark.parametrize("jit", [False, True])
def test_training(jit):
    pool = SAFPooling2D(rate=0.1, seed=1)
    model = keras.Sequential([keras.Input((6, 6, 8)), keras.layers.Conv2D(5, 1), pool, SAFPooling2D(None, rate=0.1)])
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=jit)
    target = np.ones((4, 1, 1, 5))
    before = model.evaluate(X, target, verbose=0)
    model.fit(X, target, epochs=5, verbose=0)
    assert model.evaluate(X, target, verbose=0) < before


def test_an_export_is_stock():
    model = keras.Sequential([keras.Input((4, 4, 3)), SAFPooling2D()])
    with native("off"):
        served = tf.function(lambda x: model(x), input_signature=[tf.TensorSpec([None, 4, 4, 3])])
        types = {operation.type for operation in served.get_concrete_function().graph.get_operations()}
    assert "MaxPool" in types and not any(name.startswith("Kerascnn") or "Random" in name for name in types)


def test_refusals():
    with pytest.raises(InputError, match="`rate` must be a number of at least 0 and less than 1. Received: rate=1"):
        SAFPooling2D(rate=1)
    with pytest.raises(InputError, match="The dilated window must fit into the padded image. Received: "):
        SAFPooling2D(7)(X)
    with pytest.raises(ValueError, match="expected ndim=4"):
        SAFPooling2D()(X[0])
