"""The one way to rebuild a graph: what is kept, what is shared or copied, what is refused."""

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn._errors import InputError
from kerascnn.layers.preprocessing import model_preprocessing
from kerascnn.models import AuxiliaryModel, DeepModel
from kerascnn.surgery.folding import fold_batch_norm
from kerascnn.surgery.replace import over, rebuild

L = keras.layers


def nothing(operation):
    return None


def relus_to_tanh(operation):
    if isinstance(operation, L.ReLU):
        return L.Activation("tanh", name=operation.name)
    return None


def graph(kind=keras.Model):
    """Two inputs, a shared layer, a model inside, operations with constants, two named outputs."""
    a, b = keras.Input((4, 4, 2), name="a"), keras.Input((4, 4, 2), name="b")
    shared = L.Conv2D(3, 3, padding="same", name="shared")
    x = keras.Input((4, 4, 3))
    inner = keras.Model(x, L.ReLU(name="relu")(L.BatchNormalization(name="norm")(x)), name="inner")
    y = keras.ops.add(inner(shared(a)), 2.0 * inner(shared(b)))
    outputs = {"map": L.ReLU(name="last")(y), "score": L.Dense(2, name="score")(L.Flatten(name="flat")(y))}
    return kind({"a": a, "b": b}, outputs, name="whole")


def inputs(model, seed=0):
    rng = np.random.default_rng(seed)
    return {x.name: rng.normal(size=(2, *x.shape[1:])).astype("float32") for x in model.inputs}


def same(one, other, x):
    for a, b in zip(keras.tree.flatten(one(x)), keras.tree.flatten(other(x)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("share", [True, False])
def test_everything_is_kept(share):
    model = graph()
    model.compile("sgd", "mse")
    model.get_layer("score").trainable = False
    x = inputs(model)
    new = rebuild(model, nothing, share=share)
    assert new.name == "whole" and not new.compiled
    assert [layer.name for layer in new.layers] == [layer.name for layer in model.layers]
    assert set(new(x)) == {"map", "score"}
    same(new, model, x)
    shared = {id(w) for w in new.weights} & {id(w) for w in model.weights}
    assert len(shared) == (len(model.weights) if share else 0) and len(new.weights) == len(model.weights)
    assert [w.path for w in new.trainable_weights] == [w.path for w in model.trainable_weights]


@pytest.mark.parametrize("share", [True, False])
def test_layers_are_replaced_in_models_inside_too(share):
    model = graph()
    new = rebuild(model, relus_to_tanh, share=share)
    assert new.get_layer("inner").get_layer("relu").activation is keras.activations.tanh
    assert isinstance(model.get_layer("inner").get_layer("relu"), L.ReLU)
    x = inputs(model)
    assert np.all(np.abs(new(x)["map"]) <= 1) and np.max(model(x)["map"]) > 1
    y = model.get_layer("inner").get_layer("norm")(model.get_layer("shared")(x["a"]))
    z = model.get_layer("inner").get_layer("norm")(model.get_layer("shared")(x["b"]))
    np.testing.assert_allclose(new(x)["map"], np.tanh(np.tanh(y) + 2 * np.tanh(z)), rtol=1e-4, atol=1e-5)


def test_what_comes_before_the_change_is_not_called_again():
    model = kerascnn.create_model("resnet20")
    before = {layer.name: len(layer._inbound_nodes) for layer in model.layers}
    last = model.layers[-1]
    rebuild(model, lambda x: L.Dense(3, name="other") if x is last else None, share=True)
    assert {layer.name: len(layer._inbound_nodes) for layer in model.layers} == before


def test_a_deep_model_stays_deep():
    x = image = keras.Input((1,))
    for _ in range(30):
        x = L.ReLU()(x)
    model = DeepModel(image, x)
    assert type(rebuild(model, nothing, share=False)) is DeepModel
    assert type(over(model, model.layers[3].output)) is DeepModel


def test_auxiliary_heads():
    model = kerascnn.create_model("deeply_supervised_nin", classes=5, auxiliary_heads=True)
    new = rebuild(model, nothing, share=False)
    assert type(new) is AuxiliaryModel and new.auxiliary_weights == model.auxiliary_weights
    assert len(new.weights) == len(model.weights)
    x = np.random.default_rng(0).normal(size=(2, *model.input_shape[1:])).astype("float32")
    same(new, model, x)
    assert type(rebuild(model, nothing, share=False, heads=False)) is not AuxiliaryModel


class WithConstructor(keras.Model):
    def __init__(self, classes):
        image = keras.Input((4,))
        super().__init__(image, L.Dense(classes)(image))


class WithCall(keras.Model):
    def call(self, x):
        return 2 * super().call(x)


def test_classes():
    assert isinstance(rebuild(graph(DeepModel), nothing, share=True), DeepModel)
    model = WithConstructor(3)
    same(rebuild(model, nothing, share=False), model, np.ones((2, 4), "float32"))
    image = keras.Input((4,))
    with_call = WithCall(image, L.Dense(3)(image))
    for other in (keras.Sequential([L.Dense(3)]), with_call, "model", None):
        with pytest.raises(InputError, match="functional or built sequential"):
            rebuild(other, nothing, share=True)


def test_a_sequential_model_in_a_list_of_one_input():
    image = keras.Input((4,))
    inner = keras.Model([image], L.Dense(3)(image), name="inner")
    model = keras.Sequential([keras.Input((4,)), inner, L.ReLU()])
    new = rebuild(model, relus_to_tanh, share=False)
    x = np.random.default_rng(0).normal(size=(2, 4)).astype("float32")
    np.testing.assert_allclose(new(x), np.tanh(inner([x])), rtol=1e-5)


def test_what_the_pixels_have_gone_through_stays():
    model = kerascnn.create_model("lenet5")
    expected = model_preprocessing(model)
    folded, _ = fold_batch_norm(model)
    for new in (folded, kerascnn.fully_convolutional(model), rebuild(model, nothing, share=True)):
        assert model_preprocessing(new) == expected and type(new.layers[0]) is type(model.layers[0])


class Uncopied(L.Layer):
    def __init__(self, size):
        super().__init__()

    def call(self, x):
        return x


def test_a_layer_that_keras_cannot_copy_is_named():
    image = keras.Input((4,))
    model = keras.Model(image, Uncopied(3)(image))
    with pytest.raises(InputError, match=r"cannot copy the layer uncopied \(Uncopied\)"):
        rebuild(model, nothing, share=False)
