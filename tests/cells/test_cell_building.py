"""Stacks of cells: how inputs are matched, names, drop-path, auxiliary heads, and networks from a genotype."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn import cells
from kerascnn._errors import InputError
from kerascnn.cells import Cell, Genotype, Stack, Value
from kerascnn.cells.style import DARTS, ENAS, NASNET
from kerascnn.layers import Progress, ScheduledDropPath

TINY = Genotype(
    "tiny",
    normal=Cell(["sep_3x3(c1) + identity(c2)", "max_3x3(c1) + zero(c2)"], "c2 n1 n2"),
    reduce=Cell(["conv_3x3(c1) + avg_3x3(c2)"], "c1 n1"),
)


def names(model):
    return {layer.name for layer in model.layers}


def build(style=NASNET, stages=(1, 2), **options):
    image = keras.Input((None, None, 3))
    return keras.Model(image, cells.small_features(image, TINY, style, stages, 4, stem_filters=6, **options))


def test_shapes_and_names():
    model = build()
    shapes = model.compute_output_shape((2, 9, 8, 3))
    # c2 n1 n2 with 4 filters; then twice as many, where the reduction cell gave c1 n1
    assert shapes == [(2, 9, 8, 12), (2, 5, 4, 24)]
    assert {"stem_conv", "stage1_cell1_c1_conv", "stage1_cell1_n1a_depthwise1", "stage1_cell1_out"} <= names(model)
    assert {"stage2_cell1_c1_out_conv2", "stage2_cell1_n1a_conv1", "stage2_cell2_c2_conv1", "final_relu"} <= names(
        model
    )
    assert "stage1_cell1_n2a_conv1" not in names(model) and not any("n2b" in name for name in names(model))  # zero


def test_the_first_cell_has_one_input():
    """In NASNet the older one is the stem unmatched; in ENAS and DARTS it is matched by layers of its own."""
    assert "stage1_cell1_c2_conv" not in names(build())
    assert {"stage1_cell1_c2_conv", "stage1_cell1_c1_conv"} <= names(build(DARTS))
    enas = names(build(ENAS))
    assert {"stage1_cell1_c1_match_conv", "stage1_cell1_c1_conv", "stage1_cell1_c2_conv"} <= enas


def test_what_is_matched_always():
    same = Genotype("same", Cell(["sep_3x3(c1) + identity(c2)"]), Cell(["max_3x3(c1) + max_3x3(c2)"]))
    for always in (False, True):
        style = dataclasses.replace(NASNET, match_always=always)
        image = keras.Input((8, 8, 3))
        model = keras.Model(image, cells.small_features(image, same, style, (3,), 4, stem_filters=4))
        assert ("stage1_cell3_c2_conv" in names(model)) == always


@pytest.mark.parametrize("skip", [False, True])
def test_the_cell_after_a_reduction_cell(skip):
    """Its c2 is the reduction cell's input, or what came before that; both are larger maps."""
    image = keras.Input((16, 16, 3))
    model = keras.Model(image, cells.large_features(image, TINY, NASNET, (2, 2), 8, stem_filters=6, skip=skip))
    read = model.get_layer("stage3_cell2_c2_conv1").input.shape[-1]
    assert model.get_layer("stage3_cell2_c2_conv1").input is not None
    before = {False: "stage2_cell3_out_relu", True: "stage2_cell2_out_relu"}[skip]
    assert model.get_layer(before).output is model.get_layer("stage3_cell2_c2_conv1").input
    assert read == 24
    assert [shape[1:] for shape in model.output_shape] == [(4, 4, 4), (2, 2, 24), (1, 1, 48)]


def test_stack_with_inputs_of_two_sizes():
    image = keras.Input((16, 16, 3))
    small = keras.layers.AveragePooling2D(2)(image)
    stack = Stack(image, TINY, NASNET, 1)
    stack.start(Value(small, 1, "small"), Value(image, 0, "large"))
    stack.normal(4)
    assert stack.outputs(relu=False)[0].shape == (None, 8, 8, 12)


def test_drop_path_grows_with_the_cell_and_spares_identities():
    model = build(stages=(1, 2), drop_path_rate=0.6)
    rates = {layer.name: layer.rate for layer in model.layers if isinstance(layer, ScheduledDropPath)}
    assert rates == pytest.approx(
        {
            "stage1_cell1_n1a_drop_path": 0.2,
            "stage1_cell1_n2a_drop_path": 0.2,
            "stage2_cell1_n1a_drop_path": 0.4,
            "stage2_cell1_n1b_drop_path": 0.4,
            "stage2_cell2_n1a_drop_path": 0.6,
            "stage2_cell2_n2a_drop_path": 0.6,
        }
    )
    assert sum(isinstance(layer, Progress) for layer in model.layers) == 1
    plain = build()
    assert len(model.weights) == len(plain.weights) + 1 and not names(plain) & {"progress"}
    x = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype("float32")
    model.get_layer("progress").progress.assign(0.0)
    kept = model(x, training=True)[1]
    model.get_layer("progress").progress.assign(1.0)
    assert np.abs(kept - model(x, training=True)[1]).max() > 0


def test_auxiliary_head():
    image = keras.Input((8, 8, 4))
    model = keras.Model(image, cells.auxiliary_head(image, 7, None, NASNET))
    # mean 5x5/3: 2x2; 1x1 to 128; 2x2 to 768
    count = 4 * 128 + 2 * 128 + 4 * 128 * 768 + 2 * 768 + 768 * 7 + 7
    assert sum(int(tf.size(w)) for w in model.trainable_weights) == count
    for shape in ((None, 8, 4), (4, 4, 4)):
        with pytest.raises(InputError, match="known size, at least 5 by 5"):
            cells.auxiliary_head(keras.Input(shape), 7, None, NASNET)


@pytest.mark.parametrize("large", [False, True])
def test_network(large, tmp_path):
    size = 32 if large else 8
    options = {"cells": 1, "filters": 8, "input_shape": (size, size, 1), "classes": 4}
    model = cells.network(TINY, **options, large=large, drop_path_rate=0.2, dropout_rate=0.1, name="mine")
    x = np.random.default_rng(0).normal(size=(2, size, size, 1)).astype("float32")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(x, training=True)[:, 0])
    gradients = tape.gradient(loss, [w.value for w in model.trainable_weights])
    assert all(g is not None for g in gradients)
    y = model(x)
    np.testing.assert_allclose(np.sum(y, axis=1), 1, rtol=1e-5)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(x), y, rtol=1e-5)


def test_network_in_mixed_precision_and_of_open_size():
    keras.config.set_dtype_policy("mixed_float16")
    model = cells.network(TINY, cells=1, filters=4, input_shape=(None, None, 3), drop_path_rate=0.2)
    assert model.output.dtype == "float32" and model(np.ones((1, 9, 7, 3)), training=True).dtype == "float32"


@pytest.mark.parametrize(
    "options, message",
    [
        ({"cells": 0}, "cells must be a whole number, at least 1"),
        ({"filters": 1}, "filters must be a whole number, at least 2"),
        ({"filters": 4, "large": True}, "filters must be a whole number, at least 8"),
        ({"classes": True}, "classes must be"),
        ({"drop_path_rate": 1}, "drop_path_rate must be at least 0 and less than 1"),
        ({"dropout_rate": -0.1}, "dropout_rate must be"),
        ({"input_shape": (32, 32)}, r"input_shape must be \(height, width, channels\)"),
        ({"input_shape": (4, 4, 3), "large": True}, "7 by 7 pixels or more"),
        ({"input_shape": (4, 4, None)}, "and channels"),
    ],
)
def test_errors_of_network(options, message):
    with pytest.raises(InputError, match=message):
        cells.network(TINY, **options)
    with pytest.raises(InputError, match="must be a Genotype"):
        cells.network("tiny")
