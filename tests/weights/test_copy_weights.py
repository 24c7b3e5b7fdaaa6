"""kerascnn.weights.copy_weights: by name and shape, dense layers into convolutions."""

import keras
import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.layers import DeformableConv2D
from kerascnn.weights import copy_weights

L = keras.layers


def model(*layers):
    image = x = keras.Input((4, 4, 3))
    for layer in layers:
        x = layer(x)
    return keras.Model(image, x, name=f"of_{len(layers)}")


def test_what_fits_is_copied():
    source = model(L.Conv2D(5, 3, name="a"), L.Conv2D(5, 1, name="b"), L.BatchNormalization(name="c"))
    target = model(L.Conv2D(5, 3, name="a"), L.Conv2D(6, 1, name="b"), L.Conv2D(2, 1, name="d"))
    before = target.get_layer("b").get_weights()
    assert copy_weights(source, target) == ["a/kernel", "a/bias"]
    np.testing.assert_array_equal(target.get_layer("a").get_weights()[0], source.get_layer("a").get_weights()[0])
    np.testing.assert_array_equal(target.get_layer("b").get_weights()[0], before[0])


def test_dense_layers_become_convolutions():
    source = model(L.Flatten(), L.Dense(5, name="fc6"), L.Dense(2, name="fc7"))
    target = model(L.Conv2D(5, 4, name="fc6"), L.Conv2D(2, 1, name="fc7"))
    assert copy_weights(source, target) == ["fc6/kernel", "fc6/bias", "fc7/kernel", "fc7/bias"]
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype("float32")
    np.testing.assert_allclose(target(x)[:, 0, 0], source(x), atol=1e-5)
    other = model(L.Conv2D(5, 3, name="fc6"))
    assert copy_weights(source, other) == ["fc6/bias"]


def test_offsets_stay():
    source, target = model(L.Conv2D(5, 3, name="a")), model(DeformableConv2D(5, 3, name="a"))
    assert copy_weights(source, target) == ["a/kernel", "a/bias"]
    assert not np.any(target.get_layer("a").offset_kernel)


def test_nothing_in_common_is_refused():
    with pytest.raises(InputError, match="same name and shape"):
        copy_weights(model(L.Conv2D(5, 3, name="a")), model(L.Conv2D(5, 3, name="b")))
