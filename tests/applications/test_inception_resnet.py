"""Inception-ResNet: scales, the last module, facenet's head."""

import functools

import keras
import numpy as np
import pytest

from kerascnn import applications


@functools.cache
def small(name):
    return applications.create_model(name, input_shape=(75, 75, 3))


@pytest.mark.parametrize("name, depths, plain", [("v1", (5, 10, 5), False), ("v1_facenet", (5, 10, 6), True)])
def test_modules_and_scales(name, depths, plain):
    model = small(f"inception_resnet_{name}")
    for kind, depth, scale in zip(("block35", "block17", "block8"), depths, (0.17, 0.10, 0.20), strict=True):
        own = [layer for layer in model.layers if layer.name.startswith(kind)]
        scales = [layer.scale for layer in own if layer.name.endswith("_scale")]
        assert scales == [scale] * (depth - (plain and kind == "block8"))
        ups = [layer for layer in own if layer.name.endswith("_up")]
        assert len(ups) == depth and all(up.use_bias for up in ups)
    last = model.get_layer(f"block8_{depths[2]}_add")
    assert isinstance(model.layers[model.layers.index(last) + 1], keras.layers.Activation) != plain


def test_the_scale_is_of_the_branch_alone():
    model = small("inception_resnet_v1")
    add = model.get_layer("block8_5_add")
    probe = keras.Model(model.input, [*add.input, add.output, model.get_layer("block8_5_up").output])
    x, branch, total, up = probe(np.random.default_rng(0).normal(size=(1, 75, 75, 3)).astype("float32"))
    np.testing.assert_allclose(branch, 0.2 * up, rtol=1e-5)
    np.testing.assert_allclose(total, x + branch, rtol=1e-5)


def test_facenets_head():
    model = small("inception_resnet_v1_facenet")
    names = [layer.name for layer in model.layers]
    assert names[-5:] == ["head_pool", "head_dropout", "embedding", "embedding_bn", "head"]
    assert model.get_layer("head_dropout").rate == 0.6
    assert model.get_layer("embedding").output.shape == (None, 512) and not model.get_layer("embedding").use_bias
