"""Models inside a model, spelled out."""

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn._errors import InputError
from kerascnn.surgery import inlined

L = keras.layers


def part(name, sequential=False):
    layers = [L.Conv2D(4, 3, name="conv"), L.BatchNormalization(name="norm"), L.GlobalAveragePooling2D(name="pool")]
    if sequential:
        return keras.Sequential([keras.Input((9, 8, 3)), *layers], name=name)
    x = image = keras.Input((9, 8, 3))
    for layer in layers:
        x = layer(x)
    return keras.Model(image, keras.ops.relu(x), name=name)


def nested():
    """Two encoders with the same names inside, one of them called twice and one in a model of its own."""
    a, b = part("a"), part("b", sequential=True)
    image = keras.Input((9, 8, 3))
    inner = keras.Input((9, 8, 3))
    middle = keras.Model(inner, L.Dense(5, name="conv")(b(inner)), name="middle")
    x = L.Concatenate(name="both")([a(image), a(L.Rescaling(2.0, name="twice")(image)), middle(image)])
    return keras.Model(image, L.Dense(3, name="pool")(x), name="whole")


def test_the_same_numbers_from_the_same_weights():
    model, x = nested(), np.random.default_rng(0).normal(size=(2, 9, 8, 3)).astype("float32")
    flat, layers = inlined(model)
    np.testing.assert_allclose(flat(x, training=False), model(x, training=False), atol=1e-6)
    assert {id(w) for w in flat.weights} == {id(w) for w in model.weights}
    assert {"a/conv", "middle/conv", "middle/b/norm", "both", "pool"} <= set(layers)
    assert not any(isinstance(layer, keras.Model) for layer in flat.layers)
    assert {flat.get_layer(layer.name) is layer for layer in layers.values()} == {True}
    assert any(isinstance(layer, keras.Model) for layer in model.layers)  # which is as it was


def test_training_goes_through_to_the_layers_inside():
    model, x = nested(), np.random.default_rng(0).normal(size=(8, 9, 8, 3)).astype("float32")
    flat, _ = inlined(model)
    np.testing.assert_allclose(flat(x, training=True), model(x, training=True), atol=1e-5)


def test_what_is_flat_stays_itself():
    model = kerascnn.create_model("lenet5")
    flat, layers = inlined(model)
    assert flat is model and list(layers) == [layer.name for layer in model.layers]
    with pytest.raises(InputError, match="functional or built sequential"):
        inlined("lenet5")


def test_a_sequential_model():
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="a")])
    model = keras.Sequential([keras.Input((4,)), inner, keras.layers.Dense(2, name="b")])
    for each, names in ((inner, {"a"}), (model, {f"{inner.name}/a", "b"})):
        flat, layers = inlined(each)
        assert names <= set(layers)
        np.testing.assert_array_equal(flat(np.ones((2, 4))), each(np.ones((2, 4))))
