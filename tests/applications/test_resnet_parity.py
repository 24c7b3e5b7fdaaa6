"""ResNet v1, v1.5, v2 against keras.applications, torchvision and timm: random weights and statistics, copied."""

import re

import keras
import numpy as np
import parity
import pytest

import kerascnn

SLOW = pytest.mark.slow


def keras_name_v1(name):
    if name.startswith("conv1_"):
        return name.replace("conv1", "stem")
    if name == "predictions":
        return "head"
    stage, block, number, kind = re.fullmatch(r"conv(\d)_block(\d+)_(\d)_(conv|bn)", name).groups()
    return f"stage{int(stage) - 1}_block{block}_" + (f"{kind}{number}" if number != "0" else f"shortcut_{kind}")


def keras_name_v2(name):
    """Batch norms count from the one before the first convolution."""
    if name == "post_bn":
        return "final_bn"
    if name.endswith("_preact_bn"):
        return re.sub(r"conv(\d)_block(\d+)_.*", lambda m: f"stage{int(m[1]) - 1}_block{m[2]}_bn1", name)
    name = keras_name_v1(name)
    return re.sub(r"bn(\d)$", lambda m: f"bn{int(m[1]) + 1}", name)


@pytest.mark.parametrize(
    "name, peer, rename",
    [
        ("resnet50_v1", "ResNet50", keras_name_v1),
        pytest.param("resnet101_v1", "ResNet101", keras_name_v1, marks=SLOW),
        pytest.param("resnet152_v1", "ResNet152", keras_name_v1, marks=SLOW),
        ("resnetv2_50_keras", "ResNet50V2", keras_name_v2),
        pytest.param("resnetv2_101_keras", "ResNet101V2", keras_name_v2, marks=SLOW),
        pytest.param("resnetv2_152_keras", "ResNet152V2", keras_name_v2, marks=SLOW),
    ],
)
def test_equals_keras_applications(name, peer, rename):
    theirs = getattr(keras.applications, peer)(weights=None, classifier_activation=None)
    parity.randomize(theirs)
    ours = kerascnn.create_model(name, classifier_activation=None)
    parity.copy_layers(theirs, ours, rename)
    x = np.random.default_rng(1).normal(size=(2, 224, 224, 3)).astype("float32")
    parity.check(name, f"`keras.applications.{peer}`, Keras {keras.__version__}", ours(x), theirs(x))


def timm_name_v2(module):
    """timm's first unit holds the batch norm that ours has in the stem."""
    fixed = {"stem.conv": "stem_conv", "stages.0.blocks.0.norm1": "stem_bn", "norm": "final_bn", "head.fc": "head"}
    if module in fixed:
        return fixed[module]
    stage, block, rest = re.fullmatch(r"stages\.(\d)\.blocks\.(\d+)\.(.+)", module).groups()
    rest = "shortcut_conv" if rest == "downsample.conv" else rest.replace("norm", "bn")
    return f"stage{int(stage) + 1}_block{int(block) + 1}_{rest}"


@pytest.mark.peers
@pytest.mark.parametrize(
    "name, library, rename",
    [
        ("resnet50", "torchvision", parity.torch_resnet_name),
        pytest.param("resnet50", "timm", parity.torch_resnet_name, marks=SLOW),
        pytest.param("resnet18", "torchvision", parity.torch_resnet_name, marks=SLOW),
        ("resnetv2_50", "timm", timm_name_v2),
        pytest.param("resnetv2_101", "timm", timm_name_v2, marks=SLOW),
    ],
)
def test_equals_torch(name, library, rename, tmp_path):
    arrays = parity.peer(library, name, tmp_path, size=224)
    ours = kerascnn.create_model(name, classifier_activation=None)
    parity.copy_state(arrays, ours, rename)
    parity.check(name, str(arrays["versions"]), ours(parity.images(arrays)), arrays["output"])
