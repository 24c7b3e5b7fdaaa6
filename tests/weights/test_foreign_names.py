"""weights= from PyTorch state dicts and from keras.applications: names, layouts, and files that do not fit."""

import keras
import numpy as np
import parity
import pytest
from safetensors.numpy import save_file

import kerascnn
from kerascnn import layers, weights
from kerascnn._errors import InputError
from kerascnn.weights.torch_layout import to_keras

RULES = ((r"conv(\d)", "stem{1}_conv"), (r"layer(\d)\.(\d+)\.(\w+)", "stage{1+1}_block{2-1}_{3}"), (r"fc", "head"))


@pytest.mark.parametrize(
    "name, ours", [("conv1", "stem1_conv"), ("layer0.10.conv2", "stage1_block9_conv2"), ("fc", "head"), ("fc2", None)]
)
def test_the_first_rule_that_matches_names_the_layer(name, ours):
    assert weights.translate(RULES, name) == ours


def test_arithmetic_needs_numbers():
    with pytest.raises(InputError, match="must be a number. Received: '_' in 'x_'"):
        weights.translate(((r"x(.)", "y{1+1}"),), "x_")


def test_letters_are_numbers_and_an_empty_template_leaves_out():
    rules = ((r"block(\d)([a-z])", "stage{1}_block{2+1}"), ("pixels", ""))
    assert weights.translate(rules, "block3c") == "stage3_block3"
    assert weights.translate(rules, "pixels") == ""


def torch_state(seed=0):
    """A state dict of torchvision's ResNet-18 in miniature: the names and layouts, our shapes."""
    model = kerascnn.create_model("resnet18", input_shape=(32, 32, 3), classes=5)
    rng = np.random.default_rng(seed)
    state = {}
    for layer in model.layers:
        name = layer.name.replace("stem_conv", "conv1").replace("stem_bn", "bn1").replace("head", "fc")
        name = name.replace("shortcut_conv", "downsample.0").replace("shortcut_bn", "downsample.1")
        if "_block" in name:
            stage, block, rest = name.split("_", 2)
            name = f"layer{stage[5:]}.{int(block[5:]) - 1}.{rest}"
        entries = {"kernel": "weight", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean"}
        for variable in layer.weights:
            value = rng.normal(size=variable.shape).astype("float32")
            value = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
            entry = {**entries, "moving_variance": "running_var"}.get(variable.name, variable.name)
            state[f"{name}.{entry}"] = np.ascontiguousarray(value)
        if isinstance(layer, keras.layers.BatchNormalization):
            state[f"{name}.num_batches_tracked"] = np.array(7)
    return state


@pytest.fixture(scope="module")
def state():
    return torch_state()


def build(path, **options):
    return kerascnn.create_model("resnet18", **{"input_shape": (32, 32, 3), "classes": 5, "weights": path, **options})


def test_a_state_dict_is_loaded(state, tmp_path):
    save_file(state, tmp_path / "net.safetensors")
    model = build(tmp_path / "net.safetensors")
    kernel = model.get_layer("stage2_block1_conv1").kernel
    np.testing.assert_array_equal(kernel, state["layer2.0.conv1.weight"].transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(model.get_layer("head").kernel, state["fc.weight"].T)
    np.testing.assert_array_equal(model.get_layer("stem_bn").moving_mean, state["bn1.running_mean"])


def test_head_and_first_convolution_are_adapted(state, tmp_path):
    save_file(state, tmp_path / "net.safetensors")
    model = build(tmp_path / "net.safetensors", classes=3, input_shape=(32, 32, 1))
    kernel = model.get_layer("stem_conv").kernel
    np.testing.assert_allclose(
        kernel[..., 0, :], state["conv1.weight"].sum(axis=1).transpose(1, 2, 0), rtol=1e-5, atol=1e-6
    )
    backbone = build(tmp_path / "net.safetensors", include_top=False)
    assert backbone.output_shape[-1] == 512


def test_what_does_not_fit_is_listed(state, tmp_path):
    wrong = {**state, "extra.weight": np.zeros(3, "float32"), "layer1.0.conv1.weight": np.zeros((64, 64, 5, 5), "f4")}
    del wrong["layer3.1.bn2.bias"]
    save_file(wrong, tmp_path / "net.safetensors")
    with pytest.raises(InputError) as refused:
        build(tmp_path / "net.safetensors")
    for part in ("unexpected: extra", "stage1_block1_conv1 5x5x64x64 instead of 3x3x64x64", "stage3_block2_bn2"):
        assert part in str(refused.value)


def test_a_network_without_names_says_so(state, tmp_path):
    save_file(state, tmp_path / "net.safetensors")
    with pytest.raises(InputError, match="No names of PyTorch's modules are known for lenet5"):
        kerascnn.create_model("lenet5", weights=tmp_path / "net.safetensors")


def test_files_that_cannot_be_read_are_refused(state, tmp_path):
    path = tmp_path / "net.safetensors"
    with pytest.raises(InputError, match="no such weights file"):
        build(path)
    save_file(state, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="truncated, damaged"):
        build(path)
    for content in (whole[:5], b"", b"\xff" * 64):
        path.write_bytes(content)
        with pytest.raises(InputError, match="truncated, damaged"):
            weights.read_safetensors(path)


def write_raw(path, kind, content):
    header = f'{{"conv1.weight":{{"dtype":"{kind}","shape":[2],"data_offsets":[0,{len(content)}]}}}}'.encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + content)
    return path


def test_bfloat16_is_widened(tmp_path):
    path = write_raw(tmp_path / "net.safetensors", "BF16", b"\x80\x3f\x00\xc0")
    array = weights.read_safetensors(path)["conv1.weight"]
    assert array.dtype == np.float32 and array.tolist() == [1, -2]


def test_half_precision_is_widened(state, tmp_path):
    save_file(
        {k: v.astype("float16") if v.dtype == "float32" else v for k, v in state.items()}, tmp_path / "n.safetensors"
    )
    kernel = build(tmp_path / "n.safetensors").get_layer("stem_conv").kernel
    assert kernel.dtype == "float32"
    np.testing.assert_allclose(kernel, state["conv1.weight"].transpose(2, 3, 1, 0), rtol=1e-3, atol=1e-4)


def test_a_dense_layer_after_flatten_takes_maps_with_channels_first():
    rng = np.random.default_rng(0)
    matrix, image = rng.normal(size=(4, 2 * 3 * 5)).astype("f4"), rng.normal(size=(1, 2, 3, 5)).astype("f4")
    expected = image.transpose(0, 3, 1, 2).reshape(1, -1) @ matrix.T
    for value in (matrix, matrix.reshape(4, 5, 2, 3)):  # the same as a convolution over the whole map
        layer, inputs = keras.layers.Dense(4, use_bias=False), keras.Input((2, 3, 5))
        model = keras.Model(inputs, layer(keras.layers.Dropout(0.5)(keras.layers.Flatten()(inputs))))
        layer.set_weights(to_keras(layer, {"weight": value}))
        np.testing.assert_allclose(model(image), expected, rtol=1e-5)


@pytest.mark.parametrize("multiplier", [1, 2])
def test_depthwise_kernels(multiplier):
    """Output channel c * multiplier + m of PyTorch reads input channel c."""
    rng = np.random.default_rng(0)
    value = rng.normal(size=(3 * multiplier, 1, 3, 3)).astype("f4")
    image = rng.normal(size=(1, 3, 3, 3)).astype("f4")
    layer = layers.DepthwiseConv2D(3, padding="valid", depth_multiplier=multiplier, use_bias=False)
    inputs = keras.Input((3, 3, 3))
    model = keras.Model(inputs, layer(inputs))
    layer.set_weights(to_keras(layer, {"weight": value}))
    expected = [np.sum(image[0, :, :, c // multiplier] * value[c, 0]) for c in range(3 * multiplier)]
    np.testing.assert_allclose(np.ravel(model(image)), expected, rtol=1e-4)


def test_biases_before_a_batch_norm_go_into_its_mean(tmp_path):
    theirs = keras.applications.ResNet50(weights=None, input_shape=(32, 32, 3), include_top=False)
    theirs.get_layer("conv1_conv").bias.assign(np.full(64, 0.5))
    theirs.save_weights(tmp_path / "net.weights.h5")
    ours = kerascnn.create_model("resnet50_v1", include_top=False, weights=tmp_path / "net.weights.h5")
    np.testing.assert_allclose(ours.get_layer("stem_bn").moving_mean, -0.5)


@pytest.mark.after
def test_automatic_names_may_start_at_any_number(tmp_path):
    """In a process that has built other layers before, Keras names the first convolution conv2d_7 or so."""
    keras.layers.Conv2D(1, 1), keras.layers.BatchNormalization()
    theirs = keras.applications.InceptionV3(weights=None, input_shape=(75, 75, 3), include_top=False)
    first = next(layer for layer in theirs.layers if isinstance(layer, keras.layers.Conv2D))
    assert first.name != "conv2d"
    theirs.save_weights(tmp_path / "net.weights.h5")
    ours = kerascnn.applications.InceptionV3Keras(include_top=False, weights=tmp_path / "net.weights.h5")
    np.testing.assert_array_equal(ours.get_layer("stem_conv1").kernel, first.kernel)


def transformer(grid=(2, 2)):
    """A class token, positions and a projection."""
    x = inputs = keras.Input((grid[0] * grid[1], 3))
    x = layers.PositionEmbedding(grid, 1, name="position")(layers.ClassToken(name="class_token")(x))
    return keras.Model(inputs, keras.layers.Dense(9, name="block1_qkv")(x), name="tiny")


TRANSFORMER_RULES = {
    "x": (("cls_token", "class_token"), (r"enc\.pos", "position"), (r"enc\.(\d)\.(q|attn)", "block{1+1}_qkv"))
}


def transformer_state():
    rng = np.random.default_rng(0)
    shapes = {"cls_token": (1, 1, 3), "enc.pos": (1, 5, 3), "enc.0.attn.in_proj_weight": (9, 3)}
    shapes["enc.0.attn.in_proj_bias"] = (9,)
    return {name: rng.normal(size=shape).astype("float32") for name, shape in shapes.items()}


def test_parameters_without_a_module_and_pytorchs_attention(tmp_path):
    state, model = transformer_state(), transformer()
    save_file({**state, "enc.0.attn.relative_position_index": np.zeros((4, 4), "int64")}, tmp_path / "a.safetensors")
    weights.load_weights(model, tmp_path / "a.safetensors", TRANSFORMER_RULES)
    np.testing.assert_array_equal(model.get_layer("class_token").token, state["cls_token"])
    np.testing.assert_array_equal(model.get_layer("position").positions[1, 0], state["enc.pos"][0, 3])
    np.testing.assert_array_equal(model.get_layer("block1_qkv").kernel, state["enc.0.attn.in_proj_weight"].T)
    larger = transformer((4, 2))
    weights.load_weights(larger, tmp_path / "a.safetensors", TRANSFORMER_RULES)
    np.testing.assert_array_equal(larger.get_layer("position").first, state["enc.pos"][0, :1])


def test_two_modules_with_one_layer_are_refused(tmp_path):
    model = transformer()
    before = [w.copy() for w in model.get_weights()]
    state = {**transformer_state(), "enc.0.q.weight": np.zeros((9, 3), "f4"), "no_module": np.zeros(2, "f4")}
    state["enc.0.attn.weight"] = state.pop("enc.0.attn.in_proj_weight")
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(InputError) as refused:
        weights.load_weights(model, tmp_path / "a.safetensors", TRANSFORMER_RULES)
    for part in ("unexpected: no_module", "mis-shaped: block1_qkv 3x9, 9, 9x3 instead of 3x9, 9"):
        assert part in str(refused.value)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("channels, taken", [(2, [0, 1]), (4, [0, 1, 2, 0]), (7, [0, 1, 2, 0, 1, 2, 0])])
def test_a_kernel_of_pytorch_is_repeated_for_more_channels_as_timm_does(channels, taken, state, tmp_path, caplog):
    save_file(state, tmp_path / "net.safetensors")
    kernel = build(tmp_path / "net.safetensors", input_shape=(32, 32, channels)).get_layer("stem_conv").kernel
    expected = state["conv1.weight"].transpose(2, 3, 1, 0)[:, :, taken] * (3 / channels)
    np.testing.assert_allclose(kernel, expected, rtol=1e-6)
    assert sum("is repeated for" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.peers
@pytest.mark.parametrize("channels", [1, 4])
def test_other_channels_give_what_timm_gives(channels, tmp_path):
    """timm loads the file that it wrote itself for another number of channels."""
    arrays = parity.peer("timm", "resnet18", tmp_path, size=64, channels=channels)
    path = parity.save_state(arrays, tmp_path / "three.safetensors")
    ours = kerascnn.create_model("resnet18", weights=path, input_shape=(64, 64, channels), classifier_activation=None)
    theirs = arrays["output"]
    assert np.abs(ours(parity.images(arrays)) - theirs).max() < 1e-4 * np.abs(theirs).max()
