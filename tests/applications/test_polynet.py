"""PolyNet: the two kinds of modules by hand, what is shared, and the fall of the scales."""

import keras
import numpy as np
import parity
import pytest

from kerascnn import applications
from kerascnn.applications import polynet


def relu(x):
    return np.maximum(x, 0)


@pytest.fixture
def narrow(monkeypatch):
    """Units of one path over six channels instead of the three stages'."""
    monkeypatch.setattr(polynet, "UNITS", {6: (((4, 1), (5, (1, 7))), ((3, 1),))})


def built(kind):
    x = keras.Input((8, 9, 6))
    model = keras.Model(x, polynet.module(x, kind, 0.75, 0.0, name="m"))
    parity.randomize(model)
    return model, np.random.default_rng(1).normal(size=(2, 8, 9, 6)).astype("float32")


def values(model, x, layer):
    return np.asarray(keras.Model(model.input, model.get_layer(layer).output)(x))


def test_two_way_adds_two_units(narrow):
    model, x = built("2-way")
    f, g = (values(model, x, f"m_{name}_bn") for name in "fg")
    assert np.abs(f - g).max() > 0.1
    np.testing.assert_allclose(model(x), relu(x + 0.75 * f + 0.75 * g), rtol=1e-4, atol=1e-5)
    assert sum(isinstance(layer, keras.layers.Conv2D) for layer in model.layers) == 2 * 4


def test_poly_3_adds_three_powers_of_one_unit(narrow):
    model, x = built("poly-3")
    powers = [values(model, x, f"m_f{n}_bn") for n in (1, 2, 3)]
    np.testing.assert_allclose(model(x), relu(x + 0.75 * sum(powers)), rtol=1e-4, atol=1e-5)
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(convolutions) == 3 + 3  # those of the unit once, the last 1x1 for each power
    first = model.get_layer("m_f_path2_conv1")  # 1x1: the second power's sees the first power
    seen = np.maximum(powers[0], 0) @ np.asarray(first.kernel)[0, 0]
    norm = model.get_layer("m_f2_path2_bn1")
    np.testing.assert_allclose(values(model, x, "m_f2_path2_bn1"), norm(seen, training=False), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_scales_fall_from_first_to_last_module():
    model = applications.create_model("polynet", include_top=False)
    names = [f"stage{s}_block{b}_scale1" for s, depth in ((1, 10), (2, 20), (3, 10)) for b in range(1, depth + 1)]
    scales = [model.get_layer(name).scale for name in names]
    np.testing.assert_allclose(scales, np.linspace(1.0, 0.7, 40))
