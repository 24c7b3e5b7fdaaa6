"""Xception: equal to keras.applications, whose separable convolutions are one layer; the two paddings of its pools."""

import re

import keras
import numpy as np
import parity
import pytest

from kerascnn import applications


def layers_here(name):
    """Layer of keras.applications.Xception, built in a fresh session -> our layer, or depthwise and 1x1 layer."""
    shortcut = re.fullmatch(r"(conv2d|batch_normalization)(?:_(\d))?", name)
    if shortcut:
        kind = {"conv2d": "conv", "batch_normalization": "bn"}[shortcut[1]]
        return [f"stage{int(shortcut[2] or 0) + 1}_block1_shortcut_{kind}"]
    if name == "predictions":
        return ["head"]
    block, _, rest = name.partition("_")
    number, i = int(block.removeprefix("block")), rest.removesuffix("_bn")[-1]
    if number == 1:
        return [f"stem_bn{i}" if rest.endswith("bn") else f"stem_conv{i}"]
    stage, place = (number - 1, 1) if number < 4 else (3, number - 3) if number < 13 else (4, 1)
    module = "exit" if number == 14 else f"stage{stage}_block{place}"
    return [f"{module}_bn{i}"] if rest.endswith("bn") else [f"{module}_depthwise{i}", f"{module}_conv{i}"]


@pytest.mark.parametrize("size", [75, pytest.param(150, marks=pytest.mark.slow)])  # odd and even maps in the pools
def test_equals_keras_applications(size):
    shape = (size, size, 3)
    theirs = keras.applications.Xception(weights=None, input_shape=shape, classifier_activation=None)
    parity.randomize(theirs)
    ours = applications.create_model("xception", input_shape=shape, classifier_activation=None)
    copied = set()
    for layer in theirs.layers:
        values = layer.get_weights()
        if values:
            names = layers_here(layer.name)
            parts = [values] if len(names) == 1 else [[value] for value in values]
            for name, part in zip(names, parts, strict=True):
                ours.get_layer(name).set_weights(part)
            copied.update(names)
    assert copied == {layer.name for layer in ours.layers if layer.weights}
    x = np.random.default_rng(1).normal(size=(2, *shape)).astype("float32")
    parity.check("xception", f"`keras.applications.Xception`, Keras {keras.__version__}", ours(x), theirs(x))


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
