"""Activations of compiled networks against the formulas in 64 bits, far outside the usual range too."""

import math

import keras
import numpy as np
import pytest

from kerascnn import inference, ops
from kerascnn.layers.tanh_gelu import tanh_gelu

pytestmark = pytest.mark.skipif(
    not ops.build_info()["available"], reason="native library: " + ops.build_info()["reason"]
)
L = keras.layers


def sigmoid(x):
    return 0.5 + 0.5 * np.tanh(0.5 * x)


normal_distribution = np.vectorize(lambda x: 0.5 * math.erfc(-x / math.sqrt(2)))


FORMULAS = {
    "relu": (keras.activations.relu, lambda x: np.maximum(x, 0)),
    "relu6": (keras.activations.relu6, lambda x: np.clip(x, 0, 6)),
    "silu": (keras.activations.silu, lambda x: x * sigmoid(x)),
    "hard_silu": (keras.activations.hard_silu, lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "hard_sigmoid": (keras.activations.hard_sigmoid, lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    "sigmoid": (keras.activations.sigmoid, sigmoid),
    "gelu": (keras.activations.gelu, lambda x: x * normal_distribution(x)),
    "gelu_tanh": (tanh_gelu, lambda x: x * sigmoid(2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "tanh": (keras.activations.tanh, np.tanh),
}
VALUES = np.concatenate([np.linspace(-9, 9, 60001), np.linspace(-80, 80, 4001), [-1e4, 1e4, -0.0, 1e-30]])


@pytest.mark.parametrize("fused", [False, True], ids=["pass", "convolution"])
@pytest.mark.parametrize("name", FORMULAS)
def test_formula(name, fused):
    function, formula = FORMULAS[name]
    images = L.Input((1, None, 1))
    x = L.Conv2D(1, 1, kernel_initializer="ones")(images) if fused else L.AveragePooling2D(1)(images)
    model = keras.Model(images, L.Activation(function)(x))
    x = VALUES.astype("float32").reshape(1, 1, -1, 1)
    got = inference.compile(model)(x)
    expected = formula(x.astype("float64"))
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=2e-6)
    assert np.abs(got[expected == 0]).max() < 1e-12  # not a small part of a large outlier
