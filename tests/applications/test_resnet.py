"""What sets the ResNets apart: where they stride, how they cut short, dilation, drop path; parameters of the papers."""

import math

import keras
import numpy as np
import pytest

import kerascnn

SMALL = (32, 32, 3)


def trainable(model):
    return sum(math.prod(variable.shape) for variable in model.trainable_weights)


@pytest.mark.parametrize(
    "name, parameters, with_statistics",
    [
        ("resnet18", 11_689_512, 11_699_112),  # torchvision
        ("resnet34_a", 21_623_848, 21_639_080),  # that of the plain network: option A has no parameters
        ("resnetv2_18", 11_687_720, 11_695_528),
        ("resnet20", 269_722, 271_098),  # 0.27M in the paper
        ("preresnet110", 1_730_522, 1_738_618),  # pytorchcv
    ],
)
def test_parameters(name, parameters, with_statistics):
    model = kerascnn.create_model(name)
    assert (trainable(model), model.count_params()) == (parameters, with_statistics)


def strides(model, block):
    return [
        model.get_layer(f"{block}_{layer}").strides[0]
        for layer in ("conv1", "conv2", "conv3", "shortcut_conv")
        if f"{block}_{layer}" in {each.name for each in model.layers}
    ]


@pytest.mark.parametrize(
    "name, block, expected",
    [
        ("resnet50", "stage2_block1", [1, 2, 1, 2]),
        ("resnet50_v1", "stage2_block1", [2, 1, 1, 2]),
        ("resnet18", "stage2_block1", [2, 1, 2]),
        ("resnetv2_50", "stage2_block1", [1, 2, 1, 2]),
        ("resnetv2_50_keras", "stage2_block1", [1, 1, 1, 1]),
        ("resnetv2_50_keras", "stage2_block4", [1, 2, 1]),
        ("preresnet164", "stage2_block1", [2, 1, 1, 2]),
        ("resnet20", "stage2_block1", [2, 1]),
    ],
)
def test_where_a_stage_strides(name, block, expected, without_values):
    with without_values:
        model = kerascnn.create_model(name, include_top=False)
    assert strides(model, block) == expected


@pytest.mark.parametrize("output_stride, expected", [(8, [4, 8, 8, 8]), (16, [4, 8, 16, 16]), (32, [4, 8, 16, 32])])
@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnetv2_18"])
def test_output_stride(name, output_stride, expected):
    model = kerascnn.create_model(name, features_only=True, output_stride=output_stride)
    assert model.feature_strides == expected
    assert [64 // stage.shape[1] for stage in model(np.ones((1, 64, 64, 3), "float32"))] == expected


def test_dilation_follows_deeplab(without_values):
    """Stride 8: the first block of a dilated stage keeps the dilation of the stage before it."""
    with without_values:
        model = kerascnn.create_model("resnet50", include_top=False, output_stride=8)
    blocks = ("stage2_block1", "stage3_block1", "stage3_block2", "stage4_block1", "stage4_block2")
    assert [model.get_layer(f"{block}_conv2").dilation_rate[0] for block in blocks] == [1, 1, 2, 2, 4]


def test_dilated_network_samples_the_same_features_more_densely():
    """Every second pixel of the dilated last stage's input grid gives what the strided network computes there."""
    plain = kerascnn.create_model("resnet18", features_only=True)
    dilated = kerascnn.create_model("resnet18", features_only=True, output_stride=16)
    dilated.set_weights(plain.get_weights())
    x = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype("float32")
    np.testing.assert_allclose(dilated(x)[3][:, ::2, ::2], plain(x)[3], rtol=1e-4, atol=1e-4)


def test_option_a_keeps_the_features_and_appends_zeros():
    model = kerascnn.create_model("resnet20", input_shape=(16, 16, 3))
    cut = model.get_layer("stage2_block1_shortcut")
    probe = keras.Model(model.input, [cut.input, cut.output])
    before, after = probe(np.random.default_rng(0).normal(size=(1, 16, 16, 3)).astype("float32"))
    np.testing.assert_array_equal(after[..., :16], before[:, ::2, ::2])
    np.testing.assert_array_equal(after[..., 16:], 0)
    assert after.shape == (1, 8, 8, 32)


def test_plain_networks_have_no_shortcuts():
    for name in ("plain18", "plain20"):
        model = kerascnn.create_model(name, include_top=False)
        assert not any(isinstance(layer, keras.layers.Add) for layer in model.layers)


def test_drop_path_grows_linearly_and_only_acts_in_training():
    model = kerascnn.create_model("resnet20", drop_path_rate=0.4, input_shape=(16, 16, 3))
    rates = [layer.rate for layer in model.layers if "drop_path" in layer.name]
    np.testing.assert_allclose(rates, np.linspace(0, 0.4, 9)[1:])  # none where the rate is 0
    plain = kerascnn.create_model("resnet20", input_shape=(16, 16, 3))
    plain.set_weights([variable.numpy() for variable in model.weights if "seed" not in variable.path])
    x = np.random.default_rng(0).normal(size=(4, 16, 16, 3)).astype("float32")
    np.testing.assert_allclose(model(x), plain(x), rtol=1e-5)
    assert np.abs(model(x, training=True).numpy() - plain(x, training=True).numpy()).max() > 1e-3


def test_initial_weights_are_he_normal_over_the_fan_out():
    kernel = kerascnn.create_model("resnet18", include_top=False).get_layer("stage4_block2_conv2").get_weights()[0]
    assert kernel.std() == pytest.approx(math.sqrt(2 / (9 * 512)), rel=0.01)
    assert np.abs(kernel).max() > 4 * kernel.std()  # a normal, not a truncated one


def test_batch_norm_has_torchs_constants():
    norm = kerascnn.create_model("resnet20").get_layer("stem_bn")
    assert (norm.epsilon, norm.momentum) == (1e-5, 0.9)


@pytest.mark.parametrize("name", ["resnet20", "resnetv2_18"])
def test_keras_file(name, tmp_path):
    model = kerascnn.create_model(name, input_shape=SMALL, drop_path_rate=0.1)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(2, *SMALL)).astype("float32")
    np.testing.assert_array_equal(loaded(x), model(x))


@pytest.mark.slow
@pytest.mark.parametrize("name, parameters", [("resnet1202", 19_421_274), ("preresnet1001", 10_327_706)])
def test_networks_deeper_than_the_recursion_limit(name, parameters, tmp_path):
    model = kerascnn.create_model(name)
    assert trainable(model) == parameters
    model.save(tmp_path / "deep.keras")
    loaded = keras.models.load_model(tmp_path / "deep.keras")
    assert loaded.count_params() == model.count_params()
