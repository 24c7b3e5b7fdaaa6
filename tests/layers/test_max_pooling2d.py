"""kerascnn.layers.MaxPooling2D: equal to Keras' layer where that exists, and explicit padding."""

import keras
import numpy as np
import pytest
from layer_checks import POLICIES, check_export, check_round_trip, images

from kerascnn._errors import InputError
from kerascnn.layers import MaxPooling2D


@pytest.mark.parametrize("padding", ("same", "valid"))
@pytest.mark.parametrize(("pool_size", "strides"), [(2, None), (3, 2), ((3, 2), (1, 3))])
def test_equals_keras(padding, pool_size, strides):
    x = images(2, 9, 8, 3)
    ours, theirs = (layer(pool_size, strides, padding=padding) for layer in (MaxPooling2D, keras.layers.MaxPooling2D))
    np.testing.assert_array_equal(ours(x), theirs(x))
    assert ours.compute_output_shape(x.shape) == theirs.compute_output_shape(x.shape)
    assert {**ours.get_config(), "name": ""} == {**theirs.get_config(), "name": ""}


@pytest.mark.parametrize("policy", POLICIES)
def test_windows_that_hang_over_the_border(policy):
    keras.config.set_dtype_policy(policy)
    x = -1 - np.abs(images(2, 8, 7, 3))  # so that a padding of zeros would win
    layer = MaxPooling2D(3, 2, padding=((1, 0), (1, 1)))
    y = layer(x)
    x = np.asarray(keras.ops.cast(x, layer.compute_dtype), "float32")
    windows = [[x[:, max(0, i - 1) : i + 2, max(0, j - 1) : j + 2] for j in (0, 2, 4, 6)] for i in (0, 2, 4, 6)]
    expected = np.stack([np.stack([w.max((1, 2)) for w in row], 1) for row in windows], 1)
    np.testing.assert_array_equal(np.asarray(y, "float32"), expected)
    assert y.dtype == layer.compute_dtype
    assert layer.compute_output_shape((None, 8, None, 3)) == (None, 4, None, 3)


def test_file_and_export(tmp_path):
    layer = MaxPooling2D(3, 2, padding=1)
    check_round_trip([layer], (9, 8, 3), tmp_path)
    check_export(MaxPooling2D(3, 2, padding=1), 3, tmp_path)


@pytest.mark.parametrize(
    "options", [{"padding": 2}, {"padding": -1}, {"pool_size": 0}, {"data_format": "channels_first"}]
)
def test_refusals(options):
    with pytest.raises(InputError, match="Received"):
        MaxPooling2D(**options)


def test_too_small_an_image_is_refused():
    with pytest.raises(InputError, match="fit"):
        MaxPooling2D(5)(keras.Input((4, 9, 3)))
