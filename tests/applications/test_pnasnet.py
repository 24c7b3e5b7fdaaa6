"""PNASNet: its one cell stands for both, and odd halves."""

import dataclasses

import keras
import numpy as np

import kerascnn
from kerascnn.applications.pnasnet import PNASNET_5
from kerascnn.cells import NASNET


def test_the_cell_with_stride_takes_the_place_of_a_reduction_cell():
    assert PNASNET_5.normal == PNASNET_5.reduce
    row = dataclasses.replace(kerascnn.model_info("pnasnet_5_cifar").spec, repeats=1, filters=4, stem_filters=8)
    model = kerascnn.create_model("pnasnet_5_cifar", spec=row, input_shape=(8, 8, 3), features_only=True)
    assert [shape[1:] for shape in model.output_shape] == [(8, 8, 20), (4, 4, 40), (2, 2, 80)]
    cells = {layer.name.partition("_n")[0] for layer in model.layers if "_n1a_conv1" in layer.name}
    assert cells == {"stage1_cell1", "stage2_cell1", "stage3_cell1"}
    assert model.get_layer("stage2_cell1_n1a_depthwise1").strides == (2, 2)
    assert model.get_layer("stage2_cell1_n4a_depthwise1").strides == (1, 1)  # reads a node


def test_mobile_as_in_the_present_release():
    row = dataclasses.replace(kerascnn.model_info("pnasnet_5_mobile").spec, style=NASNET)
    with keras.StatelessScope(initialize_variables=False):
        model = kerascnn.create_model("pnasnet_5_mobile", spec=row)
    assert sum(np.prod(w.shape) for w in model.trainable_weights) == 5_064_487
