"""AveragePooling2D: means over the pixels inside, saving, errors."""

import keras
import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.layers import AveragePooling2D


def expected(x, size, stride, before, after):
    """Loops over the windows of [h, w]."""
    height, width = x.shape
    places = [range(-before, n + after - size + 1, stride) for n in (height, width)]
    return [[x[max(i, 0) : i + size, max(j, 0) : j + size].mean() for j in places[1]] for i in places[0]]


@pytest.mark.parametrize("size, stride, padding", [(3, 2, 1), (3, 1, 1), (5, 2, 2), (2, 2, ((0, 1), (0, 1)))])
@pytest.mark.parametrize("side", [6, 7])
def test_a_mean_is_that_of_the_pixels_inside(size, stride, padding, side):
    x = np.random.default_rng(0).normal(size=(1, side, side, 1)).astype("float32")
    before, after = (padding, padding) if isinstance(padding, int) else padding[0]
    layer = AveragePooling2D(size, stride, padding)
    y = np.asarray(layer(x))
    np.testing.assert_allclose(y[0, :, :, 0], expected(x[0, :, :, 0], size, stride, before, after), rtol=1e-5)
    assert layer.compute_output_shape(x.shape) == y.shape
    assert layer.compute_output_shape((None, None, None, 3)) == (None, None, None, 3)


def test_same_is_that_of_keras():
    x = np.random.default_rng(0).normal(size=(2, 7, 6, 3)).astype("float32")
    np.testing.assert_array_equal(AveragePooling2D(3, 2, "same")(x), keras.layers.AveragePooling2D(3, 2, "same")(x))


def test_a_file_keeps_the_padding_and_open_sizes_work(tmp_path):
    inputs = keras.Input((None, None, 2))
    model = keras.Model(inputs, AveragePooling2D(3, 2, 1)(inputs))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(2, 9, 8, 2)).astype("float32")
    assert again.layers[-1].padding == ((1, 1), (1, 1))
    np.testing.assert_array_equal(again(x), model(x))


def test_half_precision():
    x = np.ones((1, 8, 8, 2), "float16")
    y = AveragePooling2D(3, 2, 1, dtype="float16")(x)
    assert y.dtype == "float16"
    np.testing.assert_array_equal(y, np.ones((1, 4, 4, 2)))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"padding": 3}, "less than the window"),
        ({"padding": "full"}, "`padding` must be"),
        ({"data_format": "channels_first"}, "channels_last"),
    ],
)
def test_errors(options, message):
    with pytest.raises(InputError, match=message):
        AveragePooling2D(3, 2, **options)
    with pytest.raises(InputError, match="must fit"):
        AveragePooling2D(5, 1)(keras.Input((4, 4, 1)))
