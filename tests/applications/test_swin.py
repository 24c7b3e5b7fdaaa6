"""Swin: windows and shifts, sizes of every kind, and the stage outputs, on networks of a few blocks."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerascnn
from kerascnn import layers, serving
from kerascnn.applications import swin

SMALL = swin.Spec((2, 1, 3, 2), 32, window=4, head_width=16)


def network(spec=SMALL, **options):
    return kerascnn.create_model("swin_tiny_patch4_window7_224", spec=spec, **options)


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


@pytest.mark.slow  # XLA compiles for half a minute
def test_runs_under_xla_and_as_a_served_model(tmp_path, golden):
    shape = (56, 72, 3)  # 14x18 places: zeros, shifts and masks along both axes
    spec = dataclasses.replace(SMALL, depths=(2, 1))
    model = network(spec=spec, classes=3, classifier_activation=None, input_shape=shape)
    golden.seed_weights(model)
    x = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    wanted = model(x).numpy()
    compiled = tf.function(model, jit_compile=True)
    np.testing.assert_allclose(compiled(x), wanted, atol=1e-4 * np.abs(wanted).max())
    about = {"class_names": list("abc"), "preprocessing": swin._PREPROCESSING, "input_shape": shape}
    served = tf.saved_model.load(serving.export(model, tmp_path, check=False, **about))
    probabilities = served.signatures["tensors"](images=tf.constant(x))["probabilities"]
    np.testing.assert_allclose(probabilities, keras.ops.softmax(wanted), atol=1e-4)


def test_tables_of_another_window_are_loaded(tmp_path):
    model = network(input_shape=(128, 128, 3))
    model.save_weights(tmp_path / "four.weights.h5")
    wider = network(dataclasses.replace(SMALL, window=6), weights=tmp_path / "four.weights.h5")
    table = wider.get_layer("stage1_block1_attention").relative_position_bias_table
    before = model.get_layer("stage1_block1_attention").relative_position_bias_table
    assert table.shape == (121, 2)
    np.testing.assert_allclose(table[60], before[24], atol=5e-3)  # no offset
