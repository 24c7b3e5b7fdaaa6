"""Another number of classes over the same trunk."""

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn._errors import InputError
from kerascnn.models import AuxiliaryModel
from kerascnn.surgery.heads import replace_head

L = keras.layers


def made(*steps):
    x = image = keras.Input((6, 6, 2))
    for step in steps:
        x = step(x)
    return keras.Model(image, x, name="made")


HEADS = {
    "dense": lambda: (L.Flatten(), L.Dense(5, "relu"), L.Dense(3, "softmax")),
    "scores first": lambda: (L.Conv2D(3, 1), L.GlobalAveragePooling2D(), L.Activation("softmax")),
    "reshape": lambda: (L.GlobalAveragePooling2D(keepdims=True), L.Conv2D(3, 1), L.Reshape((3,)), L.Softmax()),
    "pixels": lambda: (L.Conv2D(4, 3), L.Conv2D(3, 1), keras.ops.softmax),
    "nested": lambda: (L.Conv2D(4, 3), keras.Sequential([keras.Input((4, 4, 4)), L.Flatten(), L.Dense(3, "softmax")])),
}


@pytest.mark.parametrize("name", HEADS)
def test_the_trunk_is_shared_and_the_last_layer_new(name):
    model = made(*HEADS[name]())
    before, names = model.get_weights(), [layer.name for layer in model.layers]
    new = replace_head(model, 7)
    assert new.output_shape == (*model.output_shape[:-1], 7) and new.name == "made"
    old = {id(w) for w in model.weights}
    assert sum(id(w) not in old for w in new.weights) == 2  # kernel and bias of the new layer
    if name != "pixels":
        assert [layer.name for layer in new.layers] == names
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 2)).astype("float32")
    np.testing.assert_allclose(np.sum(new(x), axis=-1), 1, rtol=1e-5)
    new.compile("sgd", "sparse_categorical_crossentropy")
    new.fit(x, np.zeros(new(x).shape[:-1], int), verbose=0)
    assert model.output_shape[-1] == 3
    for a, b in zip(before[-2:], model.get_weights()[-2:], strict=True):
        np.testing.assert_array_equal(a, b)  # the old last layer is not trained


def test_every_auxiliary_head_is_new():
    model = kerascnn.create_model("deeply_supervised_nin", classes=5, auxiliary_heads=True)
    new = replace_head(model, 3)
    assert type(new) is AuxiliaryModel and new.auxiliary_weights == model.auxiliary_weights
    image = np.zeros((1, *model.input_shape[1:]), "float32")
    assert {y.shape[-1] for y in new(image, training=True)} == {3}


@pytest.mark.parametrize("name", ["lenet5", "squeezenet1_1", "resnet20"])
def test_networks_of_this_package(name):
    new = replace_head(kerascnn.create_model(name), 4)
    assert len(new.weights) == len(kerascnn.create_model(name, classes=4).weights) and new.output_shape[-1] == 4


def test_adapters_of_the_old_head_are_left_behind():
    model = made(L.Flatten(), L.Dense(3))
    model.layers[-1].enable_lora(2)
    assert [w.name for w in replace_head(model, 4).weights] == ["kernel", "bias"]


@pytest.mark.parametrize(
    "steps",
    [
        lambda: (L.Flatten(), L.Dense(3), L.BatchNormalization()),
        lambda: (L.DepthwiseConv2D(3),),
        lambda: (lambda x: L.Add()([L.Conv2D(3, 1)(x), L.Conv2D(3, 1)(x)]),),
    ],
)
def test_other_ends_are_refused(steps):
    with pytest.raises(InputError, match="dense layer or"):
        replace_head(made(*steps()), 4)


@pytest.mark.parametrize("classes", [0, -1, 2.5, True, "ten", None])
def test_bad_numbers_of_classes(classes):
    with pytest.raises(InputError, match="classes must be a whole number"):
        replace_head(made(L.Dense(3)), classes)
