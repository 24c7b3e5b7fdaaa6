"""Names of the original releases, written down here from their code: each layer has its scope, each scope its layer."""

import checkpoints_by_hand
import keras
import numpy as np
import pytest

import kerascnn
from kerascnn._errors import InputError
from kerascnn.applications import _registry
from kerascnn.weights import load_weights


def norm(scope, ours):
    return [(scope, ours), (f"{scope}/BatchNorm", ours.replace("conv", "bn"))]


def mobilenet_v1():
    found = norm("MobilenetV1/Conv2d_0", "stem_conv") + [("MobilenetV1/Logits/Conv2d_1c_1x1", "head")]
    blocks = [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2), *((4, i) for i in range(1, 7)), (5, 1), (5, 2)]
    for number, (stage, block) in enumerate(blocks, 1):
        found += norm(f"MobilenetV1/Conv2d_{number}_depthwise", f"stage{stage}_block{block}_conv1")
        found += norm(f"MobilenetV1/Conv2d_{number}_pointwise", f"stage{stage}_block{block}_conv2")
    return found


def mobilenet_v2():
    found = norm("MobilenetV2/Conv", "stem_conv") + norm("MobilenetV2/Conv_1", "final_conv")
    found += [("MobilenetV2/Logits/Conv2d_1c_1x1", "head")]
    blocks = [(1, 1), *((s, b) for s, count in ((2, 2), (3, 3), (4, 7), (5, 4)) for b in range(1, count + 1))]
    for number, (stage, block) in enumerate(blocks):
        scope = f"MobilenetV2/expanded_conv_{number}" if number else "MobilenetV2/expanded_conv"
        for i, part in enumerate(("expand", "depthwise", "project"), 1):
            if number or i > 1:
                found += norm(f"{scope}/{part}", f"stage{stage}_block{block}_conv{i}")
    return found


def efficientnet(name, rows, gates=True, normalization="tpu_batch_normalization"):
    def numbered(kind, count):
        return [kind, *(f"{kind}_{i}" for i in range(1, count))]

    found = [(f"{name}/stem/conv2d", "stem_conv"), (f"{name}/stem/{normalization}", "stem_bn")]
    found += [(f"{name}/head/conv2d", "final_conv"), (f"{name}/head/{normalization}", "final_bn")]
    found += [(f"{name}/head/dense", "head")]
    for number, (stage, block) in enumerate(rows):
        scope, ours = f"{name}/blocks_{number}", f"stage{stage}_block{block}"
        first = stage == 1
        convs, norms = numbered("conv2d", 2), numbered(normalization, 3)
        if not first:
            found += [(f"{scope}/{convs.pop(0)}", f"{ours}_conv1"), (f"{scope}/{norms.pop(0)}", f"{ours}_bn1")]
        found += [(f"{scope}/depthwise_conv2d", f"{ours}_conv2"), (f"{scope}/{norms.pop(0)}", f"{ours}_bn2")]
        found += [(f"{scope}/{convs.pop(0)}", f"{ours}_conv3"), (f"{scope}/{norms.pop(0)}", f"{ours}_bn3")]
        if gates:
            found += [(f"{scope}/se/conv2d", f"{ours}_se_reduce"), (f"{scope}/se/conv2d_1", f"{ours}_se_expand")]
    return found


B0 = [(s, b) for s, count in ((1, 1), (2, 2), (3, 2), (4, 6), (5, 5)) for b in range(1, count + 1)]


def inception_v3():
    found = []
    stem = (("1a_3x3", "stem_conv1"), ("2a_3x3", "stem_conv2"), ("2b_3x3", "stem_conv3"), ("3b_1x1", "stem2_conv1"),
            ("4a_3x3", "stem2_conv2"))  # fmt: skip
    for scope, ours in stem:
        found += norm(f"InceptionV3/Conv2d_{scope}", ours)
    a = {"branch1x1": ["0a_1x1"], "branch5x5": ["0a_1x1", "0b_5x5"], "branch3x3dbl": ["0a_1x1", "0b_3x3", "0c_3x3"]}
    b = {"branch1x1": ["0a_1x1"], "branch7x7": ["0a_1x1", "0b_1x7", "0c_7x1"],
         "branch7x7dbl": ["0a_1x1", "0b_7x1", "0c_1x7", "0d_7x1", "0e_1x7"], "pool": ["0b_1x1"]}  # fmt: skip
    modules = {"5b": {**a, "pool": ["0b_1x1"]}, "5d": {**a, "pool": ["0b_1x1"]},
               "6a": {"branch3x3": ["1a_1x1"], "branch3x3dbl": ["0a_1x1", "0b_3x3", "1a_1x1"]},
               **{f"6{letter}": b for letter in "bcde"}}  # fmt: skip
    modules["7a"] = {"branch3x3": ["0a_1x1", "1a_3x3"], "branch7x7x3": ["0a_1x1", "0b_1x7", "0c_7x1", "1a_3x3"]}
    for module, branches in modules.items():
        for number, (branch, scopes) in enumerate(branches.items()):
            for i, scope in enumerate(scopes, 1):
                found += norm(
                    f"InceptionV3/Mixed_{module}/Branch_{number}/Conv2d_{scope}", f"mixed{module}_{branch}_conv{i}"
                )
    rest = {"branch1x1": ["Conv2d_0a_1x1"], "branch5x5": ["Conv2d_0b_1x1", "Conv_1_0c_5x5"],
            "branch3x3dbl": ["Conv2d_0a_1x1", "Conv2d_0b_3x3", "Conv2d_0c_3x3"], "pool": ["Conv2d_0b_1x1"]}  # fmt: skip
    for number, (branch, scopes) in enumerate(rest.items()):
        for i, scope in enumerate(scopes, 1):
            found += norm(f"InceptionV3/Mixed_5c/Branch_{number}/{scope}", f"mixed5c_{branch}_conv{i}")
    for module, last in (("7b", "0b_3x1"), ("7c", "0c_3x1")):
        scopes = {"Branch_0/Conv2d_0a_1x1": "branch1x1_conv1", "Branch_1/Conv2d_0a_1x1": "branch3x3_conv1",
                  "Branch_1/Conv2d_0b_1x3": "branch3x3_conv2a", f"Branch_1/Conv2d_{last}": "branch3x3_conv2b",
                  "Branch_2/Conv2d_0a_1x1": "branch3x3dbl_conv1", "Branch_2/Conv2d_0b_3x3": "branch3x3dbl_conv2",
                  "Branch_2/Conv2d_0c_1x3": "branch3x3dbl_conv3a", "Branch_2/Conv2d_0d_3x1": "branch3x3dbl_conv3b",
                  "Branch_3/Conv2d_0b_1x1": "pool_conv1"}  # fmt: skip
        for scope, ours in scopes.items():
            found += norm(f"InceptionV3/Mixed_{module}/{scope}", f"mixed{module}_{ours}")
    return [*found, ("InceptionV3/Logits/Conv2d_1c_1x1", "head")]


def inception_resnet_v2():
    top, found = "InceptionResnetV2", []
    stem = {"1a_3x3": "stem_conv1", "2a_3x3": "stem_conv2", "2b_3x3": "stem_conv3", "3b_1x1": "stem2_conv1"}
    for scope, ours in {**stem, "4a_3x3": "stem2_conv2", "7b_1x1": "final_conv"}.items():
        found += norm(f"{top}/Conv2d_{scope}", ours)
    row = ["Conv2d_0a_1x1", "Conv2d_0b_1x7", "Conv2d_0c_7x1"]
    square = ["Conv2d_0a_1x1", "Conv2d_0b_3x3", "Conv2d_0c_3x3"]
    first, last, short = ["Conv2d_1x1"], "Conv2d_1a_3x3", ["Conv2d_0a_1x1", "Conv2d_0b_1x3", "Conv2d_0c_3x1"]
    modules = {
        "Mixed_5b": ("mixed5b", [first, ["Conv2d_0a_1x1", "Conv2d_0b_5x5"], square, ["Conv2d_0b_1x1"]]),
        "Mixed_6a": ("mixed6a", [["Conv2d_1a_3x3"], [*square[:2], "Conv2d_1a_3x3"]]),
        "Mixed_7a": ("mixed7a", [[square[0], last], [square[0], last], [*square[:2], last]]),
        **{f"Repeat/block35_{i}": (f"block35_{i}", [first, square[:2], square]) for i in range(1, 11)},
        **{f"Repeat_1/block17_{i}": (f"block17_{i}", [first, row]) for i in range(1, 21)},
        **{f"Repeat_2/block8_{i}": (f"block8_{i}", [first, short]) for i in range(1, 10)},
        "Block8": ("block8_10", [first, short]),
    }
    for scope, (ours, branches) in modules.items():
        for number, steps in enumerate(branches):
            branch = "pool" if number == 3 else f"branch{number}"
            for i, step in enumerate(steps, 1):
                found += norm(f"{top}/{scope}/Branch_{number}/{step}", f"{ours}_{branch}_conv{i}")
        if "lock" in scope:
            found += [(f"{top}/{scope}/Conv2d_1x1", f"{ours}_up")]
    return [*found, (f"{top}/Logits/Logits", "head")]


def big_transfer():
    found = [("resnet/root_block/standardized_conv2d", "stem_conv"), ("resnet/group_norm", "final_norm")]
    found += [("resnet/head/conv2d", "head")]
    for stage, depth in enumerate((3, 4, 6, 3), 1):
        for unit in range(1, depth + 1):
            scope, ours = f"resnet/block{stage}/unit{unit:02d}", f"stage{stage}_block{unit}"
            for i, letter in enumerate("abc", 1):
                found += [(f"{scope}/{letter}/standardized_conv2d", f"{ours}_conv{i}")]
                found += [(f"{scope}/{letter}/group_norm", f"{ours}_norm{i}")]
        found += [(f"resnet/block{stage}/unit01/a/proj/standardized_conv2d", f"stage{stage}_block1_shortcut_conv")]
    return found


def mixer():
    found = [("stem", "patch_embedding"), ("pre_head_layer_norm", "final_norm"), ("head", "head")]
    for block in range(8):
        scope, ours = f"MixerBlock_{block}", f"block{block + 1}"
        for i in (0, 1):
            found += [(f"{scope}/LayerNorm_{i}", f"{ours}_norm{i + 1}")]
            found += [(f"{scope}/token_mixing/Dense_{i}", f"{ours}_tokens{i + 1}")]
            found += [(f"{scope}/channel_mixing/Dense_{i}", f"{ours}_channels{i + 1}")]
    return found


RELEASES = {
    "tf_mobilenetv1_025_128": mobilenet_v1,
    "tf_mobilenetv2_035_96": mobilenet_v2,
    "tf_efficientnet_b0": lambda: efficientnet("efficientnet-b0", B0),
    "tf_efficientnet_lite0": lambda: efficientnet(
        "efficientnet-lite0", B0, gates=False, normalization="batch_normalization"
    ),
    "inception_v3_keras": inception_v3,
    "inception_resnet_v2_keras": inception_resnet_v2,
    "mixer_s32_224": mixer,
    "resnetv2_50x1_bit": big_transfer,
}
ARCHIVES = ("mixer_s32_224", "resnetv2_50x1_bit")  # their authors write `.npz` files
JAX = {"gamma": "scale", "beta": "bias"}
SLIM = {"kernel": "weights", "bias": "biases"}


def released(model, scopes, slim=True, background=True):
    """What the release of a model would hold: variables in its own names, the first class the background."""
    values = {}
    for scope, ours in scopes:
        layer = model.get_layer(ours)
        for variable in layer.weights:
            value = np.asarray(variable)
            depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
            entry = SLIM.get(variable.name, variable.name) if slim else variable.name
            if scope.endswith(("LayerNorm_0", "LayerNorm_1", "layer_norm")):
                entry = JAX[variable.name]
            if scope == "resnet/head/conv2d" and variable.name == "kernel":
                value = value[None, None]
            if depthwise and variable.name == "kernel":
                entry = "depthwise_weights" if slim else "depthwise_kernel"
            if ours == "head" and background:
                value = np.concatenate([np.zeros((*value.shape[:-1], 1), "f4"), value], -1)
                value = value[None, None] if value.ndim == 2 and scope != "InceptionResnetV2/Logits/Logits" else value
            values[f"{scope}/{entry}"] = value
    return values


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (i > 0)) for i, name in enumerate(RELEASES)]
)
def test_names_of_the_original_releases(name, tmp_path, caplog):
    """Closed world: every layer has its scope, and every scope its layer."""
    shape = kerascnn.model_info(name).input_shape
    model = kerascnn.create_model(name, input_shape=shape)
    generator = np.random.default_rng(1)
    for layer in model.layers:
        layer.set_weights([generator.normal(size=value.shape).astype("f4") for value in layer.get_weights()])
    scopes, slim = RELEASES[name](), "mobilenet" in name or "inception" in name
    assert sorted(ours for _, ours in scopes) == sorted(layer.name for layer in model.layers if layer.weights)
    values = released(model, scopes, slim, slim)
    if name == "inception_resnet_v2_keras":
        values["InceptionResnetV2/AuxLogits/Conv2d_1b_1x1/BatchNorm/beta"] = np.zeros(128, "f4")
    if name in ARCHIVES:
        path = tmp_path / "model.npz"
        np.savez(path, **values)
    else:
        path = checkpoints_by_hand.save(tmp_path / "model.ckpt", values, 1 if slim else 2)
    expected = {layer.name: layer.get_weights() for layer in model.layers}
    for layer in model.layers:
        layer.set_weights([np.zeros_like(value) for value in layer.get_weights()])
    rules = _registry.builder(name).names["tensorflow"]
    rules = rules(kerascnn.model_info(name).spec) if callable(rules) else rules
    load_weights(model, path, {"tensorflow": rules})
    for layer in model.layers:
        for a, b in zip(layer.get_weights(), expected[layer.name], strict=True):
            np.testing.assert_array_equal(a, b, err_msg=layer.name)
    assert sum("background" in record.getMessage() for record in caplog.records) == slim


def test_weights_takes_a_checkpoint(tmp_path):
    model = kerascnn.create_model("tf_mobilenetv1_025_128", classes=4)
    path = checkpoints_by_hand.save(tmp_path / "mobilenet.ckpt", released(model, mobilenet_v1(), background=False))
    for weights in (path, f"{path}.index"):
        again = kerascnn.create_model("tf_mobilenetv1_025_128", classes=4, weights=weights)
        for a, b in zip(again.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    with pytest.raises(InputError, match="No names of TensorFlow's variables are known for lenet5"):
        kerascnn.create_model("lenet5", weights=path)
