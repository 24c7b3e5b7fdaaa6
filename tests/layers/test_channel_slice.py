"""kerascnn.layers.ChannelSlice: the right channels, and refusals."""

import keras
import numpy as np
import pytest
from layer_checks import check_export, check_round_trip, images

from kerascnn._errors import InputError
from kerascnn.layers import ChannelSlice


@pytest.mark.parametrize(("start", "stop"), [(0, 2), (2, None), (1, 5)])
def test_values_and_shape(start, stop):
    x = images(2, 3, 4, 5)
    layer = ChannelSlice(start, stop)
    np.testing.assert_array_equal(layer(x), x[..., start:stop])
    assert layer.compute_output_shape((None, None, 4, 5)) == (None, None, 4, x[..., start:stop].shape[-1])


def test_file_and_export(tmp_path):
    check_round_trip([ChannelSlice(1), ChannelSlice(0, 3)], (6, 5, 5), tmp_path)
    check_export(ChannelSlice(1, 3), 5, tmp_path)


@pytest.mark.parametrize("arguments", [(-1, 2), (2, 2)])
def test_empty_ranges_are_refused(arguments):
    with pytest.raises(InputError, match="Received"):
        ChannelSlice(*arguments)


@pytest.mark.parametrize("arguments", [(0, 6), (5, None)])
def test_channels_that_are_not_there_are_refused(arguments):
    with pytest.raises(InputError, match="within"):
        ChannelSlice(*arguments)(keras.Input((4, 4, 5)))
