"""Every n-th pixel and channels of zeros, exactly, in all dtypes and sizes; so are its gradients."""

import numpy as np
import pytest
import tensorflow as tf

from kerascnn import layers

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("size, strides", [((8, 8), 2), ((7, 5), 2), ((9, 4), 3), ((3, 2), 5), ((6, 6), 1)])
@pytest.mark.parametrize("compiled", [False, True])
def test_pixels_zeros_and_gradients(dtype, size, strides, compiled):
    layer = layers.ZeroPadShortcut(5, strides, dtype=dtype)
    x = tf.cast(RANDOM.normal(size=(2, *size, 3)), dtype)
    layer.build(x.shape)

    def both(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        return y, tape.gradient(y, x, 2 * y)

    y, gradient = (tf.function(both) if compiled else both)(x)
    expected = np.zeros((2, -(-size[0] // strides), -(-size[1] // strides), 5))
    expected[..., :3] = x[:, ::strides, ::strides].numpy()
    assert y.dtype == dtype and y.shape == layer.compute_output_shape(x.shape)
    np.testing.assert_array_equal(y.numpy(), expected)
    wanted = np.zeros(x.shape)
    wanted[:, ::strides, ::strides] = 2 * expected[..., :3]
    np.testing.assert_array_equal(gradient.numpy(), wanted)


def test_what_is_no_number_is_seen():
    x = np.zeros((1, 4, 4, 1), "float32")
    x[0, 0, 0], x[0, 2, 2], x[0, 2, 0] = np.nan, np.inf, -np.inf
    np.testing.assert_array_equal(layers.ZeroPadShortcut(1, 2)(x)[0, ..., 0], [[np.nan, 0], [-np.inf, np.inf]])


def test_no_images_and_unknown_sizes():
    layer = layers.ZeroPadShortcut(4, 2)
    assert layer(tf.zeros((0, 6, 6, 2))).shape == (0, 3, 3, 4)
    call = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 2))])
    assert call(tf.ones((1, 5, 6, 2))).shape == (1, 3, 3, 4)


def test_channels_are_never_dropped():
    with pytest.raises(ValueError, match="filters must be at least the channels of x. Received: 2, 3"):
        layers.ZeroPadShortcut(2)(np.zeros((1, 4, 4, 3)))
