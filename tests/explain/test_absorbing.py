"""Batch norms that are folded into kernels while a network runs: the same outputs, derivatives and weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from serving_nets import randomize, small_net

from kerascnn.explain.absorbing import Absorbing, absorbing
from kerascnn.layers import Conv2D, DepthwiseConv2D

L = keras.layers


def answers(model, count=3):
    """Outputs, and the derivative of a sum of them with respect to the images."""
    images = tf.constant(np.random.default_rng(1).normal(size=(count, *model.input_shape[1:])), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = model(images, training=False)
        total = tf.reduce_sum(outputs * tf.range(1.0, 1.0 + outputs.shape[-1]))
    return np.asarray(outputs), tape.gradient(total, images).numpy()


def check(model, absorbed):
    other = absorbing(model)
    assert sum(isinstance(layer, Absorbing) for layer in other.layers) == absorbed
    assert {id(weight) for weight in other.weights} == {id(weight) for weight in model.weights}
    for _ in range(2):
        for expected, found in zip(answers(model), answers(other), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * abs(expected).max())
        model.set_weights([1.2 * weight + 0.1 for weight in model.get_weights()])
    return other


def test_a_network_of_all_kinds():
    check(small_net(), 4)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("scale, center", [(True, True), (False, True), (True, False), (False, False)])
@pytest.mark.parametrize(
    "layer",
    [
        lambda **more: L.Conv2D(6, 3, padding="same", **more),
        lambda **more: Conv2D(6, 3, groups=2, strides=2, padding=1, **more),
        lambda **more: DepthwiseConv2D(3, strides=2, padding=1, depth_multiplier=2, **more),
        lambda **more: L.Dense(5, **more),
    ],
    ids=["Conv2D", "grouped", "depthwise", "Dense"],
)
def test_each_layer_with_each_norm(layer, scale, center, bias):
    inputs = keras.Input((8, 8, 6))
    x = layer(use_bias=bias)(inputs)
    x = L.BatchNormalization(scale=scale, center=center, epsilon=0.01)(x)
    check(randomize(keras.Model(inputs, x)), 1)


def test_what_is_read_elsewhere_or_has_an_adapter_stays():
    inputs = keras.Input((8, 8, 6))
    read = L.Conv2D(6, 1)(inputs)
    x = L.BatchNormalization()(read)
    x = L.add([x, read])
    adapted = L.Dense(6, name="adapted")
    x = L.BatchNormalization()(adapted(x))
    x = L.Conv2D(6, 1, activation="relu")(x)
    model = keras.Model(inputs, L.BatchNormalization()(x))
    adapted.enable_lora(2)
    check(randomize(model), 0)


def test_a_pair_that_is_called_twice():
    convolution, norm = L.Conv2D(6, 3, padding="same"), L.BatchNormalization()
    inputs = keras.Input((8, 8, 6))
    model = keras.Model(inputs, norm(convolution(L.ReLU()(norm(convolution(inputs))))))
    check(randomize(model), 1)


def test_compiled_by_tensorflow_it_sees_new_weights_too():
    model = small_net()
    call = tf.function(absorbing(model))
    images = tf.zeros((1, *model.input_shape[1:]))
    for _ in range(2):
        np.testing.assert_allclose(call(images), model(images), rtol=1e-4, atol=1e-5)
        model.set_weights([1.2 * weight + 0.1 for weight in model.get_weights()])
