"""Rows of one's own, and networks that are built upon others."""

import dataclasses

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn._errors import InputError
from kerascnn.applications import _registry


def test_another_row_builds_another_network():
    row = dataclasses.replace(kerascnn.model_info("resnet18").spec, depths=(1, 1, 1, 1))
    shallow = kerascnn.create_model("resnet18", spec=row, classes=10, input_shape=(32, 32, 3))
    assert any("block1" in layer.name for layer in shallow.layers)
    assert not any("block2" in layer.name for layer in shallow.layers)
    same = kerascnn.create_model("resnet18", spec=kerascnn.model_info("resnet18").spec)
    assert same.count_params() == kerascnn.create_model("resnet18").count_params()
    assert kerascnn.create_model("resnet18", spec=row, features_only=True).feature_strides == [4, 8, 16, 32]


def test_a_row_of_another_family_is_refused():
    row = kerascnn.model_info("vgg11").spec
    with pytest.raises(InputError, match="spec of resnet18 must be a Spec. Received: Spec.depths="):
        kerascnn.create_model("resnet18", spec=row)


def test_a_backbone_has_the_stages_of_the_network():
    image = keras.Input((64, 64, 3))
    built = keras.Model(image, _registry.backbone("resnet18", image, output_stride=8))
    stages = kerascnn.create_model("resnet18", features_only=True, output_stride=8, input_shape=(64, 64, 3))
    built.set_weights(stages.get_weights())
    x = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype("float32")
    for ours, theirs in zip(built(x), stages(x), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(InputError, match="no network of that name"):
        _registry.backbone("resnet_18", image)
