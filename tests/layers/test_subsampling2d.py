import numpy as np

from kerascnn.layers import Subsampling2D


def test_sum_times_coefficient_plus_bias():
    layer = Subsampling2D(2)
    x = np.arange(2 * 5 * 4 * 3, dtype="float32").reshape(2, 5, 4, 3)
    assert layer(x).shape == layer.compute_output_shape(x.shape) == (2, 2, 2, 3)
    layer.coefficient.assign([1.0, 0.5, -1.0])
    layer.bias.assign([0.0, 1.0, 2.0])
    window = x[:, :4].reshape(2, 2, 2, 2, 2, 3).sum(axis=(2, 4))
    np.testing.assert_allclose(layer(x), window * [1, 0.5, -1] + [0, 1, 2], rtol=1e-6)
    assert layer.count_params() == 6


def test_comes_back_from_its_config():
    assert Subsampling2D.from_config(Subsampling2D(3).get_config()).pool_size == 3
