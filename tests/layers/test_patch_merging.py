"""kerascnn.layers.PatchMerging: the order of the channels, odd and unknown sizes, files."""

import numpy as np
import pytest
from layer_checks import check_export, check_round_trip, images

from kerascnn.layers import PatchMerging


@pytest.mark.parametrize("height, width", [(4, 6), (5, 6), (3, 1)])
def test_columns_of_a_patch_come_first(height, width):
    x = images(2, height, width, 3)
    layer = PatchMerging()
    y = layer(x)
    assert y.shape == layer.compute_output_shape(x.shape) == (2, -(-height // 2), -(-width // 2), 12)
    padded = np.pad(x, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)))
    places = [padded[:, row::2, column::2] for row, column in ((0, 0), (1, 0), (0, 1), (1, 1))]
    np.testing.assert_array_equal(y, np.concatenate(places, axis=-1))


def test_unknown_sizes():
    assert PatchMerging().compute_output_shape((None, None, 5, 2)) == (None, None, 3, 8)


def test_file_and_export(tmp_path):
    check_round_trip([PatchMerging()], (5, 6, 2), tmp_path)
    check_export(PatchMerging(), 2, tmp_path)
