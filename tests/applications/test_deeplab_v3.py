"""What sets DeepLab apart: rates, multi-grid, strides, the auxiliary head beside torchvision's, FCN on ResNet."""

import dataclasses

import keras
import numpy as np
import parity
import pytest

import kerascnn
from kerascnn._errors import InputError


def shapes_only(name, **options):
    with keras.StatelessScope(initialize_variables=False):
        return kerascnn.create_model(name, input_shape=(64, 64, 3), **options)


def rates(model):
    return [model.get_layer(f"aspp_conv{i}").dilation_rate[0] for i in (2, 3, 4)]


@pytest.mark.parametrize("output_stride, expected", [(8, [12, 24, 36]), (16, [6, 12, 18]), (32, [3, 6, 9])])
@pytest.mark.parametrize("name", ["deeplabv3_resnet50", "deeplabv3_resnet50_2017"])
def test_rates_follow_the_output_stride(name, output_stride, expected):
    model = shapes_only(name, output_stride=output_stride)
    assert rates(model) == expected
    assert model.output_shape == (None, 64, 64, 21)
    features = shapes_only(name, output_stride=output_stride, features_only=True)
    assert features.feature_strides[-1] == output_stride


def last_stage(model):
    return [model.get_layer(f"stage4_block{b}_conv2").dilation_rate[0] for b in (1, 2, 3)]


def test_multi_grid():
    """The paper dilates every block of the last stage; torchvision's first block still has the rate before."""
    assert last_stage(shapes_only("deeplabv3_resnet50_2017")) == [2, 4, 8]
    assert last_stage(shapes_only("deeplabv3_resnet50_2017", output_stride=8)) == [4, 8, 16]
    assert last_stage(shapes_only("deeplabv3_resnet50")) == [2, 4, 4]


@pytest.mark.parametrize("output_stride", [4, 24])
def test_other_strides_are_refused(output_stride):
    with pytest.raises(InputError, match="8, 16 or 32"):
        kerascnn.create_model("deeplabv3_resnet18", output_stride=output_stride)


def test_other_backbones():
    row = dataclasses.replace(kerascnn.model_info("deeplabv3_resnet18").spec, backbone="resnetv2_18")
    assert shapes_only("deeplabv3_resnet18", spec=row).output_shape == (None, 64, 64, 21)
    for backbone, message in (("lenet5", "must have the option"), ("nothing", "no network of that name")):
        with pytest.raises(InputError, match=message):
            shapes_only("deeplabv3_resnet18", spec=dataclasses.replace(row, backbone=backbone))


def test_without_the_head_there_is_the_backbone():
    model = kerascnn.create_model("deeplabv3_resnet18", include_top=False, pooling="avg")
    assert model.output_shape == (None, 512)
    assert not any(layer.name.startswith("aspp") for layer in model.layers)


def test_the_pooled_branch_sees_the_whole_image():
    model = kerascnn.create_model("deeplabv3_resnet18", classifier_activation=None, input_shape=(160, 160, 3))
    x = np.random.default_rng(0).normal(size=(1, 160, 160, 3)).astype("float32")
    probe = keras.Model(model.input, model.get_layer("aspp_pool_resize").output)
    before = probe(x).numpy()
    x[0, 0, 0] += 100
    after = probe(x).numpy()
    assert (before != after).any(axis=-1).all() and (after == after[:, :1, :1]).all()


def test_parameters_with_the_auxiliary_head():
    """torchvision's num_params."""
    for name, parameters in (("deeplabv3_resnet50", 42_004_074), ("fcn_resnet50", 35_322_218)):
        model = shapes_only(name, auxiliary_heads=True)
        assert sum(np.prod(v.shape) for v in model.trainable_weights) == parameters


@pytest.mark.peers
@pytest.mark.slow
@pytest.mark.parametrize("name", ["deeplabv3_resnet50", "fcn_resnet50"])
def test_auxiliary_head_equals_torchvisions(name, tmp_path):
    arrays = parity.peer("torchvision", name, tmp_path, size=65)
    path = parity.save_state(arrays, tmp_path / "peer.safetensors")
    options = {"classifier_activation": None, "auxiliary_heads": True, "input_shape": (65, 65, 3)}
    model = kerascnn.create_model(name, weights=path, **options)
    outputs = model.training_graph(parity.images(arrays), training=False)
    for key, ours in zip(("output", "auxiliary"), outputs, strict=True):
        theirs = arrays[key].transpose(0, 2, 3, 1)
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())
