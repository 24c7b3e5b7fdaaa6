"""Other initial weights than the paper's."""

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn import layers, weights
from kerascnn._errors import InputError


def build(activation="relu"):
    inputs = keras.Input((12, 12, 8))
    x = keras.layers.Conv2D(64, 5, activation=activation, bias_initializer="ones", name="conv")(inputs)
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.Conv2D(64, 3, groups=4, name="grouped")(x)
    x = keras.layers.BatchNormalization(name="bn")(x)
    x = keras.layers.Activation("relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(32, name="head")(x))


DEVIATIONS = {  # of conv [5, 5, 8, 64], grouped [3, 3, 16, 64], depthwise [3, 3, 64, 1], head [64, 32]
    "he": [(2 / 200) ** 0.5, (2 / 144) ** 0.5, (2 / 9) ** 0.5, (2 / 64) ** 0.5],
    "he_fan_out": [(2 / 1600) ** 0.5, (2 / 576) ** 0.5, (2 / 576) ** 0.5, (2 / 32) ** 0.5],
    "glorot": [(2 / 1800) ** 0.5, (2 / 720) ** 0.5, (2 / 585) ** 0.5, (2 / 96) ** 0.5],
    "lecun": [(1 / 200) ** 0.5, (1 / 144) ** 0.5, (1 / 9) ** 0.5, (1 / 64) ** 0.5],
    "gaussian": [0.01] * 4,
}


@pytest.mark.parametrize("scheme", sorted(DEVIATIONS))
def test_the_deviation_of_each_scheme(scheme):
    model = build()
    weights.initialize(model, scheme, seed=3)
    for name, expected in zip(("conv", "grouped", "depthwise", "head"), DEVIATIONS[scheme], strict=True):
        kernel = np.asarray(model.get_layer(name).kernel)
        assert kernel.std() == pytest.approx(expected, rel=0.1), name
        assert abs(kernel.mean()) < 0.1 * expected
    assert not np.any(model.get_layer("conv").bias)


def test_orthogonal_kernels():
    model = build()
    weights.initialize(model, "orthogonal", seed=0)
    matrix = np.asarray(model.get_layer("conv").kernel).reshape(200, 64)
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(64), atol=1e-5)


def test_seeds():
    models = [build() for _ in range(3)]
    for model, seed in zip(models, (1, 1, 2), strict=True):
        weights.initialize(model, "he", seed=seed)
    first, same, other = (np.asarray(model.get_layer("conv").kernel) for model in models)
    np.testing.assert_array_equal(first, same)
    assert np.any(first != other)


@pytest.mark.parametrize("activation", ["relu", None])
def test_lsuv_gives_every_layer_unit_variance(activation):
    model = build(activation)
    images = np.random.default_rng(0).normal(3, 5, (16, 12, 12, 8)).astype("float32")
    divided = weights.lsuv(model, images, seed=0)
    assert list(divided) == ["conv", "depthwise", "grouped", "head"]
    assert model.get_layer("conv").activation is keras.activations.get(activation)
    linear = keras.Model(model.inputs[0], [model.get_layer(name).output for name in divided])
    outputs = dict(zip(divided, linear(images), strict=True))
    if activation:  # its deviation is that of a clipped variable of deviation 1
        outputs.pop("conv")
    for name, output in outputs.items():
        assert np.std(output) == pytest.approx(1, rel=1e-3), name
    before = model(images)
    np.testing.assert_array_equal(model(images), before)  # calls are as they were


def test_lsuv_on_a_network_of_the_registry():
    model = kerascnn.applications.LeNet5()
    images = np.random.default_rng(0).uniform(0, 1, (8, 32, 32, 1)).astype("float32")
    assert len(weights.lsuv(model, images)) == 5
    assert np.isfinite(model(images)).all()


@pytest.mark.parametrize(
    "images, message",
    [
        (np.zeros((0, 12, 12, 8), "f4"), "a batch of finite numbers"),
        (np.full((1, 12, 12, 8), np.nan, "f4"), "a batch of finite numbers"),
        (np.zeros((2, 12, 12, 8), "f4"), "outputs of conv must vary"),
        (np.ones((2, 5, 5, 3), "f4"), "must fit the model's input"),
    ],
)
def test_lsuv_refuses(images, message):
    model = build()
    with pytest.raises(InputError, match=message):
        weights.lsuv(model, images)
    assert "call" not in vars(model.get_layer("conv"))


def test_what_has_no_kernels_or_scheme_is_refused():
    with pytest.raises(InputError, match="scheme must be one of he, .*Received: scheme='xavier'"):
        weights.initialize(build(), "xavier")
    empty = keras.Sequential([keras.Input((3,)), keras.layers.ReLU()])
    with pytest.raises(InputError, match="must have a layer with a kernel"):
        weights.initialize(empty, "he")
    with pytest.raises(InputError, match="must be a built keras.Model"):
        weights.initialize(keras.Sequential([keras.layers.Dense(3)]), "he")
