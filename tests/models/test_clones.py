"""Copies of our model classes keep class, layers, weights and outputs, whichever way Keras or Python makes them."""

import copy

import keras
import numpy as np
import pytest

from kerascnn import models

IMAGES = np.random.default_rng(0).normal(size=(2, 6, 6, 2)).astype("float32")


def auxiliary():
    image = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(3, 3, name="conv1")(image)
    y = keras.layers.Conv2D(3, 3, name="conv2")(x)
    outputs = [keras.layers.Dense(2, name=f"head{i}")(keras.layers.Flatten()(z)) for i, z in enumerate((y, x))]
    return models.AuxiliaryModel(image, outputs, name="supervised", auxiliary_weights=(0.3,))


def deep():
    image = x = keras.Input((6, 6, 2))
    for i in range(1_100):  # more than Python's frames
        x = keras.layers.Activation("relu", name=f"relu{i}")(x)
    return models.DeepModel(image, keras.layers.Dense(2)(x), name="deep")


def from_layers(model):
    return keras.models.clone_model(model, clone_function=lambda layer: type(layer).from_config(layer.get_config()))


COPIES = {
    "clone_model": keras.models.clone_model,
    "clone_function": from_layers,
    "input_tensors": lambda model: keras.models.clone_model(model, input_tensors=keras.Input((6, 6, 2))),
    "recursive": lambda model: keras.models.clone_model(model, recursive=True),
    "from_config": lambda model: type(model).from_config(model.get_config()),
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize(
    "build, way",
    [
        *((auxiliary, way) for way in sorted(COPIES)),
        (deep, "clone_model"),
        pytest.param(deep, "deepcopy", marks=pytest.mark.after),
    ],
)
def test_copies_are_of_the_same_class_with_the_same_weights(build, way):
    model = build()
    clone = COPIES[way](model)
    assert type(clone) is type(model) and clone.name == model.name
    assert [layer.name for layer in clone.layers][1:] == [layer.name for layer in model.layers][1:]
    assert [w.shape for w in clone.weights] == [w.shape for w in model.weights]
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone(IMAGES), model(IMAGES))
    if build is auxiliary:
        assert clone.auxiliary_weights == (0.3,)
        for ours, theirs in zip(clone(IMAGES, training=True), model(IMAGES, training=True), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_clone_of_a_compiled_model_trains_its_heads():
    model = auxiliary()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    clone = keras.models.clone_model(model)
    before = clone.get_layer("head1").get_weights()[0].copy()
    clone.fit(IMAGES, np.array([0, 1]), verbose=0)
    assert np.abs(clone.get_layer("head1").get_weights()[0] - before).max() > 0


def test_an_auxiliary_model_within_a_model_is_copied():
    image = keras.Input((6, 6, 2))
    around = keras.Model(image, auxiliary()(image))
    for way in ("clone_model", "recursive", "from_config", "deepcopy"):
        inner = COPIES[way](around).get_layer("supervised")
        assert isinstance(inner, models.AuxiliaryModel) and len(inner.weights) == 8


def test_frozen_layers_stay_frozen():
    model = auxiliary()
    model.get_layer("conv1").trainable = False
    assert not models.AuxiliaryModel.from_config(model.get_config()).get_layer("conv1").trainable
    model.trainable = False
    assert models.AuxiliaryModel.from_config(model.get_config()).trainable_weights == []
