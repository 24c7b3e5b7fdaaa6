"""kerascnn.layers.Unfold2D: the order of the channels, padding, dtypes, gradients, files, refusals."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_checks import check_export, check_round_trip, images

from kerascnn._errors import InputError
from kerascnn.layers import Unfold2D


def by_loops(x, taps, stride, before, sizes):
    """Channel by channel, window by window."""
    padded = np.pad(x, ((0, 0), (before, taps), (before, taps), (0, 0)))
    y = np.zeros((len(x), *sizes, x.shape[-1] * taps * taps), x.dtype)
    for row, column in np.ndindex(*sizes):
        window = padded[:, row * stride : row * stride + taps, column * stride : column * stride + taps]
        y[:, row, column] = window.transpose(0, 3, 1, 2).reshape(len(x), -1)
    return y


@pytest.mark.parametrize(
    "arguments, before, sizes",
    [((7, 4, 2), 2, (3, 4)), ((3, 2, 1), 1, (6, 8)), ((2, 2), 0, (6, 7)), ((3, 1, "same"), 1, (12, 15))],
)
def test_equals_loops(arguments, before, sizes):
    x = images(2, 12, 15, 3)
    layer = Unfold2D(*arguments)
    y = layer(x)
    assert y.shape == layer.compute_output_shape(x.shape)
    taps, stride, *_ = arguments
    np.testing.assert_array_equal(y, by_loops(x, taps, stride, before, sizes))


def test_half_precision_loses_nothing():
    x = images(1, 5, 5, 2).astype("float16")
    np.testing.assert_array_equal(Unfold2D(3, 2, 1, dtype="float16")(x), by_loops(x, 3, 2, 1, (3, 3)))


def test_the_gradient_counts_the_windows_of_a_pixel():
    x = tf.ones((1, 4, 4, 1))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(Unfold2D(3, 2, 1)(x))
    in_windows = np.array([1, 2, 1, 1])  # centers 0 and 2
    np.testing.assert_allclose(tape.gradient(y, x)[0, ..., 0], np.outer(in_windows, in_windows))


def test_file_and_export(tmp_path):
    check_round_trip([Unfold2D(3, 2, 1), Unfold2D(2)], (6, 5, 2), tmp_path)
    check_export(Unfold2D((3, 1), 2, ((1, 1), (0, 0))), 2, tmp_path)


def test_windows_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="must fit"):
        Unfold2D(5)(keras.Input((4, 8, 1)))
    for strides in (0, (2, 1)):
        with pytest.raises(InputError, match="whole number"):
            Unfold2D(3, strides)
