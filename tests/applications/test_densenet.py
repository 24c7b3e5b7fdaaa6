"""DenseNet: what a layer adds, where dropout stands, and the smallest input."""

import keras
import numpy as np

from kerascnn.applications import densenet

SMALL = densenet.Spec((1, 2, 1, 1), growth=4)


def test_a_layer_keeps_its_input_and_adds_the_growth():
    inputs = keras.Input((5, 6, 7))
    model = keras.Model(inputs, densenet.layer(inputs, 3, 0.0, name="block"))
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 7)).astype("float32")
    y = model(x)
    assert y.shape == (2, 5, 6, 10)
    np.testing.assert_array_equal(y[..., :7], x)
    assert model.get_layer("block_conv1").filters == 12


def test_transitions_halve_and_floor():
    inputs = keras.Input((5, 6, 7))
    assert densenet.transition(inputs, 0.0, name="t").shape == (None, 2, 3, 3)


def test_dropout_follows_every_convolution_but_the_stem():
    inputs = keras.Input((32, 32, 3))
    model = keras.Model(inputs, densenet.features(inputs, SMALL, dropout_rate=0.2))
    dropouts = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    convolutions = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert dropouts == [name.replace("conv", "dropout") for name in convolutions[1:]]


def test_the_smallest_input():
    assert [stage.shape[1] for stage in densenet.features(keras.Input((29, 29, 3)), SMALL)] == [8, 4, 2, 1]
