"""Xception: the two paddings of its pools, and what its separable convolutions are made of."""

import keras
import numpy as np

from kerascnn import applications


def test_pools_differ_on_maps_of_even_size():
    """A 3x3/2 window over 0, 1, ...: TensorFlow's first holds 0 to 2, PyTorch's the padding, 0 and 1."""
    for name, first in [("xception", 2 + 2 * 6), ("legacy_xception", 1 + 1 * 6)]:
        pool = applications.create_model(name, include_top=False).get_layer("stage1_block1_pool")
        pooled = pool(np.arange(36, dtype="float32").reshape(1, 6, 6, 1))
        assert pooled.shape == (1, 3, 3, 1) and float(pooled[0, 0, 0, 0]) == first


def test_nothing_between_depthwise_and_pointwise():
    model = applications.create_model("xception", include_top=False)
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.DepthwiseConv2D)]
    assert len(convolutions) == 34  # and two plain ones in the stem: 36 convolutional layers
    for layer in convolutions:
        (node,) = layer._outbound_nodes
        assert node.operation.kernel_size == (1, 1) and layer.activation is keras.activations.linear
