"""kerascnn.layers.BatchNormalization: equal to Keras' layer in training and inference, and what it traces."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn.layers import BatchNormalization, Conv2D
from kerascnn.ops import native


def images(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32") * 2 + 1


def pair(x, **options):
    """Keras' layer and ours with the same random weights."""
    layers = keras.layers.BatchNormalization(**options), BatchNormalization(**options)
    generator = np.random.default_rng(1)
    for layer in layers:
        layer.build(x.shape)
    weights = [generator.uniform(0.5, 1.5, weight.shape) for weight in layers[0].weights]
    for layer in layers:
        layer.set_weights(weights)
    return layers


def run(layer, x, training):
    """Output, gradients, moving averages after the call."""
    x = tf.convert_to_tensor(x, layer.compute_dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=training)
        loss = tf.reduce_sum(tf.cast(y, "float32") ** 3)
    wanted = [x, *(variable.value for variable in layer.trainable_variables)]
    return [y, *tape.gradient(loss, wanted), *(variable.value for variable in layer.non_trainable_variables)]


@pytest.mark.parametrize("mode", ("auto", "off"))
@pytest.mark.parametrize("training", (True, False))
@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((4, 5, 6, 7), {}),
        ((4, 5, 6, 7), {"scale": False, "momentum": 0.5, "epsilon": 1e-5}),
        ((4, 5, 6, 7), {"center": False, "axis": 3}),
        ((1, 1, 1, 7), {}),
        ((9, 7), {}),
        ((4, 5, 6, 7), {"axis": 1}),
        ((4, 5, 6, 7), {"renorm": True}),
        ((4, 5, 6, 7), {"trainable": False}),
    ],
)
def test_equals_keras(mode, training, shape, options):
    x = images(*shape)
    theirs, ours = pair(x, **options)
    with native(mode):
        for got, want in zip(run(ours, x, training), run(theirs, x, training), strict=True):
            np.testing.assert_allclose(got, want, rtol=2e-4, atol=1e-4)
    assert {**ours.get_config(), "name": ""} == {**theirs.get_config(), "name": ""}
    assert ours.supports_jit == theirs.supports_jit


@pytest.mark.parametrize("mode", ("auto", "off"))
def test_how_exact_in_training(mode):
    """Beside NumPy in float64; of 25,088 places added one by one in float32, as oneDNN does, 2e-6 is to be expected."""
    x, dy = images(8, 56, 56, 16), np.random.default_rng(1).normal(size=(8, 56, 56, 16)).astype("float32")
    layer = BatchNormalization(epsilon=1e-5)
    layer.build(x.shape)
    with native(mode), tf.GradientTape() as tape:
        given = tf.convert_to_tensor(x)
        tape.watch(given)
        y = layer(given, training=True)
    found = [y, *tape.gradient(y, [given, layer.gamma.value, layer.beta.value], output_gradients=tf.constant(dy))]
    x, dy, axes = x.astype("float64"), dy.astype("float64"), (0, 1, 2)
    slope = 1 / np.sqrt(x.var(axes) + 1e-5)
    want = (x - x.mean(axes)) * slope
    dgamma, dbeta = (dy * want).sum(axes), dy.sum(axes)
    dx = slope * (dy - (dbeta + want * dgamma) / (8 * 56 * 56))
    for got, truth in zip(found, (want, dx, dgamma, dbeta), strict=True):
        assert np.linalg.norm(got - truth) < 1e-5 * np.linalg.norm(truth)


def test_a_mask_counts():
    x, mask = images(3, 4, 5), np.array([[1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]], bool)
    theirs, ours = pair(x)
    np.testing.assert_allclose(ours(x, training=True, mask=mask), theirs(x, training=True, mask=mask), rtol=1e-6)


@pytest.mark.parametrize("policy", ("mixed_bfloat16", "mixed_float16", "float64", "bfloat16"))
@pytest.mark.parametrize("training", (True, False))
def test_policies(policy, training):
    x = images(4, 5, 6, 7)
    theirs, ours = pair(x, dtype=policy)
    tolerance = 1e-6 if policy == "float64" else 0.03
    for got, want in zip(run(ours, x, training), run(theirs, x, training), strict=True):
        assert got.dtype == want.dtype
        want = tf.cast(want, "float64")
        np.testing.assert_allclose(tf.cast(got, "float64"), want, atol=tolerance * np.abs(want).max())


@pytest.mark.parametrize("jit", [False, True])
def test_fit_gives_what_keras_gives(jit):
    def fitted(kind):
        keras.utils.set_random_seed(0)
        stack = [keras.Input((6, 6, 3)), keras.layers.Conv2D(5, 3), kind(), keras.layers.ReLU(), keras.layers.Flatten()]
        model = keras.Sequential([*stack, keras.layers.Dense(2)])
        model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse", jit_compile=jit)
        history = model.fit(
            images(16, 6, 6, 3), images(16, 2, seed=1), batch_size=8, epochs=3, shuffle=False, verbose=0
        )
        return [*history.history["loss"], model.evaluate(images(16, 6, 6, 3), images(16, 2, seed=1), verbose=0)]

    np.testing.assert_allclose(fitted(BatchNormalization), fitted(keras.layers.BatchNormalization), rtol=1e-3)


def test_round_trip(tmp_path):
    inputs = keras.Input((None, None, 6))
    model = keras.Model(inputs, BatchNormalization(epsilon=1e-5, momentum=0.9, name="bn1")(inputs))
    assert model.output_shape == (None, None, None, 6)
    model(images(2, 3, 3, 6), training=True)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again.get_layer("bn1")) is BatchNormalization
    assert again.get_layer("bn1").get_config() == model.get_layer("bn1").get_config()
    np.testing.assert_array_equal(again(images(2, 3, 3, 6)), model(images(2, 3, 3, 6)))


def test_which_ops_are_traced(tmp_path):
    layer = BatchNormalization()
    layer.build((None, 4, 4, 3))

    def types(training):
        graph = tf.function(lambda x: layer(x, training=training)).get_concrete_function(tf.ones((1, 4, 4, 3))).graph
        return {operation.type for operation in graph.get_operations()}

    with native("auto"):
        assert "FusedBatchNormV3" in types(True) & types(False)
    with native("off"):
        assert "FusedBatchNormV3" not in types(True) | types(False)
        model = keras.Sequential([keras.Input((4, 4, 3)), layer])
        model.export(tmp_path / "model", verbose=False)
    loaded, x = tf.saved_model.load(tmp_path / "model"), images(2, 4, 4, 3)
    np.testing.assert_allclose(loaded.serve(x), model(x), atol=1e-5)
    saved = (tmp_path / "model" / "saved_model.pb").read_bytes()
    assert b"Kerascnn>" not in saved and b"FusedBatchNorm" not in saved


@pytest.mark.parametrize("groups", [1, 2])
def test_inference_in_a_graph_behind_a_convolution(groups):
    inputs = keras.Input((8, 8, 64))
    x = BatchNormalization(name="bn")(Conv2D(64, 3, padding=1, groups=groups, use_bias=False)(inputs))
    model = keras.Model(inputs, keras.layers.ReLU()(x))
    model.get_layer("bn").set_weights([images(64, seed=i) ** 2 for i in range(4)])
    x = images(2, 8, 8, 64)
    np.testing.assert_allclose(model.predict(x, verbose=0), model(x), rtol=1e-4, atol=1e-4)
