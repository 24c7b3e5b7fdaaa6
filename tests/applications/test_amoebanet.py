"""AmoebaNet: bottlenecks, cells with inputs in the concat, and the published multiply-adds."""

import dataclasses

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn import analysis
from kerascnn.applications import amoebanet


@pytest.mark.parametrize("letter", "ABCD")
def test_widths_of_all_cells(letter):
    """As wide as their concats; an input of a reduction cell is halved there."""
    genotype = getattr(amoebanet, f"AMOEBANET_{letter}")
    row = kerascnn.model_info("amoebanet_b_6_36").spec
    row = dataclasses.replace(row, genotype=genotype, repeats=1, filters=4, stem_filters=6)
    model = kerascnn.create_model("amoebanet_b_6_36", spec=row, input_shape=(8, 8, 3), features_only=True)
    width = len(genotype.normal.concat)
    assert [shape[-1] for shape in model.output_shape] == [4 * width, 8 * width, 16 * width]
    halved = "stage2_cell1_c1_out_conv1" in {layer.name for layer in model.layers}
    assert halved == ("c1" in genotype.reduce.concat)


def test_full_convolutions_are_bottlenecked():
    row = dataclasses.replace(kerascnn.model_info("amoebanet_b_6_36").spec, repeats=1)
    with keras.StatelessScope(initialize_variables=False):
        model = kerascnn.create_model("amoebanet_b_6_36", spec=row)
    assert model.get_layer("stage2_cell1_n2b_conv1").kernel.shape == (3, 3, 18, 18)
    assert model.get_layer("stage2_cell1_n2b_after_conv").kernel.shape == (1, 1, 18, 72)


@pytest.mark.slow  # a thousand layers
def test_the_paper_counted_multiply_adds_at_299_pixels():
    with keras.StatelessScope(initialize_variables=False):
        model = kerascnn.create_model("amoebanet_a_6_448", input_shape=(299, 299, 3))
    assert analysis.count(model, (299, 299, 3)).macs == pytest.approx(104e9, rel=0.005)


def test_gpipe_with_its_auxiliary_head():
    """9,257,704 more parameters, on 4,096 channels of 30x30 maps."""
    with keras.StatelessScope(initialize_variables=False):
        image = keras.Input((30, 30, 4096))
        model = keras.Model(image, kerascnn.cells.auxiliary_head(image, 1000, None, kerascnn.cells.AMOEBANET))
        assert sum(np.prod(w.shape) for w in model.trainable_weights) == 9_257_704
