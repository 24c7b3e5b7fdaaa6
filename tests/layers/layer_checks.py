"""What the tests of the convolution layers ask of each: that it trains, saves and exports."""

import keras
import numpy as np
import tensorflow as tf

from kerascnn.ops import native

POLICIES = ("float32", "mixed_bfloat16", "mixed_float16", "float64")


def images(*shape, seed=0):
    """Normally distributed float32."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def stacked(layers, shape):
    """A model that calls one layer after the other on images of this shape."""
    inputs = x = keras.Input(shape)
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x)


def check_training(make_layers, shape, policy, mode="auto"):
    """One step changes every weight of the layers, in the policy's dtype."""
    keras.config.set_dtype_policy(policy)
    with native(mode):
        x = stacked(make_layers(), shape)
        pool = keras.layers.GlobalAveragePooling2D(dtype="float64" if policy == "float64" else "float32")
        model = keras.Model(x.input, pool(x.output))
        before = [weight.copy() for weight in model.get_weights()]
        model.compile(keras.optimizers.SGD(0.1), "mse")
        loss = model.fit(images(4, *shape), images(4, model.output_shape[1]), verbose=0).history["loss"][0]
    assert x.output.dtype == keras.config.dtype_policy().compute_dtype
    assert np.isfinite(loss)
    assert all((old != new).any() for old, new in zip(before, model.get_weights(), strict=True))


def check_training_by_xla(layer, shape):
    """A compiled step of a layer that keeps the shape."""
    model = stacked([layer], shape)
    assert layer.supports_jit
    model.compile("sgd", "mse", jit_compile=True)
    assert np.isfinite(model.fit(images(2, *shape), images(2, *shape), verbose=0).history["loss"][0])


def check_round_trip(layers, shape, folder):
    """A saved and loaded model has the same layers and gives the same; returns it."""
    model = stacked(layers, shape)
    model.save(folder / "model.keras")
    loaded = keras.models.load_model(folder / "model.keras")
    for layer, copy in zip(layers, loaded.layers[1:], strict=True):
        assert type(copy) is type(layer) and copy.get_config() == layer.get_config()
    x = images(2, *shape)
    np.testing.assert_array_equal(model(x), loaded(x))
    return loaded


def check_export(layer, channels, folder):
    """Switched off, it exports stock ops only, for images of any size; returns the SavedModel's bytes."""
    with native("off"):
        model = stacked([layer], (None, None, channels))
        model.export(folder / "model", verbose=False)
    loaded = tf.saved_model.load(folder / "model")
    x = images(2, 9, 8, channels)
    np.testing.assert_allclose(loaded.serve(x), model(x), atol=1e-5)
    saved = (folder / "model" / "saved_model.pb").read_bytes()
    for absent in (b"_XlaMustCompile", b"SpaceToBatch", b"Kerascnn>"):
        assert absent not in saved
    return saved
