"""From a network here to the state dict of its peer: names back, layouts back, and what is refused."""

import json
import os

import keras
import numpy as np
import pytest
import recorded
from safetensors import safe_open
from safetensors.numpy import load_file

import kerascnn
from kerascnn import layers, weights
from kerascnn._errors import InputError
from kerascnn.applications import _registry
from kerascnn.weights.inverse_names import inverse
from kerascnn.weights.torch_layout import MODULE_ENTRIES, to_keras, to_torch

STATES = recorded.read()
UMASK = os.umask(0)
os.umask(UMASK)
RULES = (
    (r"conv(\d)", "stem{1}_conv"),
    (r"layer(\d)\.(\d+)\.(?:se|se_module)\.fc1", "stage{1+1}_block{2+1}_reduce"),
    (r"layer(\d)\.(\d+)\.((?:conv|bn)\d)", "stage{1+1}_block{2+1}_{3}"),
    (r"x([ab]?)\.(conv|bn)[_.](\d)", "x{1}_{2}{3}"),
    (r"block(\d)([a-c])", "part{1}_{2+1}"),
    (r"old|new\.old", "head"),
    (r"any\.\d+", "any"),
    (r"(new)\.(?:deep\.)?(\w+)", "{1}_{2}"),
    (r"pixels", ""),
)


@pytest.mark.parametrize(
    "layer, names",
    [
        ("stem1_conv", ["conv1"]),
        ("stage2_block11_bn2", ["layer1.10.bn2"]),
        ("stage2_block1_reduce", ["layer1.0.se.fc1", "layer1.0.se_module.fc1"]),
        ("stage0_block1_bn2", []),  # there is no layer -1
        ("xa_conv3", ["xa.conv.3", "xa.conv_3"]),
        ("x_bn3", ["x.bn.3", "x.bn_3"]),
        ("part2_3", ["block2c"]),
        ("part2_4", []),
        ("head", ["old", "new.old"]),
        ("any", []),  # the pattern does not say which
        ("new_old", ["new.deep.old"]),  # new.old is the head
        ("new_other", ["new.other", "new.deep.other"]),
        ("stage2", []),
    ],
)
def test_names_back(layer, names):
    assert inverse(RULES, layer) == names
    assert all(weights.translate(RULES, name) == layer for name in names)


def test_a_pattern_without_an_end_is_refused():
    with pytest.raises(InputError, match="pairs of parentheses"):
        inverse([("a)b", "x")], "x")


@pytest.mark.parametrize("key", STATES)
def test_the_first_name_is_the_librarys(key):
    """Without building a network: the layers are those that the recorded names translate to."""
    name, library = key.split()
    rules = _registry.library_names(name)[library]
    for entry in STATES[key]["shapes"]:
        module, _, last = entry.rpartition(".")
        own = entry if last not in MODULE_ENTRIES and weights.translate(rules, entry) else module
        layer = weights.translate(rules, own)
        assert layer and inverse(rules, layer)[0] == own


QUICK = ("squeezenet1_1 torchvision", "mobilenetv1_100 timm", "vit_tiny_patch16_224 timm", "mobilenetv2_100 timm")


@pytest.mark.parametrize("key", [pytest.param(key, marks=[pytest.mark.after] * (key not in QUICK)) for key in STATES])
def test_names_and_shapes_are_those_of_the_library(key, tmp_path):
    name, library = key.split()
    options = {"auxiliary_heads": True} if name == "googlenet" else {}
    model = kerascnn.create_model(name, **options)
    path = tmp_path / "model.safetensors"
    weights.save_torch(model, path, library)
    with safe_open(path, "np") as file:
        assert file.metadata() == {"format": "pt"}
    assert path.stat().st_mode & 0o777 == 0o666 & ~UMASK
    state = load_file(path)
    floats = {entry: list(value.shape) for entry, value in state.items() if value.dtype == "float32"}
    assert floats == STATES[key]["shapes"]
    others = {entry: value for entry, value in state.items() if value.dtype != "float32"}
    assert all(entry.endswith(".num_batches_tracked") and value == 0 for entry, value in others.items())
    assert {e.rpartition(".")[0] for e in others} == {e.rpartition(".")[0] for e in state if "running_mean" in e}
    before = model.get_weights()
    again = kerascnn.create_model(name, weights=path, **options)
    for ours, theirs in zip(again.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_other_classes_channels_and_names(tmp_path):
    options = {"classes": 5, "input_shape": (32, 32, 1)}
    model = kerascnn.create_model("squeezenet1_1", **options)
    weights.save_torch(model, tmp_path / "a.safetensors", library="torchvision")
    state = load_file(tmp_path / "a.safetensors")
    assert state["classifier.1.weight"].shape == (5, 512, 1, 1) and state["features.0.weight"].shape == (64, 1, 3, 3)
    model.save(tmp_path / "model.keras")
    weights.save_torch(keras.models.load_model(tmp_path / "model.keras"), tmp_path / "b.safetensors", "torchvision")
    for name, value in load_file(tmp_path / "b.safetensors").items():
        np.testing.assert_array_equal(value, state[name])
    other = kerascnn.create_model("squeezenet1_1", name="mine", **options)
    with pytest.raises(InputError, match="must be called after its network, .* Received: mine"):
        weights.save_torch(other, tmp_path / "c.safetensors", "torchvision")
    names = _registry.library_names("squeezenet1_1")
    weights.save_torch(other, tmp_path / "c.safetensors", "torchvision", names=names)
    assert load_file(tmp_path / "c.safetensors").keys() == state.keys()
    backbone = kerascnn.create_model("squeezenet1_1", include_top=False)
    weights.save_torch(backbone, tmp_path / "d.safetensors", "torchvision")
    assert load_file(tmp_path / "d.safetensors").keys() == state.keys() - {"classifier.1.weight", "classifier.1.bias"}


def test_low_rank_adapters_are_merged(tmp_path):
    model = kerascnn.create_model("mobilenetv2_035", classes=5, input_shape=(32, 32, 3))
    head = model.get_layer("head")
    kernel = np.array(head.kernel)
    head.enable_lora(2)
    head.lora_kernel_b.assign(np.ones(head.lora_kernel_b.shape))
    weights.save_torch(model, tmp_path / "a.safetensors")
    product = np.array(head.lora_kernel_a) @ np.array(head.lora_kernel_b)
    np.testing.assert_allclose(
        load_file(tmp_path / "a.safetensors")["classifier.weight"].T, kernel + product, rtol=1e-5
    )


def test_half_precision_becomes_float32(tmp_path):
    keras.config.set_dtype_policy("bfloat16")
    try:
        model = kerascnn.create_model("squeezenet1_1", classes=2)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("head").kernel.dtype == "bfloat16"
    weights.save_torch(model, tmp_path / "a.safetensors", "torchvision")
    assert {str(value.dtype) for value in load_file(tmp_path / "a.safetensors").values()} == {"float32"}


def test_what_cannot_be_written(tmp_path):
    model = kerascnn.create_model("lenet5")
    path = tmp_path / "a.safetensors"
    with pytest.raises(InputError, match="names of lenet5 are known for none. Received: library='timm'"):
        weights.save_torch(model, path)
    net = kerascnn.create_model("squeezenet1_1", classes=2)
    with pytest.raises(InputError, match="known for torchvision. Received: library='timm'"):
        weights.save_torch(net, path)
    for library in ("keras", "", None, 5):
        with pytest.raises(InputError, match="known for torchvision"):
            weights.save_torch(net, path, library)
    with pytest.raises(InputError, match=r"must end in \.safetensors"):
        weights.save_torch(net, tmp_path / "a.pth", "torchvision")
    with pytest.raises(InputError, match="cannot be written"):
        weights.save_torch(net, tmp_path / "absent" / "a.safetensors", "torchvision")
    with pytest.raises(InputError, match="must be a built keras.Model"):
        weights.save_torch("resnet18", path)
    with pytest.raises(InputError, match="with weights must have a name in timm. Received: c1, c3, c5, f6"):
        weights.save_torch(model, path, names={"timm": ((r"x", "head"),)})
    assert not list(tmp_path.iterdir())


def test_the_index_of_windows():
    """torchvision keeps what follows from the window: of each pair of places, the row of the table."""
    layer, inputs = layers.WindowAttention(2, 2), keras.Input((4, 4, 12))
    keras.Model(inputs, layer(inputs))
    values = {"relative_position_bias_table": np.zeros((9, 2), "float32")}
    entries = dict(to_torch(layer, values, "attn", "torchvision"))
    assert list(entries) == ["attn.relative_position_bias_table", "attn.relative_position_index"]
    index = entries["attn.relative_position_index"]
    assert index.dtype == "int64" and index.tolist() == [4, 3, 1, 0, 5, 4, 2, 1, 7, 6, 4, 3, 8, 7, 5, 4]
    assert list(dict(to_torch(layer, values, "attn", "timm"))) == ["attn.relative_position_bias_table"]


@pytest.mark.parametrize("grid, shape", [((2, 3), (1, 7, 4)), ((2, 2), (1, 4, 4))])
def test_positions_and_tokens(grid, shape):
    prefix = shape[1] - grid[0] * grid[1]
    inputs = keras.Input((shape[1], 4))
    position, token = layers.PositionEmbedding(grid, prefix, name="pos"), layers.ClassToken()
    keras.Model(inputs, token(position(inputs)))
    made = position.to_torch(position.get_weights())[""]
    assert made.shape == shape
    for ours, theirs in zip(position.from_torch({"pos": made}), position.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert token.to_torch(token.get_weights())[""].shape == (1, 1, 4)


def test_positions_of_a_map():
    position, inputs = layers.PositionEmbedding((2, 3)), keras.Input((2, 3, 4))
    keras.Model(inputs, position(inputs))
    made = position.to_torch(position.get_weights())[""]
    assert made.shape == (1, 4, 2, 3)
    np.testing.assert_array_equal(position.from_torch({"pos": made})[0], position.get_weights()[0])


def _net(layer, shape):
    inputs = keras.Input(shape)
    keras.Model(inputs, layer(inputs))
    return layer


@pytest.mark.parametrize("other_rank", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda: _net(keras.layers.Dense(3), (5,)),
        lambda: _net(layers.Conv2D(3, 1), (4, 4, 6)),
        lambda: _net(layers.Conv2D(4, 3, groups=2), (4, 4, 6)),
        lambda: _net(layers.DepthwiseConv2D(3, depth_multiplier=2), (4, 4, 6)),
        lambda: _net(keras.layers.LayerNormalization(), (4, 6)),
        lambda: _net(layers.BatchNormalization(), (4, 4, 6)),
        lambda: keras.Sequential([keras.Input((2, 3, 4)), keras.layers.Flatten(), keras.layers.Dense(3)]).layers[-1],
    ],
)
def test_layouts_there_and_back(make, other_rank):
    layer = make()
    kernel = getattr(layer, "kernel", None)
    if other_rank and (kernel is None or layer.name.startswith(("depthwise", "conv2d")) and kernel.shape[0] > 1):
        return
    rng = np.random.default_rng(0)
    values = {variable.name: rng.normal(size=variable.shape).astype("float32") for variable in layer.weights}
    entries = {name.removeprefix("m."): array for name, array in to_torch(layer, values, "m", "timm", other_rank)}
    if kernel is not None and hasattr(layer, "units" if other_rank else "filters"):
        assert entries["weight"].ndim == 4
    for ours, theirs in zip(to_keras(layer, entries), values.values(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_every_library_of_the_peers_can_be_written():
    """docs/weights.md says so: for each row of the parity tests the rules are there."""
    path = recorded.PATH.with_name("peers.json")
    for key in json.loads(path.read_text(encoding="utf-8")):
        name, library = key.split()
        assert library in _registry.library_names(name)
