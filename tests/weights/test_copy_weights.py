"""kerascnn.weights.copy_weights: by name and shape, dense layers into convolutions."""

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn._errors import InputError
from kerascnn.layers import DeformableConv2D
from kerascnn.weights import copy_weights, shallow_layers

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


@pytest.mark.parametrize("name, first", [("vgg13", 10), ("vgg16", 13)])
def test_a_deep_vgg_starts_from_a_shallow_one(name, first, monkeypatch):
    """Section 3.1 of arXiv:1409.1556: the first four convolutions and the last three dense layers; the others stay."""
    monkeypatch.setattr("kerascnn.applications.vgg.WIDTHS", (4, 6, 8, 8, 8))
    shallow, deep = (kerascnn.create_model(x, classes=10, input_shape=(32, 32, 3)) for x in ("vgg11", name))
    for layer in shallow.layers:
        layer.set_weights([np.full(x.shape, 7.0) for x in layer.get_weights()])
    before = {layer.name: layer.get_weights() for layer in deep.layers if layer.weights}
    copied = copy_weights(shallow, deep, layers=shallow_layers(shallow))
    expected = ["stage1_conv1", "stage2_conv1", "stage3_conv1", "stage3_conv2", "fc6", "fc7", "head"]
    assert copied == [f"{layer}/{variable}" for layer in expected for variable in ("kernel", "bias")]
    assert len(before) == first + 3
    for layer, values in before.items():
        now = deep.get_layer(layer).get_weights()
        assert all(np.all(x == 7.0) for x in now) if layer in expected else _same(now, values)


def _same(values, others):
    return all(np.array_equal(x, y) for x, y in zip(values, others, strict=True))


def test_layers_that_are_not_there_are_refused():
    source, target = model(L.Conv2D(5, 3, name="a")), model(L.Conv2D(5, 3, name="a"))
    with pytest.raises(InputError, match="must have the layers that are copied. Received: b"):
        copy_weights(source, target, layers=["a", "b"])
    with pytest.raises(InputError, match="convolutions must be at most 1.*convolutions=4"):
        shallow_layers(source)
    assert shallow_layers(source, 1, 0) == ["a"]
    with pytest.raises(InputError, match="same name and shape"):
        copy_weights(source, target, layers=[])
