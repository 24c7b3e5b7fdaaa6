"""What all builders share, on networks that build in no time."""

import dataclasses
import inspect

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn import applications
from kerascnn._errors import InputError
from kerascnn.applications import ResNet18, ResNet20, feature_strides


@pytest.fixture
def image():
    return np.random.default_rng(0).uniform(size=(2, 16, 16, 3)).astype("float32")


def test_signature_is_that_of_keras_applications():
    ours = inspect.signature(ResNet18).parameters
    theirs = inspect.signature(keras.applications.ResNet50).parameters
    assert list(ours)[: len(theirs)] == list(theirs)
    for name in set(theirs) - {"weights", "name"}:
        assert ours[name].default == theirs[name].default
    assert ours["weights"].default is None
    assert ours["name"].default == "resnet18"
    assert all(p.kind is p.KEYWORD_ONLY for name, p in ours.items() if name not in theirs)
    assert ours["output_stride"].default == 32


def test_docstring_names_every_argument():
    for name in kerascnn.list_models():
        builder = getattr(applications, kerascnn.model_info(name).builder)
        for argument in inspect.signature(builder).parameters:
            assert f"        {argument}: " in builder.__doc__
        for section in ("Returns:", "Raises:", "Source:"):
            assert section in builder.__doc__


def test_arguments_by_position_as_in_keras(image):
    model = ResNet20(False, None, None, (16, 16, 3), "avg")
    assert model.output_shape == (None, 64)


def test_default_shapes():
    assert ResNet18().input_shape == (None, 224, 224, 3)
    assert ResNet20().input_shape == (None, 32, 32, 3)
    assert ResNet20().output_shape == (None, 10)
    assert ResNet20(include_top=False).input_shape == (None, None, None, 3)
    assert ResNet20(include_top=False).output_shape == (None, None, None, 64)


def test_head_takes_any_size(image):
    model = ResNet20(input_shape=(None, None, 3))
    np.testing.assert_allclose(model(image).numpy().sum(axis=1), 1, rtol=1e-5)
    assert model(image[:, :9, :13]).shape == (2, 10)


@pytest.mark.parametrize("pooling, reduce", [("avg", np.mean), ("max", np.max)])
def test_pooling(pooling, reduce, image):
    model = ResNet20(include_top=False, pooling=pooling)
    stage3 = keras.Model(model.input, model.get_layer("stage3").output)(image)
    np.testing.assert_allclose(model(image), reduce(stage3.numpy(), axis=(1, 2)), rtol=1e-5, atol=1e-6)


def test_classifier_activation(image):
    logits = ResNet20(classifier_activation=None, input_shape=(16, 16, 3))
    softmax = ResNet20(input_shape=(16, 16, 3))
    softmax.set_weights(logits.get_weights())
    expected = np.exp(logits(image))
    np.testing.assert_allclose(softmax(image), expected / expected.sum(axis=1, keepdims=True), rtol=1e-4)


def test_input_tensor_joins_the_graph(image):
    inputs = keras.Input((16, 16, 3))
    model = ResNet20(input_tensor=keras.layers.Rescaling(0.5)(inputs))
    assert model.inputs[0] is inputs
    plain = ResNet20(input_shape=(16, 16, 3))
    plain.set_weights(model.get_weights())
    np.testing.assert_allclose(model(image), plain(0.5 * image), rtol=1e-5)


@pytest.mark.parametrize("call", [lambda: ResNet20(classes=0), lambda: ResNet20(include_top=False, classes=0)])
def test_no_classes_gives_the_stages(call):
    assert [shape[-1] for shape in call().output_shape] == [16, 32, 64]


@pytest.mark.parametrize("size", [None, 65])
def test_feature_strides_whatever_the_size_and_after_reload(size, tmp_path):
    model = kerascnn.create_model("resnet18", features_only=True, input_shape=(size, size, 3))
    assert model.feature_strides == [4, 8, 16, 32]
    model.save(tmp_path / "features.keras")
    loaded = keras.models.load_model(tmp_path / "features.keras")
    assert feature_strides(loaded) == [4, 8, 16, 32]
    x = np.ones((1, 64 if size is None else size, 64 if size is None else size, 3), "float32")
    for ours, theirs in zip(model(x), loaded(x), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(ValueError, match="incompatible|invalid"):
        loaded(np.ones((1, 64, 64, 5), "float32"))


def test_the_last_stage_is_what_the_head_sees(image):
    full = ResNet20(input_shape=(16, 16, 3), classifier_activation=None)
    last = keras.Model(full.input, full.get_layer("stage3").output)(image).numpy().mean(axis=(1, 2))
    kernel, bias = full.get_layer("head").get_weights()
    np.testing.assert_allclose(full(image), last @ kernel + bias, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_logits_are_float32_under_mixed_precision(policy, image):
    keras.config.set_dtype_policy(policy)
    model = ResNet20(input_shape=(16, 16, 3), classifier_activation=None)
    assert model.get_layer("stage3").output.dtype == policy.removeprefix("mixed_")
    assert model(image).numpy().dtype == np.float32


def test_float64_stays_float64(image):
    keras.config.set_dtype_policy("float64")
    assert ResNet20(input_shape=(16, 16, 3))(image).numpy().dtype == np.float64


def test_dropout_is_before_the_head():
    model = ResNet20(dropout_rate=0.25)
    assert model.get_layer("head_dropout").rate == 0.25
    assert "head_dropout" not in [layer.name for layer in ResNet20().layers]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"input_shape": (31, 64, 3)}, r"at least 32 by 32.*Received: \(31, 64, 3\)"),
        ({"input_shape": (64, 64)}, r"\(height, width, channels\). Received: \(64, 64\)"),
        ({"input_shape": (64, 64, None)}, r"channels last. Received: \(64, 64, None\)"),
        ({"input_shape": (64, 64, 0)}, "channels last"),
        ({"input_shape": (64.0, 64, 3)}, "at least 32"),
        ({"input_shape": 64}, "Received: 64"),
        ({"pooling": "mean"}, "pooling must be None.*Received: 'mean'"),
        ({"classes": -1}, "whole number.*Received: -1"),
        ({"classes": 2.5}, "whole number.*Received: 2.5"),
        ({"output_stride": 4}, "8, 16 or 32. Received: 4"),
        ({"drop_path_rate": 1.0}, "less than 1. Received: 1.0"),
        ({"dropout_rate": -0.1}, "at least 0.*Received: -0.1"),
        ({"weights": "imagenette"}, "tags of resnet18: imagenet, .*Received: 'imagenette'"),
        ({"alpha": 1}, "arguments of ResNet18 are include_top.*Received: alpha"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        ResNet18(**arguments)


@pytest.mark.parametrize("options", [{"include_top": False}, {"classes": 0}])
def test_auxiliary_heads_without_the_head_are_refused(options):
    with pytest.raises(InputError, match="auxiliary_heads=True needs the head. Received: include_top="):
        applications.GoogLeNetCIFAR10(auxiliary_heads=True, **options)


def test_an_option_of_another_family_is_refused():
    with pytest.raises(InputError, match="arguments of ResNet20 are .*Received: output_stride"):
        ResNet20(output_stride=16)


def test_input_tensor_is_checked_like_a_shape():
    with pytest.raises(InputError, match="at least 8 by 8"):
        ResNet20(input_tensor=keras.Input((4, 4, 3)))
    with pytest.raises(InputError, match="must be .batch, height, width, channels."):
        ResNet20(input_tensor=keras.Input((16, 3)))


def test_defaults_of_a_builder_are_options_of_its_family():
    from kerascnn.applications.resnet import _family

    with pytest.raises(InputError, match="options of resnet are .*Received: .'gamma'."):
        _family("New", "resnet18", gamma=1)


def test_preprocess_input_uses_the_constants_of_the_row():
    """Black, mid gray and white, against the constants written out."""
    pixels = np.array([[[[0, 0, 0], [51, 102, 153], [255, 255, 255]]]], "uint8")
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    ours = applications.resnet.preprocess_input(pixels)
    assert isinstance(ours, np.ndarray) and ours.dtype == np.float32
    np.testing.assert_allclose(ours, (np.array([[[[0] * 3, [0.2, 0.4, 0.6], [1] * 3]]]) - mean) / std, rtol=1e-5)
    as_tensor = applications.resnet.preprocess_input(keras.ops.convert_to_tensor(pixels))
    assert keras.ops.is_tensor(as_tensor)
    np.testing.assert_allclose(as_tensor, ours, rtol=1e-6)
    keras_form = applications.resnet_v2_keras.preprocess_input(pixels)
    np.testing.assert_allclose(keras_form, keras.applications.resnet_v2.preprocess_input(pixels), atol=1e-6)
    gray = applications.resnet.preprocess_input(pixels[..., :1])
    np.testing.assert_allclose(gray[0, 0, 2, 0], (1 - mean.mean()) / std.mean(), rtol=1e-5)


def test_decode_predictions_names_the_best_classes():
    predictions = np.array([[0.1, 0.6, 0.3], [0.5, 0.25, 0.25]], "float32")
    best = applications.resnet_cifar.decode_predictions(predictions, top=2, class_names=("cat", "dog", "owl"))
    assert [[name for name, _ in row] for row in best] == [["dog", "owl"], ["cat", "dog"]]
    assert best[0][0][1] == pytest.approx(0.6)


@pytest.mark.parametrize(
    "shape, names, message",
    [
        ((2, 10), None, "1000 ImageNet classes. Received: 10 classes"),
        ((2, 3), ("a", "b"), "one name per class, 3. Received: 2 names"),
        ((3,), ("a", "b", "c"), r"\[batch, classes\]. Received: shape \(3,\)"),
    ],
)
def test_decode_predictions_refuses(shape, names, message):
    with pytest.raises(InputError, match=message):
        applications.resnet.decode_predictions(np.ones(shape, "float32"), class_names=names)


def test_specs_are_frozen_dataclasses():
    for name in kerascnn.list_models():
        spec = kerascnn.model_info(name).spec
        assert dataclasses.is_dataclass(spec) and type(spec).__dataclass_params__.frozen
        assert len(dataclasses.fields(spec)) <= 12
