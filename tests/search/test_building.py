"""Candidates of each kind of space become networks of the shapes and the parts that they say."""

import dataclasses

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn import InputError
from kerascnn.search import Networks, spaces
from kerascnn.search.building import operation

SHAPE = (8, 8, 1)


def kernels(model):
    return [tuple(layer.kernel.shape) for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]


def test_a_row_of_layers_in_three_stages():
    row = spaces.Row({"a": "conv_1x1", "b": "conv_5x5", "c": "max_3x3"})
    model = Networks(filters=4)(row, SHAPE, 7)
    assert kernels(model) == [(3, 3, 1, 4), (1, 1, 4, 4), (5, 5, 4, 8), (1, 1, 8, 16)]
    assert model.output_shape == (None, 7) and model.layers[-1].activation is keras.activations.linear


def test_a_row_of_numbers():
    model = Networks()(spaces.Row({"layers": 3, "filters": 2, "kernel": 5}), SHAPE, 10)
    assert kernels(model) == [(3, 3, 1, 2), (5, 5, 2, 2), (5, 5, 2, 4), (5, 5, 4, 8)]


def test_a_row_changes_the_row_of_a_network():
    build, own = Networks(family="resnet20"), kerascnn.model_info("resnet20").spec
    space = spaces.Choices({"blocks": (1, 2), "widths": ("4,8,16", "8,8,8")})
    model = build(space.decode((1, 0)), SHAPE, 10)
    spec = dataclasses.replace(own, blocks=2, widths=(4, 8, 16))
    expected = kerascnn.create_model("resnet20", spec=spec, classes=10, input_shape=SHAPE)
    assert model.count_params() == expected.count_params() and own.blocks == 3
    with pytest.raises(InputError, match="candidate must be some of blocks, residual, widths"):
        build(spaces.Row({"no_such_field": 1}), SHAPE, 10)
    with pytest.raises(InputError, match="widths must be numbers with commas"):
        build(spaces.Row({"widths": "wide"}), SHAPE, 10)


def test_skips_are_joined_to_the_layer_before():
    layer = spaces.Row({"kernel": 3, "filters": 5})
    layers = (spaces.Layer(layer), spaces.Layer(layer, (0,)), spaces.Layer(layer, (0, 1)))
    assert kernels(Networks(filters=4)(layers, SHAPE, 10)) == [(3, 3, 1, 4), (3, 3, 4, 5), (3, 3, 5, 5), (3, 3, 10, 5)]


def test_a_hierarchy_without_work_is_a_stem_and_a_head():
    space = spaces.hierarchical()
    model = Networks(filters=4)(space.decode(space.trivial()), SHAPE, 10)
    assert kernels(model) == [(3, 3, 1, 4), (1, 1, 4, 8), (1, 1, 8, 16)]  # only where the channels change
    lost = spaces.Hierarchy(("identity",), (3,), ((((0, 1, 0),),),))
    with pytest.raises(InputError, match="must be reached from its input"):
        Networks(filters=4)(lost, SHAPE, 10)


def test_a_motif_adds_what_reaches_a_node():
    candidate = spaces.Hierarchy(("identity", "max_3x3"), (3,), (((((0, 1, 0), (0, 2, 0), (1, 2, 0))),),))
    image = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype("float32")
    model = Networks(filters=4)(candidate, SHAPE, 10)
    adds = [layer for layer in model.layers if isinstance(layer, keras.layers.Add)]
    assert len(adds) == 3
    one = keras.Model(model.input, [adds[0].output, adds[0].input[0]])
    total, part = one(image)
    assert np.allclose(total, 2 * np.asarray(part), atol=1e-6)


def test_random_candidates_of_chains():
    rng = np.random.default_rng(0)
    for space in (spaces.nas(4), spaces.enas_macro(4)):
        model = Networks(filters=2)(space.decode(space.sample(rng)), SHAPE, 3)
        assert model(np.zeros((2, *SHAPE), "float32")).shape == (2, 3)


@pytest.mark.parametrize("name", ["identity", "conv_3x3", "sep_5x5", "depthwise_3x3", "avg_3x3", "mb3", "mb1_5x5"])
@pytest.mark.parametrize("filters", [4, 6])
def test_operations_keep_the_size(name, filters):
    assert operation(keras.Input((5, 5, 4)), name, filters).shape == (None, 5, 5, filters)


@pytest.mark.parametrize("name", ["conv", "conv_3x5", "mb0", "zero", "", None])
def test_other_operations_are_refused(name):
    with pytest.raises(InputError, match="operation must be one of identity"):
        operation(keras.Input((5, 5, 4)), name, 4)


@pytest.mark.parametrize(
    "candidate", [None, (), {"a": "conv_3x3"}, spaces.Row({"depth": 3}), spaces.Row({"layers": 0})]
)
def test_what_is_no_candidate_is_refused(candidate):
    with pytest.raises(InputError, match="must be"):
        Networks()(candidate, SHAPE, 10)
