"""Pixels as PNG files, read by another library."""

import io

import numpy as np
import pytest
from PIL import Image

from kerascnn._errors import InputError
from kerascnn.serving.client import png


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 1), (4, 2, 3), (1, 1, 4), (300, 200, 3)])
def test_pixels_come_back(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype="uint8")
    for array in (pixels, pixels[::-1], np.asfortranarray(pixels)):
        found = np.asarray(Image.open(io.BytesIO(png.encode(array))))
        np.testing.assert_array_equal(found.reshape(shape), array)


def test_what_is_no_picture():
    for bad in (np.zeros((2, 2, 2), np.uint8), np.zeros((0, 2, 3), np.uint8), np.zeros((2, 2)), np.zeros(4, np.uint8)):
        with pytest.raises(InputError, match="image must be uint8"):
            png.encode(bad)
