"""SimpNet: where it drops, in which mode, and that it learns with everything dropping."""

import keras
import numpy as np
import pytest

from kerascnn import applications, layers
from kerascnn.applications import simpnet


def _drops(model):
    """Rate and kind of every layer that drops, in order."""
    kinds = (layers.SAFPooling2D, keras.layers.Dropout, keras.layers.SpatialDropout2D)
    return [(layer.rate, type(layer).__name__) for layer in model.layers if isinstance(layer, kinds)]


def _saf_pools(model):
    return [layer for layer in model.layers if isinstance(layer, layers.SAFPooling2D)]


def test_the_rates_are_those_of_the_authors_files():
    saf, dropout = "SAFPooling2D", "Dropout"
    assert _drops(applications.SimpNet5M()) == [
        *[(0.2, dropout)] * 4, (0.2, saf), *[(0.2, dropout)] * 4, (0.3, saf), *[(0.3, dropout)] * 2, (0.3, saf)
    ]  # fmt: skip
    assert _drops(applications.SimpNet600K()) == [
        *[(0.1, dropout)] * 4, (0.1, saf), *[(0.1, dropout)] * 4, (0.2, saf), *[(0.2, dropout)] * 2, (0.2, saf)
    ]  # fmt: skip
    for slim in (applications.SimpNet300K, applications.SimpNet1M):
        assert _drops(slim()) == [(0.1, saf), (0.2, saf), (0.2, saf)]
    assert {rate for rate, _ in _drops(applications.SimpNetMNIST())} == {0.2}


def test_the_channel_form_drops_channels_after_its_pools_alone():
    model = applications.SimpNet5MChannel()
    assert [(pool.rate, pool.mode) for pool in _saf_pools(model)] == [
        (0.05, "channel"),
        (0.05, "channel"),
        (0, "element"),
    ]
    assert len(_drops(model)) == 3
    assert model.count_params() == applications.SimpNet5M().count_params()


def test_a_pool_follows_relu_and_takes_the_place_of_dropout():
    layers_in_order = applications.SimpNet300K().layers
    names = [layer.name for layer in layers_in_order if not layer.name.startswith("stage")]
    at = names.index("pool1")
    assert names[at - 3 : at] == ["part1_5_conv", "part1_5_bn", "part1_5_relu"]
    assert names[at + 1] == "part2_1_conv"


def test_only_the_large_networks_start_three_convolutions_small():
    def small(model):
        convs = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
        kinds = [type(layer.kernel_initializer).__name__ for layer in convs]
        assert len(convs) == 13
        return [number for number, kind in enumerate(kinds, 1) if kind == "RandomNormal"]

    assert small(applications.SimpNet5M()) == [3, 4, 5]
    assert small(applications.SimpNet1M()) == []


@pytest.mark.parametrize("mode", ["element", pytest.param("channel", marks=pytest.mark.after)])
def test_it_learns(mode):
    """Four kinds of stripes and blobs in noise, by a narrow network that drops in every place."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 512)
    grid = np.indices((16, 16)) // 2 % 2
    patterns = np.stack([grid[0], grid[1], grid[0] ^ grid[1], np.zeros((16, 16))]) * 2.0 - 1
    images = (patterns[labels] + rng.normal(size=(512, 16, 16)))[..., None].astype("float32")
    spec = simpnet.Spec(((8, 8), (12, 12), (16, 16)), (0.1, 0.1, 0.1), (0.1, 0.1), mode, momentum=0.9)
    inputs = keras.Input((16, 16, 1))
    outputs = simpnet.head(simpnet.features(inputs, spec)[-1], 4, None, dropout_rate=0.1)
    model = keras.Model(inputs, outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    model.fit(images, labels, batch_size=32, epochs=4, verbose=0)
    assert model.evaluate(images, labels, verbose=0)[1] > 0.9
