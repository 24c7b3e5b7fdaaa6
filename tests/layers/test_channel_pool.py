import numpy as np

from kerascnn.layers import ChannelPool


def test_maximum_then_mean():
    x = np.array([[[[1.0, 2.0, 6.0]], [[-1.0, -2.0, -3.0]]]], "float32")
    layer = ChannelPool()
    np.testing.assert_allclose(layer(x)[0, :, 0], [[6, 3], [-1, -2]])
    assert layer.compute_output_shape((None, None, 4, 3)) == (None, None, 4, 2)
