import keras
import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.layers import ConnectionTableConv2D

TABLE = [[0], [0, 2], [1, 2]]


def test_equals_a_convolution_with_zeros_at_the_missing_connections():
    x = keras.random.normal((2, 6, 7, 3), seed=1)
    layer = ConnectionTableConv2D(TABLE, 3, kernel_initializer=keras.initializers.RandomNormal(seed=2))
    y = layer(x)
    layer.bias.assign([1.0, 2.0, 3.0])
    dense = np.zeros((3, 3, 3, 3), "float32")
    pairs = [(i, o) for o, row in enumerate(TABLE) for i in row]
    for weight, (i, o) in enumerate(pairs):
        dense[:, :, i, o] = layer.kernel.numpy()[:, :, weight]
    expected = keras.ops.conv(x, dense, padding="valid") + np.array([1.0, 2.0, 3.0], "float32")
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)
    assert y.shape == layer.compute_output_shape(x.shape) == (2, 4, 5, 3)
    assert layer.count_params() == 9 * 5 + 3


def test_weights_start_within_the_papers_bounds():
    keras.utils.set_random_seed(0)
    layer = ConnectionTableConv2D([[0], [0, 1, 2]], 5)
    layer.build((None, 8, 8, 3))
    kernel = np.abs(layer.kernel.numpy())
    assert 0.8 * 2.4 / 25 < kernel[..., 0].max() <= 2.4 / 25
    assert 0.8 * 2.4 / 75 < kernel[..., 1:].max() <= 2.4 / 75


@pytest.mark.parametrize("table", [[], [[]], [[0, 0]], [[-1]]])
def test_bad_tables_are_refused(table):
    with pytest.raises(InputError, match="distinct input maps"):
        ConnectionTableConv2D(table, 3)


def test_too_few_input_maps_are_refused():
    with pytest.raises(InputError, match="needs 3 maps"):
        ConnectionTableConv2D(TABLE, 3).build((None, 8, 8, 2))


def test_comes_back_from_its_config():
    layer = ConnectionTableConv2D(TABLE, 3)
    again = ConnectionTableConv2D.from_config(layer.get_config())
    assert (again.table, again.kernel_size, again.kernel_initializer) == (TABLE, 3, "fan_in")
