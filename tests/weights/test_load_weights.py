"""weights=: .weights.h5 and .keras files, adapted heads and first convolutions, and files that do not fit."""

import shutil
import zipfile

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn._errors import InputError
from kerascnn.weights import read_keras_file

SHAPE = (16, 16, 3)


def build(**options):
    return kerascnn.create_model("resnet20", **{"input_shape": SHAPE, **options})


def randomized(seed=1, **options):
    model = build(**options)
    rng = np.random.default_rng(seed)
    model.set_weights([rng.uniform(0.1, 1.0, value.shape) for value in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Both formats of one model, written once, and its weights by layer."""
    folder = tmp_path_factory.mktemp("weights")
    model = randomized()
    model.save_weights(folder / "model.weights.h5")
    model.save(folder / "model.keras")
    return folder, {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def same(left, right):
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize("file", ["model.weights.h5", "model.keras"])
def test_both_formats_are_read_completely(file, folder):
    path, written = folder
    model = build(weights=path / file)
    assert {layer.name for layer in model.layers if layer.weights} == set(written)
    assert all(same(model.get_layer(name).get_weights(), values) for name, values in written.items())


def test_reading_gives_arrays_by_layer_name(folder):
    path, written = folder
    found = read_keras_file(path / "model.keras")
    assert found.keys() == written.keys()
    assert same(found["stem_bn"], written["stem_bn"])


def test_optimizer_state_is_left_alone(tmp_path):
    model = randomized()
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "trained.keras")
    assert same(build(weights=str(tmp_path / "trained.keras")).get_weights(), model.get_weights())


def test_random_state_of_dropout_is_no_weight(tmp_path):
    model = randomized(dropout_rate=0.5)
    model.save_weights(tmp_path / "dropout.weights.h5")
    plain = build(weights=tmp_path / "dropout.weights.h5")
    assert same(plain.get_layer("head").get_weights(), model.get_layer("head").get_weights())
    again = build(weights=tmp_path / "dropout.weights.h5", dropout_rate=0.1)
    assert same(again.get_layer("head").get_weights(), plain.get_layer("head").get_weights())


def test_other_classes_drop_the_head(folder):
    path, written = folder
    model = build(weights=path / "model.weights.h5", classes=7)
    assert model.output_shape == (None, 7)
    np.testing.assert_array_equal(model.get_layer("head").get_weights()[1], 0)
    assert all(same(model.get_layer(name).get_weights(), written[name]) for name in written if name != "head")


@pytest.mark.parametrize("options", [{"include_top": False}, {"classes": 0}])
def test_without_a_head_the_files_is_ignored(options, folder):
    path, written = folder
    model = build(weights=path / "model.weights.h5", **options)
    assert same(model.get_layer("stage3_block3_bn2").get_weights(), written["stage3_block3_bn2"])


@pytest.mark.parametrize("channels", [1, 4])
def test_other_channels_adapt_the_first_convolution(channels, folder):
    """A gray image gives the same result, however often its channel is repeated."""
    path, _ = folder
    gray = np.random.default_rng(0).uniform(size=(2, 16, 16, 1)).astype("float32")
    full = build(weights=path / "model.weights.h5", classifier_activation=None)
    other = build(weights=path / "model.weights.h5", classifier_activation=None, input_shape=(16, 16, channels))
    expected = full(np.repeat(gray, 3, axis=-1))
    np.testing.assert_allclose(other(np.repeat(gray, channels, axis=-1)), expected, rtol=1e-3)


def test_misfit_lists_all_and_changes_nothing(tmp_path):
    deeper = kerascnn.create_model("resnet32", input_shape=SHAPE)
    deeper.save_weights(tmp_path / "deeper.weights.h5")
    with pytest.raises(InputError) as error:
        build(weights=tmp_path / "deeper.weights.h5")
    assert "do not fit resnet20: unexpected: " in str(error.value)
    assert "stage1_block4_conv1" in str(error.value) and " more. Received: " in str(error.value)
    assert "\n" not in str(error.value)

    build().save_weights(tmp_path / "own.weights.h5")
    with pytest.raises(InputError, match="do not fit resnet32: missing: stage1_block4_conv1, .* more. Received"):
        kerascnn.create_model("resnet32", input_shape=SHAPE, weights=tmp_path / "own.weights.h5")


def test_misshaped_layers_are_named_with_both_shapes(tmp_path):
    x = keras.Input(SHAPE)
    y = keras.layers.Conv2D(8, 3, use_bias=False, name="stem_conv")(x)
    y = keras.layers.Dense(4, name="extra")(keras.layers.GlobalAveragePooling2D()(y))
    keras.Model(x, y).save_weights(tmp_path / "foreign.weights.h5")
    with pytest.raises(InputError) as error:
        build(weights=tmp_path / "foreign.weights.h5")
    message = str(error.value)
    assert "missing: stem_bn, " in message
    assert "unexpected: extra" in message
    assert "mis-shaped: stem_conv 3x3x3x8 instead of 3x3x3x16" in message


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="no such weights file. Received: .*absent.keras"):
        build(weights=tmp_path / "absent.keras")


def test_other_formats_are_refused(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"PK")
    with pytest.raises(InputError, match=r"read from .weights.h5, .keras, .* files. Received: .*model.onnx"):
        build(weights=path)


@pytest.mark.parametrize("file", ["model.weights.h5", "model.keras"])
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.98])
def test_truncated_files(file, keep, folder, tmp_path):
    data = (folder[0] / file).read_bytes()
    path = tmp_path / file
    path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(InputError, match="cannot be read; it is truncated, damaged or of another format") as error:
        build(weights=path)
    assert "\n" not in str(error.value)


def test_a_zip_without_weights(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(InputError, match="cannot be read"):
        build(weights=tmp_path / "other.keras")


def test_a_damaged_byte_in_an_archive(folder, tmp_path):
    path = shutil.copy(folder[0] / "model.keras", tmp_path)
    with open(path, "r+b") as file:
        file.seek(200_000)
        file.write(bytes(reversed(file.read(64))) + b"damage")
    with pytest.raises(InputError, match="cannot be read"):
        build(weights=path)


def test_all_that_depends_on_the_number_of_classes_is_the_head(tmp_path):
    """ResNet in ResNet ends in a convolution and a batch norm of as many channels as classes."""
    options = {"input_shape": (16, 16, 3)}
    trained = kerascnn.create_model("rir", **options)
    trained.save_weights(tmp_path / "rir.weights.h5")
    tuned = kerascnn.create_model("rir", classes=3, weights=tmp_path / "rir.weights.h5", **options)
    backbone = kerascnn.create_model("rir", include_top=False, weights=tmp_path / "rir.weights.h5", **options)
    for model in (tuned, backbone):
        first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
        np.testing.assert_array_equal(first.kernel, trained.get_layer(first.name).kernel)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(value, tmp_path):
    diverged = randomized()
    values = diverged.get_layer("stage2_block1_bn1").get_weights()
    values[1][3] = value
    diverged.get_layer("stage2_block1_bn1").set_weights(values)
    diverged.save_weights(tmp_path / "diverged.weights.h5")
    with pytest.raises(InputError, match="must be finite; stage2_block1_bn1 has NaN or infinity. Received: .*diverged"):
        build(weights=tmp_path / "diverged.weights.h5")


def test_a_model_keeps_its_weights_when_their_file_changes(tmp_path):
    written = randomized()
    written.save_weights(tmp_path / "own.weights.h5")
    model = build(weights=tmp_path / "own.weights.h5")
    with open(tmp_path / "own.weights.h5", "r+b") as file:
        file.write(bytes(file.seek(0, 2) - file.seek(0)))
    assert same(model.get_weights(), written.get_weights())
