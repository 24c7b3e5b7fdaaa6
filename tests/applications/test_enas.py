"""ENAS: the conventions of its cells, the skip connections of the macro network, and its heads."""

import functools
import math

import keras
import numpy as np
import parity
import pytest
from cells_by_hand import ENASByHand

from kerascnn import applications, cells
from kerascnn._errors import InputError
from kerascnn.applications import enas


@functools.cache
def structure(name, **options):
    """The network, of cells with fewer, and weights that have no values."""
    spec = None if name == "enas_macro" else enas.Spec(2)
    with keras.StatelessScope(initialize_variables=False):
        return applications.create_model(name, spec=spec, **options)


def inputs_of(model, name):
    """Names of the layers that a layer reads."""
    return [tensor._keras_history.operation.name for tensor in keras.tree.flatten(model.get_layer(name).input)]


def decoded(numbers):
    """A cell from the numbers of the authors' scripts: input, operation, twice for each node."""
    operations = ("sep_3x3", "sep_5x5", "avg_3x3", "max_3x3", "identity")
    sources = ("c2", "c1", "n1", "n2", "n3", "n4", "n5")
    terms = [(operations[b], sources[a]) for a, b in zip(numbers[::2], numbers[1::2], strict=True)]
    return cells.Cell([terms[i : i + 2] for i in range(0, len(terms), 2)])


def test_the_cells_are_those_of_the_script():
    numbers = [int(digit) for digit in "02000401041110010211" + "10100302113110040311"]
    assert enas.MICRO.normal == decoded(numbers[:20])
    assert enas.MICRO.reduce == decoded(numbers[20:])


def test_the_network_by_hand():
    spec = enas.Spec(2, filters=4)
    model = applications.create_model("enas_micro", spec=spec, features_only=True)
    parity.randomize(model)
    x = np.random.default_rng(0).normal(size=(2, 12, 10, 3)).astype("float32")
    for ours, theirs in zip(model(x), ENASByHand(model).stages(x, spec), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * np.std(theirs))


def test_the_last_output_is_matched_twice_and_the_one_before_once():
    model = structure("enas_micro")
    assert model.get_layer("stage1_cell2_c1_match_conv").filters == model.get_layer("stage1_cell2_c1_conv").filters
    assert "stage1_cell2_c2_match_conv" not in {layer.name for layer in model.layers}


def test_an_identity_with_a_stride_is_a_factorized_reduction():
    model = structure("enas_micro")
    assert model.get_layer("stage2_cell1_n4b_conv1").strides == (2, 2)
    assert inputs_of(model, "stage2_cell1_n4b_conv1") == ["stage2_cell1_c2_bn"]  # no ReLU before it


def test_a_layer_of_the_macro_network_by_hand():
    image = keras.Input((5, 5, 2))
    live = [keras.layers.Identity(name=f"live{i}")(image * (i + 1)) for i in range(3)]
    model = keras.Model(image, [enas.layer(live, 4, 3, (1, 0), name="layer3"), live[2]])
    assert inputs_of(model, "layer3_concat") == ["live1", "live0", "layer3_bn2"]
    assert inputs_of(model, "layer3_relu1") == ["live2"]
    parity.randomize(model)
    x = np.random.default_rng(0).normal(size=(1, 5, 5, 2)).astype("float32")
    made, last = model(x)
    y = np.asarray(last)
    for number in (1, 2):
        y = part(model, number, np.maximum(y, 0))
    joined = np.concatenate([2 * x, x, y], -1)
    np.testing.assert_allclose(made, part(model, 3, np.maximum(joined, 0)), rtol=1e-4, atol=1e-5)


def part(model, number, x):
    """Convolution and batch norm number so-and-so."""
    return np.asarray(model.get_layer(f"layer3_bn{number}")(model.get_layer(f"layer3_conv{number}")(x), training=False))


def test_between_stages_all_layers_of_the_macro_network_are_halved():
    names = [layer.name for layer in structure("enas_macro").layers]
    assert sum(name.startswith("reduction1") and name.endswith("_bn") for name in names) == 9
    assert sum(name.startswith("reduction2") and name.endswith("_bn") for name in names) == 17


@pytest.mark.parametrize("name", ["enas_micro", "enas_macro"])
def test_the_head_has_no_bias(name):
    assert len(structure(name).get_layer("head").weights) == 1


def test_the_auxiliary_head():
    """1x1 to 128, 2x2 to 768, dense without bias, and two batch norms."""
    more = structure("enas_micro", auxiliary_heads=True)
    parameters = sum(math.prod(w.shape) for layer in more.layers if layer.name.startswith("aux") for w in layer.weights)
    assert parameters == 720 * 128 + 4 * 128 * 768 + 768 * 10 + 4 * (128 + 768)
    assert more.get_layer("aux2_conv").output.shape[1:3] == (2, 2)


@pytest.mark.parametrize("layers", [((3, ()), (3, (0,))), ((3, ()), (3, (2,)), (3, ())), ((3, ()), (0, ()), (3, ()))])
def test_a_macro_network_needs_three_layers_that_join_earlier_ones(layers):
    with pytest.raises(InputError, match="at least 3 layers|Layer 2 must have"):
        enas.MacroSpec(layers, 8)
