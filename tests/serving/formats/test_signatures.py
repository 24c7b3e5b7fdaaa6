"""The signatures of a SavedModel beside tensors: their numbers, and images that are none."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from serving_nets import NAMES, SHAPE, export_options, small_net

from kerascnn import explain, serving
from kerascnn._errors import InputError
from kerascnn._preprocessing import CIFAR
from kerascnn.data.preprocessing import preprocess_image
from kerascnn.serving.formats import _decoding, _signatures


@pytest.fixture(scope="module")
def signatures(exported):
    return tf.saved_model.load(str(exported[1])).signatures


def picture(*size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, size, dtype="uint8")


def encoded(kind, seed=0):
    encode = {"jpeg": tf.io.encode_jpeg, "png": tf.io.encode_png}[kind]
    return encode(picture(20, 31, 3, seed=seed)).numpy()


GIF = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)


def large_png():
    """A sound beginning that promises 2^32 pixels."""
    return _decoding.STAND_IN[:16] + np.array([2**16, 2**16], ">u4").tobytes() + _decoding.STAND_IN[24:]


@pytest.mark.parametrize(
    "contents, fault",
    [
        (b"", _decoding.DAMAGED),
        (b"\0" * 100, _decoding.DAMAGED),
        (b"<html>not found</html>", _decoding.DAMAGED),
        (b"\xff\xd8\xff not a picture", _decoding.DAMAGED),
        (encoded("jpeg")[:-2], _decoding.DAMAGED),
        (encoded("jpeg")[:200], _decoding.DAMAGED),
        (encoded("png")[:-12], _decoding.DAMAGED),
        (b"GIF", _decoding.DAMAGED),
        (b"BM", _decoding.DAMAGED),
        (b"RIFF\xff\xff\0\0WEBPVP8 ", _decoding.DAMAGED),
        (large_png(), _decoding.TOO_LARGE),
        (encoded("jpeg"), ""),
        (encoded("jpeg") + b"behind the end", ""),
        (encoded("png"), ""),
        (GIF, ""),
        (_decoding.STAND_IN, ""),
    ],
)
def test_what_is_seen_from_outside(contents, fault):
    sound = encoded("png")
    found = _decoding.faults(tf.constant([sound, contents, sound])).numpy()
    assert [text.decode() for text in found] == ["", fault, ""]
    if not fault:
        tf.io.decode_image(contents)


def test_no_image_at_all_has_no_fault():
    assert _decoding.faults(tf.constant([], tf.string)).shape == [0]


def test_an_image_that_is_none_gets_an_error_and_the_others_their_answers(signatures):
    sound = [encoded("jpeg", 1), encoded("png", 2)]
    expected = signatures["strict"](image_bytes=tf.constant(sound))
    contents = [b"nothing", sound[0], sound[1][:-20], sound[1]]
    answer = signatures["serving_default"](image_bytes=tf.constant(contents))
    told = [text.decode() for text in answer["errors"].numpy()]
    assert told == [_decoding.DAMAGED, "", _decoding.DAMAGED, ""]
    for name, values in expected.items():
        if values.dtype == tf.float32:
            np.testing.assert_allclose(answer[name].numpy()[[1, 3]], values, rtol=1e-5, atol=1e-7)
        else:
            np.testing.assert_array_equal(answer[name].numpy()[[1, 3]], values)
    for row in (0, 2):
        assert set(answer["classes"].numpy()[row]) == {b""} and set(answer["indices"].numpy()[row]) == {-1}
        assert not answer["probabilities"].numpy()[row].any()
    assert not signatures["features"](image_bytes=tf.constant(contents))["features"].numpy()[[0, 2]].any()
    for name, key in (("strict", "image_bytes"), ("classify", "inputs")):
        values = contents if name == "strict" else [_signatures._example(text) for text in contents]
        with pytest.raises(tf.errors.InvalidArgumentError):
            signatures[name](**{key: tf.constant(values)})


def test_the_loaded_model_says_which_image_is_none(loaded):
    with pytest.raises(InputError, match="must be a whole JPEG.* Received: image 1 of 2"):
        loaded.classify([encoded("png"), b"nothing"])


def test_pixels_of_any_size(exported, signatures):
    model, _ = exported
    for size in ((3, 40, 17), (1, 12, 12), (2, 5, 60)):
        pixels = picture(*size, 3)
        expected = np.asarray(model(preprocess_image(tf.constant(pixels), SHAPE, CIFAR), training=False))
        answer = signatures["pixels"](pixels=tf.constant(pixels))
        order = np.argsort(-expected, axis=-1)[:, :5]
        np.testing.assert_array_equal(answer["indices"], order)
        np.testing.assert_allclose(answer["probabilities"], np.take_along_axis(expected, order, -1), atol=1e-5)
        named = [[NAMES[index].encode() for index in row] for row in order]
        np.testing.assert_array_equal(answer["classes"], named)
    with pytest.raises(tf.errors.InvalidArgumentError, match="must have pixels"):
        signatures["pixels"](pixels=tf.zeros([1, 0, 4, 3], tf.uint8))


def test_features_are_what_the_head_is_given(exported, signatures):
    model, _ = exported
    pixels = picture(20, 31, 3)
    images = preprocess_image(tf.constant(pixels), SHAPE, CIFAR)[None]
    before = keras.Model(model.inputs, model.get_layer("head").input)
    answer = signatures["features"](image_bytes=tf.constant([tf.io.encode_png(pixels).numpy()]))
    np.testing.assert_allclose(answer["features"], before(images, training=False), rtol=1e-4, atol=1e-5)


def test_classify_takes_examples(signatures):
    contents = [encoded("jpeg"), encoded("png")]
    expected = signatures["strict"](image_bytes=tf.constant(contents))
    examples = tf.constant([_signatures._example(text) for text in contents])
    answer = signatures["classify"](inputs=examples)
    assert set(answer) == {"classes", "scores"}  # TensorFlow Serving's Classify refuses any other
    np.testing.assert_array_equal(answer["classes"], expected["classes"])
    np.testing.assert_allclose(answer["scores"], expected["probabilities"], rtol=1e-6)


def test_features_of_a_classifier_without_a_dense_layer():
    inputs = keras.Input(SHAPE)
    maps = keras.layers.Conv2D(4, 3, activation="relu", name="body")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(7, 1, name="last")(maps))
    model = keras.Model(inputs, keras.layers.Activation("softmax")(x))
    images = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype("float32")
    got = keras.Model(inputs, _signatures.pooled(model))(images)
    np.testing.assert_allclose(got, keras.Model(inputs, maps)(images).numpy().mean((1, 2)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_of_the_bits(precision, tmp_path):
    model = small_net()
    folder = serving.export(model, tmp_path, precision=precision, **export_options())
    loaded = serving.load(folder)
    assert loaded.precision == precision
    images = np.random.default_rng(0).normal(size=(4, *SHAPE)).astype("float32")
    got, expected = loaded.predict(images), np.asarray(model(images, training=False))
    assert 0 < np.abs(got - expected).max() < 0.03
    kinds = dict(tf.train.list_variables(str(folder / "variables" / "variables")))
    kernels = tf.train.load_checkpoint(str(folder / "variables" / "variables")).get_variable_to_dtype_map()
    halves = [name for name, kind in kernels.items() if kind == tf.dtypes.as_dtype(precision)]
    assert len(halves) >= 4 and set(halves) <= set(kinds)


@pytest.mark.after
def test_explain_is_grad_cam_of_the_exported_network(tmp_path):
    """The export checks the map against the model in memory, in a fresh process; here against `explain` itself."""
    model = small_net()
    folder = serving.export(model, tmp_path, **export_options(explain=True, check=True))
    report = serving.read_report(folder)
    assert report.fresh_process["explain"] < 1e-4, report
    loaded = tf.saved_model.load(str(folder)).signatures["explain"]
    good, bad = encoded("png"), b"none"
    answer = loaded(image_bytes=tf.constant([good, bad]))
    image = preprocess_image(tf.io.decode_png(good), SHAPE, CIFAR)
    expected = explain.grad_cam(model, image[None].numpy(), target=int(answer["index"][0])).raw
    np.testing.assert_allclose(answer["map"][:1], expected, rtol=1e-3, atol=1e-5)
    assert answer["class"].numpy()[0].decode() in NAMES and answer["errors"].numpy().tolist() == [
        b"",
        _decoding.DAMAGED.encode(),
    ]


def test_explain_is_refused_where_it_cannot_be(tmp_path):
    with pytest.raises(InputError, match="explain is float32 alone. Received: precision=bfloat16"):
        serving.export(small_net(), tmp_path, **export_options(explain=True, precision="bfloat16"))
