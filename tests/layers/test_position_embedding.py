"""kerascnn.layers.PositionEmbedding: sums, refusals, PyTorch's forms, other grids."""

import keras
import numpy as np
import pytest
from layer_checks import check_round_trip, check_training, check_training_by_xla, images

from kerascnn._errors import InputError
from kerascnn.layers import PositionEmbedding


def test_each_token_gets_its_vector():
    layer = PositionEmbedding((2, 3), prefix=1)
    x = images(2, 7, 4)
    y = layer(x)
    first, positions = layer.get_weights()
    assert first.shape == (1, 4) and positions.shape == (2, 3, 4)
    np.testing.assert_allclose(y, x + np.concatenate([first, positions.reshape(6, 4)]), rtol=1e-6)


def test_a_map_gets_its_vectors():
    layer = PositionEmbedding((2, 3), stddev=1.0)
    x = images(2, 2, 3, 4)
    np.testing.assert_allclose(layer(x), x + layer.get_weights()[0], rtol=1e-6)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_trains_and_compiles(policy):
    check_training(lambda: [PositionEmbedding((2, 3))], (2, 3, 4), policy)
    keras.config.set_dtype_policy("float32")
    check_training_by_xla(PositionEmbedding((2, 3), 1), (7, 4))


def test_file(tmp_path):
    check_round_trip([PositionEmbedding((2, 3), prefix=1, stddev=0.5)], (7, 4), tmp_path)


@pytest.mark.parametrize("arguments", [((0, 2),), ((2,),), ((2, 2), -1)])
def test_bad_arguments_are_refused(arguments):
    with pytest.raises(InputError, match="Received"):
        PositionEmbedding(*arguments)


@pytest.mark.parametrize("shape", [(6, 4), (8, 4), (2, 3, 4), (None, 4)])
def test_other_tokens_are_refused(shape):
    layer = PositionEmbedding((2, 3), prefix=1)
    with pytest.raises(InputError, match="6|7"):
        layer(keras.Input(shape))
    with pytest.raises(InputError, match="Received"):
        layer.compute_output_shape((None, *shape))
    layer(keras.Input((7, 4)))
    with pytest.raises(InputError, match="Received"):
        layer(keras.Input(shape))


def test_pytorchs_forms():
    array = images(1, 7, 4)
    first, positions = PositionEmbedding((2, 3), 1).from_torch({"pos_embed": array})
    np.testing.assert_array_equal(np.concatenate([first, positions.reshape(6, 4)]), array[0])
    (positions,) = PositionEmbedding((5, 4)).from_torch({"pos_embed": images(1, 9, 4)})
    assert positions.shape == (3, 3, 4)  # of another grid, which is a square
    (positions,) = PositionEmbedding((2, 3)).from_torch({"pos_embed": (array := images(1, 4, 2, 3))})
    np.testing.assert_array_equal(positions[1, 2], array[0, :, 1, 2])
    for array in (images(1, 8, 4), images(2, 7, 4), images(7, 4)):  # no square, or another form
        (kept,) = PositionEmbedding((3, 3)).from_torch({"pos_embed": array})
        assert kept is array


@pytest.mark.parametrize("grid", [(2, 2), (5, 7), (12, 3)])
def test_another_grid_is_resized(grid):
    layer = PositionEmbedding(grid, 1)
    plane = np.stack(np.meshgrid(np.arange(6.0), np.arange(4.0)), axis=-1).astype("float32")  # [4, 6, (x, y)]
    first, resized = layer.resized([np.ones((1, 2), "float32"), plane])
    assert resized.shape == (*grid, 2) and resized.dtype == np.float32
    np.testing.assert_array_equal(first, np.ones((1, 2)))
    np.testing.assert_allclose(resized.mean(axis=(0, 1)), plane.mean(axis=(0, 1)), rtol=1e-5)
    height, width = grid
    center = [((height // 2) + 0.5) * 4 / height - 0.5, ((width // 2) + 0.5) * 6 / width - 0.5]
    if min(grid) > 4:  # away from the border a plane stays one
        np.testing.assert_allclose(resized[height // 2, width // 2], center[::-1], rtol=1e-4)


def test_the_same_grid_is_left_alone():
    arrays = [images(1, 4), images(2, 3, 4)]
    assert PositionEmbedding((2, 3), 1).resized(arrays) is arrays
    flat = [images(1, 7, 4)]
    assert PositionEmbedding((2, 3), 1).resized(flat) is flat
