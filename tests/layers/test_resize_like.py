"""kerascnn.layers.ResizeLike: values by hand, sizes that are not known, files, policies, refusals."""

import keras
import numpy as np
import pytest
from layer_checks import images

from kerascnn._errors import InputError
from kerascnn.layers import ResizeLike


def interpolated(x, size):
    """Along one axis of [n, channels], by the formula of the docstring."""
    places = np.clip((np.arange(size) + 0.5) * len(x) / size - 0.5, 0, len(x) - 1)
    low = np.floor(places).astype(int)
    part = (places - low)[:, None]
    return (1 - part) * x[low] + part * x[np.minimum(low + 1, len(x) - 1)]


@pytest.mark.parametrize("size", [(8, 12), (7, 5), (4, 3), (1, 1)])
def test_values(size):
    x = images(1, 4, 3, 2)
    rows = np.stack([interpolated(x[0, :, column], size[0]) for column in range(3)], axis=1)
    expected = np.stack([interpolated(row, size[1]) for row in rows])
    np.testing.assert_allclose(ResizeLike()([x, images(1, *size, 5)])[0], expected, atol=1e-5)


def test_one_place_is_repeated():
    x = images(2, 1, 1, 3)
    np.testing.assert_array_equal(ResizeLike()([x, images(2, 4, 5, 1)]), np.broadcast_to(x, (2, 4, 5, 3)))


def test_unknown_sizes_file_and_export(tmp_path):
    x, like = keras.Input((None, None, 2)), keras.Input((None, None, 1))
    model = keras.Model([x, like], ResizeLike()([x, like]))
    assert model.output_shape == (None, None, None, 2)
    model.save(tmp_path / "model.keras")
    given = [images(2, 3, 4, 2), images(2, 6, 7, 1)]
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(given), model(given))
    model.export(tmp_path / "model", verbose=False)


@pytest.mark.parametrize("policy", ["float16", "bfloat16"])
def test_low_precision_computes_in_float32(policy):
    x = images(1, 3, 3, 2).astype("float16")
    y = ResizeLike(dtype=policy)([keras.ops.cast(x, policy), images(1, 6, 6, 2)])
    assert keras.backend.standardize_dtype(y.dtype) == policy
    expected = ResizeLike()([x.astype("float32"), images(1, 6, 6, 2)])
    np.testing.assert_allclose(keras.ops.cast(y, "float32"), expected, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("shapes", [((4, 4, 1),), ((4, 4, 1), (4,)), ((4, 4, 1), (4, 4, 1), (4, 4, 1))])
def test_other_than_two_maps_are_refused(shapes):
    with pytest.raises(InputError, match="two maps"):
        ResizeLike()([keras.Input(shape) for shape in shapes])
