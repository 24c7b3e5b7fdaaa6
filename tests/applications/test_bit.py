"""BiT: norms, strides, widths and the head, on networks of a few units."""

import keras
import numpy as np
import pytest

from kerascnn import layers
from kerascnn.applications import bit

SMALL = bit.Spec((2, 1, 1, 1), widen=2, widths=(32, 32, 32, 32))


@pytest.mark.parametrize("output_stride, sizes", [(32, [16, 8, 4, 2]), (8, [16, 8, 8, 8])])
def test_stage_outputs(output_stride, sizes):
    stages = bit.features(keras.Input((64, 64, 3)), SMALL, output_stride=output_stride)
    assert [stage.shape[1:] for stage in stages] == [(size, size, 256) for size in sizes]


def test_every_convolution_is_standardized_and_no_batch_is_needed():
    inputs = keras.Input((64, 64, 3))
    model = keras.Model(inputs, bit.features(inputs, SMALL))
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert all(type(layer) is layers.WeightStandardizedConv2D and not layer.use_bias for layer in convolutions)
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.GroupNormalization)]
    assert {layer.groups for layer in norms} == {32} and len(norms) == 3 * 5 + 1
    strides = {layer.name for layer in convolutions if layer.strides == (2, 2)}
    stages = (2, 3, 4)
    assert strides == {"stem_conv"} | {f"stage{s}_block1_{c}" for s in stages for c in ("conv2", "shortcut_conv")}


def test_the_head_starts_at_zero():
    inputs = keras.Input((4, 4, 8))
    model = keras.Model(inputs, bit.head(inputs, 5, "softmax"))
    np.testing.assert_allclose(model(np.ones((1, 4, 4, 8), "float32")), np.full((1, 5), 0.2), rtol=1e-6)
