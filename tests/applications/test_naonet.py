"""NAONet: its two conventions, widths, and drop-path by depth."""

import dataclasses
import functools

import keras
import numpy as np
import parity
import pytest
from cells_by_hand import ENASByHand, NAOByHand

from kerascnn import applications, layers
from kerascnn.applications import naonet


@functools.cache
def structure(name, **options):
    """The network with one normal cell a stage, and weights that have no values."""
    spec = dataclasses.replace(applications.model_info(name).spec, repeats=1)
    with keras.StatelessScope(initialize_variables=False):
        return applications.create_model(name, spec=spec, **options)


def test_what_no_node_reads_is_put_out():
    assert naonet.NAONET.normal.concat == ("n2", "n4", "n5")
    assert naonet.NAONET.reduce.concat == ("n2", "n3", "n4", "n5")
    assert naonet.NAONET_WS.normal.concat == naonet.NAONET_WS.reduce.concat == ("n2", "n3", "n4", "n5")


@pytest.mark.parametrize("name, by_hand", [("naonet_f36", NAOByHand), ("naonet_ws", ENASByHand)])
def test_the_network_by_hand(name, by_hand):
    spec = dataclasses.replace(applications.model_info(name).spec, filters=4, repeats=2)
    model = applications.create_model(name, spec=spec, features_only=True)
    parity.randomize(model)
    x = np.random.default_rng(0).normal(size=(2, 12, 10, 3)).astype("float32")
    for ours, theirs in zip(model(x), by_hand(model).stages(x, spec), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * np.std(theirs))


def test_the_first_cell_reads_the_stem_unmatched():
    model = structure("naonet_f36")
    assert model.get_layer("stage1_cell1_n1a_conv1").kernel.shape == (3, 3, 108, 36)
    assert model.get_layer("stage2_cell2_n1a_conv1").kernel.shape == (3, 3, 72, 72)


def test_a_pair_of_kernels_strides_in_the_first():
    model = structure("naonet_f36")
    first, second = (model.get_layer(f"stage2_cell1_n3a_conv{i}") for i in (1, 2))
    assert (first.kernel_size, first.strides) == ((1, 7), (2, 2))
    assert (second.kernel_size, second.strides) == ((7, 1), (1, 1))


@pytest.mark.parametrize("name, rate", [("naonet_f36", 0.3), ("naonet_ws", 0.4)])
def test_drop_path_grows_with_the_cell(name, rate):
    model = structure(name, drop_path_rate=rate)
    rates = sorted({layer.rate for layer in model.layers if isinstance(layer, layers.ScheduledDropPath)})
    assert rates == pytest.approx([rate * i / 5 for i in range(1, 6)])


def test_heads():
    assert len(structure("naonet_f36").get_layer("head").weights) == 2
    assert len(structure("naonet_ws").get_layer("head").weights) == 1
    assert structure("naonet_ws").get_layer("head_dropout").rate == 0.2
    assert structure("naonet_f36").get_layer("head_dropout").rate == 0.4
