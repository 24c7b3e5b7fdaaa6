"""What sets the deformable ResNets apart: which layers move, and that they start as plain ones."""

import dataclasses

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn.layers import DeformableConv2D
from kerascnn.weights import copy_weights


def shapes_only(name, **options):
    with keras.StatelessScope(initialize_variables=False):
        return kerascnn.create_model(name, **options)


def deformable(model):
    return [layer for layer in model.layers if isinstance(layer, DeformableConv2D)]


@pytest.mark.parametrize("name", ["deformable_resnet50", "deformable_resnet101", "deeplabv3_deformable_resnet50"])
def test_the_authors_three_layers(name):
    """Each 3x3 of the last stage: 82,962 weights more, dilated by 2 at stride 16 behind offsets that are not."""
    found = deformable(shapes_only(name, include_top=False, output_stride=16))
    assert [layer.name for layer in found] == [f"stage4_block{b}_conv2" for b in (1, 2, 3)]
    for layer in found:
        assert np.prod(layer.offset_kernel.shape) + layer.offset_bias.shape[0] == 82_962
        assert (layer.strides, layer.dilation_rate, layer.offset_dilation_rate) == ((1, 1), (2, 2), (1, 1))
        assert not layer.modulated and not layer.use_bias and layer.offset_groups == 1


def test_version_2_has_masks_in_three_stages():
    row = dataclasses.replace(kerascnn.model_info("deformable_resnet50").spec, deformed=3, modulated=True)
    found = deformable(shapes_only("deformable_resnet50", spec=row))
    assert len(found) == 4 + 6 + 3
    assert all(layer.modulated and layer.offset_bias.shape == (27,) for layer in found)


@pytest.mark.parametrize("output_stride", [16, 32])
def test_zero_offsets_give_the_plain_network(output_stride):
    name, options = "deformable_resnet18", {"output_stride": output_stride, "input_shape": (64, 64, 3)}
    row = dataclasses.replace(kerascnn.model_info(name).spec, deformed=0)
    plain = kerascnn.create_model(name, spec=row, classifier_activation=None, **options)
    model = kerascnn.create_model(name, classifier_activation=None, **options)
    assert not deformable(plain) and len(deformable(model)) == 4
    assert len(copy_weights(plain, model)) == len(plain.weights)
    x = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype("float32")
    np.testing.assert_allclose(model(x), plain(x), rtol=1e-4, atol=1e-5)
    if output_stride == 32:
        resnet = kerascnn.create_model("resnet18", classifier_activation=None, input_shape=(64, 64, 3))
        copy_weights(resnet, model)
        np.testing.assert_allclose(model(x), resnet(x), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_bottlenecks_stride_first_as_in_version_1():
    resnet = kerascnn.create_model("resnet50_v1", classifier_activation=None, input_shape=(64, 64, 3))
    model = kerascnn.create_model("deformable_resnet50", classifier_activation=None, input_shape=(64, 64, 3))
    assert len(copy_weights(resnet, model)) == len(resnet.weights)
    x = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype("float32")
    np.testing.assert_allclose(model(x), resnet(x), rtol=1e-4, atol=1e-5)


def test_offsets_learn_from_the_first_step():
    model = kerascnn.create_model("deformable_resnet18", classes=3, input_shape=(64, 64, 3))
    rng = np.random.default_rng(0)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(rng.normal(size=(2, 64, 64, 3)), np.array([0, 2]), verbose=0)
    assert all(np.any(layer.offset_kernel) for layer in deformable(model))
