"""Shake-Shake: the shortcut's two views of the image, and a unit at inference and in training."""

import keras
import numpy as np

from kerascnn.applications import shake_shake


def test_the_shortcut_sees_even_and_shifted_pixels():
    inputs = keras.Input((5, 4, 1))
    model = keras.Model(inputs, shake_shake.shortcut(inputs, 2, 2, name="s"))
    for name in ("s_conv1", "s_conv2"):
        model.get_layer(name).set_weights([np.ones((1, 1, 1, 1))])
    x = np.arange(1, 21, dtype="float32").reshape(1, 5, 4, 1)
    y = keras.ops.convert_to_numpy(model(x)) * np.sqrt(1 + 1e-5)  # batch norm as it starts
    np.testing.assert_allclose(y[0, ..., 0], x[0, ::2, ::2, 0], rtol=1e-5)
    shifted = np.pad(x[0, :-1, :-1, 0], ((1, 0), (1, 0)))
    np.testing.assert_allclose(y[0, ..., 1], shifted[::2, ::2], rtol=1e-5)
    np.testing.assert_allclose(y[0, ..., 1], [[0, 0], [0, 6], [0, 14]], rtol=1e-5)


def test_branches_share_one_relu_and_are_averaged():
    inputs = keras.Input((4, 4, 2))
    model = keras.Model(inputs, shake_shake.unit(inputs, 2, 1, name="u"))
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 2)).astype("float32")
    ends = [model.get_layer(f"u_branch{i}_bn2").output for i in (1, 2)]
    first, second = keras.Model(inputs, ends)(x)
    np.testing.assert_allclose(model(x), x + (first + second) / 2, rtol=1e-5, atol=1e-6)
    assert np.std(model(x, training=True) - model(x, training=True)) > 0  # mixed anew in each call
