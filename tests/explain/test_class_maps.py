"""Grad-CAM and Grad-CAM++: what follows from their definitions, and the layer that is taken."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerascnn
from kerascnn import explain
from kerascnn._errors import InputError

L = keras.layers
SHAPE = (10, 8, 2)
METHODS = [explain.grad_cam, explain.grad_cam_plus_plus]


def images(count=3):
    return np.random.default_rng(0).normal(size=(count, *SHAPE)).astype("float32")


def pooled(pool=None):
    """A network that ends in global average pooling and one dense layer."""
    keras.utils.set_random_seed(0)
    x = image = keras.Input(SHAPE)
    x = L.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="conv")(x)
    x = (pool or L.GlobalAveragePooling2D())(x)
    return keras.Model(image, L.Dense(3, "softmax", name="head")(x))


def activations(model, x):
    return keras.Model(model.inputs[0], model.get_layer("conv").output)(x).numpy().astype("float64")


def test_grad_cam_is_the_class_activation_map():
    model, x = pooled(), images()
    found = explain.grad_cam(model, x, target=[0, 2, 1])
    kernel = model.get_layer("head").kernel.numpy()[:, [0, 2, 1]]
    maps = np.einsum("nhwc,cn->nhw", activations(model, x), kernel)
    np.testing.assert_allclose(found.raw, np.maximum(maps, 0) / 20, rtol=1e-4, atol=1e-7)  # 5 x 4 positions
    assert found.layer == "conv" and found.maps.shape == (3, 10, 8) and found.maps.any()
    np.testing.assert_allclose(found.maps, tf.image.resize(found.raw[..., None], (10, 8))[..., 0], rtol=1e-5)


def test_grad_cam_plus_plus_by_its_equations():
    """Not only where the gradient is the same everywhere: a flattened map has one of its own for each position."""
    for model in (pooled(), pooled(L.Flatten())):
        x = images()
        found = explain.grad_cam_plus_plus(model, x, target=1)
        a, g = activations(model, x), explain.gradients(model, x, target=1, layer="conv").raw.astype("float64")
        below = 2 * g**2 + a.sum((1, 2), keepdims=True) * g**3
        alpha = np.divide(g**2, below, out=np.zeros_like(g), where=below != 0)
        weights = (alpha * np.maximum(g, 0)).sum((1, 2))
        expected = np.maximum(np.einsum("nhwc,nc->nhw", a, weights), 0)
        np.testing.assert_allclose(found.raw, expected, rtol=1e-4, atol=1e-7)
        assert found.raw.any()


@pytest.mark.parametrize("method", METHODS)
def test_a_class_for_which_nothing_speaks(method):
    model = pooled()
    kernel, bias = model.get_layer("head").get_weights()
    model.get_layer("head").set_weights([-np.abs(kernel), bias])
    found = method(model, images(), target=1)
    assert not found.raw.any() and not found.maps.any()  # and no NaN


@pytest.mark.parametrize("method", METHODS)
def test_batches_do_not_change_the_result(method):
    model, x = pooled(), images(5)
    whole = method(model, x)
    np.testing.assert_allclose(method(model, x, batch_size=2).raw, whole.raw, rtol=1e-4, atol=1e-7)


def test_the_layer_that_is_found():
    sides = {"lenet5": (5, 5), "resnet20": (7, 7), "densenet40_k12_bc": (7, 7), "tf_mobilenetv1_025_128": (4, 4)}
    for name, size in sides.items():
        side = {"resnet20": 28, "densenet40_k12_bc": 28}.get(name)
        shape = (side, side, 1) if side else None
        model = kerascnn.create_model(name, classes=10, input_shape=shape)
        x = np.random.default_rng(0).normal(size=(1, *model.input_shape[1:])).astype("float32")
        found = explain.grad_cam(model, x)
        assert found.raw.shape == (1, *size), (name, found.layer)


@pytest.mark.parametrize("method", METHODS)
def test_a_layer_by_name_and_what_has_no_maps(method):
    model = kerascnn.create_model("lenet5")
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 1)).astype("float32")
    assert method(model, x, layer="c1").raw.shape == (2, 28, 28)
    image = keras.Input(SHAPE)
    flat = keras.Model(image, L.Dense(3)(L.Flatten()(image)))
    with pytest.raises(InputError, match="must have maps .* Received: .*vectors"):
        method(flat, images(1))


def test_the_class_that_is_asked_for_changes_the_map():
    """Trained weights: maps of two classes differ."""
    model = kerascnn.create_model("resnet20", weights="fashion_mnist")
    x = np.random.default_rng(0).normal(size=(1, 28, 28, 1)).astype("float32")
    first, second = (explain.grad_cam(model, x, target=target).raw for target in (0, 8))
    assert np.abs(first - second).max() > 1e-3
