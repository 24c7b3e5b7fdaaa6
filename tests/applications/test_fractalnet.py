"""FractalNet: the wiring of a block, dropout from block to block, and the columns that drop-path leaves."""

import keras
import numpy as np
import pytest

from kerascnn import layers
from kerascnn.applications import fractalnet


def net(columns=3, widths=(4, 6), **options):
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, fractalnet.features(inputs, fractalnet.Spec(columns, widths), **options)[-1])


def sources(model, name):
    """Names of the layers that feed a layer."""
    return [tensor._keras_history.operation.name for tensor in keras.tree.flatten(model.get_layer(name).input)]


@pytest.mark.parametrize("columns", [1, 2, 3, 4])
def test_columns_of_one_two_four_and_eight_convolutions(columns):
    names = [layer.name for layer in net(columns).layers if isinstance(layer, keras.layers.Conv2D)]
    for column in range(1, columns + 1):
        assert sum(f"stage2_column{column}_" in name for name in names) == 2 ** (column - 1)


def test_wiring_of_a_block():
    model = net()
    assert sources(model, "stage2_column1_conv1") == ["stage1_join2"]
    assert sources(model, "stage2_join1") == ["path", "stage2_column2_relu1", "stage2_column3_relu2"]
    assert sources(model, "stage2_column2_conv2") == sources(model, "stage2_column3_conv3") == ["stage2_join1"]
    assert sources(model, "stage2_join2") == ["path", "stage2_pool1", "stage2_pool2", "stage2_pool3"]
    assert sources(model, "stage2_pool3") == ["stage2_column3_relu4"]
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert all(layer.use_bias for layer in convolutions)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert not any(layer.scale or layer.center for layer in norms)


def test_dropout_grows_from_block_to_block():
    model = net(2, (4, 4, 4, 4, 4))
    rates = {layer.name[:6]: layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)}
    assert rates == pytest.approx({"stage2": 0.1, "stage3": 0.2, "stage4": 0.3, "stage5": 0.4})


def test_rates_of_drop_path():
    model = net()
    assert {layer.rate for layer in model.layers if isinstance(layer, layers.FractalJoin)} == {0.15}
    assert model.get_layer("path").global_rate == 0.5


def test_without_drop_path_and_dropout_training_is_deterministic():
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    model = net(drop_path_rate=0.0, dropout_rate=0.0)
    np.testing.assert_array_equal(model(x, training=True), model(x, training=True))
