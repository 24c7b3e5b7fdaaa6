"""NASNet: other cells and widths in its rows, the two forms, drop-path and weights."""

import dataclasses

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn._errors import InputError
from kerascnn.cells import NASNET, NASNET_KERAS, Cell, Genotype
from kerascnn.layers import Progress, ScheduledDropPath

TINY = Genotype("tiny", Cell(["sep_3x3(c1) + identity(c2)"], "c2 n1"), Cell(["max_3x3(c1) + conv_1x1(c2)"]))


def small(name, **changes):
    """A row of NASNet with few and small cells."""
    return dataclasses.replace(kerascnn.model_info(name).spec, repeats=1, filters=8, stem_filters=8, **changes)


def test_a_row_takes_other_cells():
    model = kerascnn.create_model("nasnet_a_6_768", spec=small("nasnet_a_6_768", genotype=TINY), input_shape=(8, 8, 3))
    assert {layer.name for layer in model.layers} >= {"stage2_cell1_n1b_conv1", "stage3_cell2_out", "head"}
    with pytest.raises(InputError, match="spec of nasnet_a_6_768 must be"):
        kerascnn.create_model("nasnet_a_6_768", spec=TINY)


def test_the_two_forms_differ_in_pools_with_stride_alone():
    x = np.random.default_rng(0).normal(size=(1, 47, 47, 3)).astype("float32")
    outputs, weights = [], None
    for style, size in ((NASNET, 47), (NASNET_KERAS, 47), (NASNET_KERAS, None)):
        model = kerascnn.create_model(
            "nasnet_a_mobile",
            spec=small("nasnet_a_mobile", style=style),
            input_shape=(size, size, 3),
            classifier_activation=None,
        )
        weights = weights or model.get_weights()
        model.set_weights(weights)
        outputs.append(np.asarray(model(x)))
    spread = outputs[0].std()
    assert np.abs(outputs[0] - outputs[1]).max() > 1e-3 * spread
    np.testing.assert_allclose(outputs[2], outputs[1], atol=1e-5 * spread)  # an open size is padded as a known one


def test_drop_path_is_an_option_that_weights_do_not_need(tmp_path):
    row = small("nasnet_a_6_768")
    options = {"spec": row, "input_shape": (8, 8, 3)}
    plain = kerascnn.create_model("nasnet_a_6_768", **options)
    plain.save_weights(tmp_path / "plain.weights.h5")
    model = kerascnn.create_model(
        "nasnet_a_6_768", drop_path_rate=0.4, weights=tmp_path / "plain.weights.h5", **options
    )
    assert model.count_params() == plain.count_params() + 1
    rates = sorted({layer.rate for layer in model.layers if isinstance(layer, ScheduledDropPath)})
    assert rates == pytest.approx([0.4 * i / 5 for i in range(1, 6)])  # of five cells
    x = np.ones((1, 8, 8, 3), "float32")
    np.testing.assert_allclose(model(x), plain(x), rtol=1e-5)
    model.save_weights(tmp_path / "with.weights.h5")
    kerascnn.create_model("nasnet_a_6_768", weights=tmp_path / "with.weights.h5", **options)
    with pytest.raises(InputError, match="drop_path_rate must be at least 0"):
        kerascnn.create_model("nasnet_a_6_768", drop_path_rate=1.0, **options)
    assert not any(isinstance(layer, Progress) for layer in plain.layers)


def test_an_auxiliary_head_needs_a_size():
    with pytest.raises(InputError, match="auxiliary_heads needs a map of known size"):
        kerascnn.create_model(
            "nasnet_a_6_768", spec=small("nasnet_a_6_768"), input_shape=(None, None, 3), auxiliary_heads=True
        )


def test_auxiliary_parameters():
    """1,631,498 more than without it (TF-slim's head on 384 channels of 16x16 maps)."""
    with keras.StatelessScope(initialize_variables=False):
        image = keras.Input((16, 16, 384))
        model = keras.Model(image, kerascnn.cells.auxiliary_head(image, 10, None, NASNET))
        assert sum(np.prod(w.shape) for w in model.trainable_weights) == 1_631_498
