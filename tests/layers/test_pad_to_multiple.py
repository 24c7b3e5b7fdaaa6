"""kerascnn.layers.PadToMultiple and CropLike: values, unknown sizes, files, refusals."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_checks import check_export, check_round_trip, images

from kerascnn._errors import InputError
from kerascnn.layers import CropLike, PadToMultiple


@pytest.mark.parametrize("size, padded", [((5, 6), (6, 6)), ((6, 3), (6, 3)), ((1, 7), (3, 9))])
def test_pads_at_the_bottom_and_right_and_crops_again(size, padded):
    x = images(2, *size, 4)
    layer = PadToMultiple(3)
    y = layer(x).numpy()
    assert y.shape == layer.compute_output_shape(x.shape) == (2, *padded, 4)
    np.testing.assert_array_equal(y[:, : size[0], : size[1]], x)
    assert np.count_nonzero(y) == x.size
    assert layer.compute_output_shape((None, None, 5, 4)) == (None, None, 6, 4)
    np.testing.assert_array_equal(CropLike()([y, x]), x)


def test_unknown_sizes():
    image = keras.Input((None, None, 2))
    padded = PadToMultiple(4)(image)
    model = keras.Model(image, [padded, CropLike()([padded, image])])
    x = images(1, 7, 9, 2)
    padded, same = tf.function(model, input_signature=[tf.TensorSpec((None, None, None, 2))])(x)
    assert padded.shape == (1, 8, 12, 2)
    np.testing.assert_array_equal(same, x)


def test_file_and_export(tmp_path):
    check_round_trip([PadToMultiple(4)], (6, 5, 2), tmp_path)
    check_export(PadToMultiple(4), 2, tmp_path)


@pytest.mark.parametrize("multiple", [0, 1.5, None])
def test_what_is_no_whole_number_is_refused(multiple):
    with pytest.raises(InputError, match="whole number"):
        PadToMultiple(multiple)


def test_a_larger_second_map_is_refused():
    with pytest.raises(InputError, match="larger"):
        CropLike()([keras.Input((4, 4, 1)), keras.Input((4, 5, 1))])
