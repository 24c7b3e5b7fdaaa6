"""kerascnn.layers.CropLike: the right window, sizes that are not known, files, refusals."""

import keras
import numpy as np
import pytest
from layer_checks import images

from kerascnn._errors import InputError
from kerascnn.layers import CropLike


@pytest.mark.parametrize("offset", [0, 2])
def test_values_file_and_export(offset, tmp_path):
    x, like = keras.Input((None, None, 3)), keras.Input((None, None, 1))
    model = keras.Model([x, like], CropLike(offset)([x, like]))
    given = [images(2, 8, 9, 3), images(2, 5, 6, 1)]
    np.testing.assert_array_equal(model(given), given[0][:, offset : offset + 5, offset : offset + 6])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.layers[-1].offset == offset
    np.testing.assert_array_equal(again(given), model(given))
    model.export(tmp_path / "model", verbose=False)
    assert CropLike(offset)([keras.Input((8, 9, 3)), keras.Input((5, 6, 1))]).shape == (None, 5, 6, 3)


@pytest.mark.parametrize("offset", [-1, 1.5, True])
def test_offsets_that_are_no_offsets_are_refused(offset):
    with pytest.raises(InputError, match="at least 0"):
        CropLike(offset)


def test_windows_beyond_the_map_are_refused():
    with pytest.raises(InputError, match="within the map"):
        CropLike(3)([keras.Input((8, 9, 3)), keras.Input((5, 7, 1))])
    with pytest.raises(InputError, match="two maps"):
        CropLike()([keras.Input((8, 9, 3))])
