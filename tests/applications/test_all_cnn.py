"""All convolutional nets: the averaged maps, and dropout at the input."""

import keras
import pytest

from kerascnn import applications


@pytest.mark.parametrize("name, depth", [("all_cnn_a", 7), ("all_cnn_b", 9), ("all_cnn_c", 9)])
def test_convolutions_alone_then_6x6_maps_averaged(name, depth):
    model = applications.create_model(name)
    assert sum(isinstance(layer, keras.layers.Conv2D) for layer in model.layers) == depth
    assert not any("max" in type(layer).__name__.lower() for layer in model.layers)
    assert model.get_layer("head").output.shape == (None, 6, 6, 10)


@pytest.mark.parametrize("rate, rates", [(0.5, [0.2, 0.5, 0.5]), (0.1, [0.1, 0.1, 0.1]), (0.0, [])])
def test_dropout(rate, rates):
    model = applications.AllCNNC(dropout_rate=rate)
    assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == rates
