"""Swin: windows and shifts, sizes of every kind, and the stage outputs, on networks of a few blocks."""

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn import layers
from kerascnn.applications import swin

SMALL = swin.Spec((2, 1, 3, 2), 32, window=4, head_width=16)


def network(**options):
    return kerascnn.create_model("swin_tiny_patch4_window7_224", spec=SMALL, **options)


def test_every_other_block_shifts_by_half_a_window():
    attention = [layer for layer in network().layers if isinstance(layer, layers.WindowAttention)]
    assert [layer.shift for layer in attention] == [0, 2, 0, 0, 2, 0, 0, 2]
    assert [layer.heads for layer in attention] == [2, 2, 4, 8, 8, 8, 16, 16]
    assert {layer.window for layer in attention} == {4}


def test_whole_windows_need_no_zeros():
    kinds = {type(layer) for layer in network(input_shape=(128, 128, 3)).layers}
    assert not kinds & {layers.PadToMultiple, layers.CropLike}
    assert layers.PadToMultiple in {type(layer) for layer in network(input_shape=(128, 120, 3)).layers}


def test_stage_outputs():
    model = network(features_only=True)
    assert model.feature_strides == [4, 8, 16, 32]
    shapes = [shape[1:] for shape in model.compute_output_shape((1, 128, 224, 3))]
    assert shapes == [(32, 56, 32), (16, 28, 64), (8, 14, 128), (4, 7, 256)]
    assert isinstance(model.outputs[-1]._keras_history.operation.input._keras_history.operation,
                      keras.layers.LayerNormalization)  # fmt: skip


@pytest.mark.parametrize("size", [(64, 64), (50, 75)])
def test_a_network_of_any_size_gives_what_one_of_known_size_does(size, golden):
    image = np.random.default_rng(0).normal(size=(1, *size, 3)).astype("float32")
    outputs = []
    for shape in ((None, None, 3), (*size, 3)):
        model = network(input_shape=shape, classes=5, classifier_activation=None)
        golden.seed_weights(model)
        outputs.append(model(image))
    np.testing.assert_allclose(*outputs, atol=1e-5 * np.std(outputs[0]))


def test_drop_path_grows_over_all_blocks():
    rates = [layer.rate for layer in network(drop_path_rate=0.7).layers if isinstance(layer, layers.DropPath)]
    np.testing.assert_allclose(rates, np.repeat(np.arange(1, 8) / 10, 2))  # the first block has none
