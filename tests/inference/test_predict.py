import io
import json
import os
import re
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from kerascnn import serving
from kerascnn._errors import InputError
from kerascnn._preprocessing import CIFAR
from kerascnn.data.preprocessing import preprocess_image, read_image
from kerascnn.inference import Prediction, Predictor, predict
from kerascnn.inference.predict import to_json, to_table

SHAPE, NAMES = (8, 8, 3), ("cat", "dog", "[red]fox")
DESCRIBED = {"class_names": NAMES, "preprocessing": CIFAR, "input_shape": SHAPE}


@pytest.fixture(scope="module")
def model():
    inputs = keras.Input(SHAPE)
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(inputs))
    outputs = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))  # logits
    model = keras.Model([inputs], [outputs])
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.5, 1.5, weight.shape) for weight in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def saved_model(model, tmp_path_factory):
    return serving.export(model, tmp_path_factory.mktemp("exported"), check=False, **DESCRIBED)


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    names = ("b/2.PNG", "b/10.png", "a.jpeg", "notes.txt")
    for name in names:
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (10, 7, 3), dtype="uint8")
        encode = tf.io.encode_png if name[-3:].lower() == "png" else tf.io.encode_jpeg
        path.write_bytes(encode(pixels).numpy())
    return tmp_path / "images"


def relative(predictions, folder):
    return [prediction.path.removeprefix(f"{folder}/") for prediction in predictions]


def test_a_saved_model_and_its_keras_model_agree(model, saved_model, folder):
    from_keras = predict([folder], checkpoint_model=model, **DESCRIBED)
    for path in (saved_model, saved_model.parent):
        served = predict([folder], saved_model=path)
        assert relative(served, folder) == ["a.jpeg", "b/10.png", "b/2.PNG"]
        for one, other in zip(served, from_keras, strict=True):
            assert (one.path, one.classes) == (other.path, other.classes)
            np.testing.assert_allclose(one.probabilities, other.probabilities, rtol=1e-4, atol=1e-5)
    image = preprocess_image(read_image(folder / "a.jpeg"), SHAPE, CIFAR)
    expected = tf.nn.softmax(model([image[None]], training=False))[0].numpy()
    assert from_keras[0].classes == tuple(NAMES[index] for index in np.argsort(-expected))
    np.testing.assert_allclose(from_keras[0].probabilities, sorted(expected, reverse=True), rtol=1e-4, atol=1e-5)


def test_files_keep_their_order_and_top_is_a_limit(saved_model, folder):
    files = [folder / "b" / "2.PNG", folder / "a.jpeg", folder / "b" / "2.PNG"]
    predictions = predict(files, saved_model=saved_model, top=2)
    assert [prediction.path for prediction in predictions] == [str(path) for path in files]
    assert {len(prediction.classes) for prediction in predictions} == {2}
    assert predictions[0] == predictions[2]


def test_more_images_than_a_batch(saved_model, folder, monkeypatch):
    one_by_one = predict([folder], saved_model=saved_model)
    monkeypatch.setattr(sys.modules[predict.__module__], "_BATCH", 2)
    for one, other in zip(predict([folder], saved_model=saved_model), one_by_one, strict=True):
        assert one.path == other.path and one.classes == other.classes


@pytest.fixture(scope="module")
def predictor(model):
    return Predictor.from_model(model, NAMES, preprocessing=CIFAR)


def test_a_bad_file_is_reported_and_the_others_are_predicted(predictor, folder, tmp_path):
    (folder / "b" / "broken.jpg").write_bytes((folder / "a.jpeg").read_bytes()[:100])
    os.mkfifo(folder / "pipe.png")  # opening it would wait for ever
    (folder / "empty").mkdir()
    (folder / "gone.png").symlink_to("nowhere")
    (folder / "loop").symlink_to(folder)
    paths = [folder, "", folder / "none.jpg", "nul\0.png", folder / "empty", os.fsdecode(b"\xff.png")]
    found = predict(paths, predictor)
    good = {prediction.path for prediction in found if prediction.error is None}
    assert good == {str(folder / name) for name in ("a.jpeg", "b/10.png", "b/2.PNG")}
    errors = [prediction.error for prediction in found if prediction.error is not None]
    for error, words in zip(
        errors,
        ("whole JPEG.*broken.jpg", "no such image.*gone.png", "regular file.*pipe.png", "no such image.*''", "none.jpg",
         "no such image.*nul", "must have images .*empty", "no such image"),
        strict=True,
    ):  # fmt: skip
        assert re.search(words, error) and "\n" not in error
    assert json.loads(to_json(found))[-1]["path"] == os.fsdecode(b"\xff.png")
    to_json(found).encode("utf-8")
    Console(file=io.StringIO()).print(to_table(found))


@pytest.mark.parametrize(
    "paths, message",
    [
        (["none.jpg", "other.jpg"], r"no such image. Received: none.jpg \(and 1 more"),
        ("none.jpg", "no such image. Received: none.jpg$"),
        ([], "At least one image"),
        (None, "a path or a list of paths. Received: None"),
        ([3], "Received: 3 in the list"),
        (b"a.png", "a path or a list"),
    ],
)
def test_what_is_no_image_at_all_is_refused(predictor, paths, message):
    with pytest.raises(InputError, match=message):
        predict(paths, predictor)


def test_one_path_and_hidden_files(predictor, folder):
    (folder / ".hidden").mkdir()
    for name in (".hidden/a.png", "._a.jpeg"):
        (folder / name).write_bytes(b"\0\5\x16\7")
    assert relative(predict(str(folder), predictor), folder) == ["a.jpeg", "b/10.png", "b/2.PNG"]
    assert predict(folder / "a.jpeg", predictor)[0].classes


def test_arguments_that_do_not_fit_together_are_refused(model, saved_model, folder):
    for arguments, message in (
        ({}, "either saved_model or checkpoint_model. Received: none"),
        ({"saved_model": saved_model, "checkpoint_model": model}, "Received: several"),
        ({"saved_model": saved_model, "class_names": NAMES}, "brings class_names"),
        ({"checkpoint_model": model, "preprocessing": CIFAR}, "needs class_names"),
        ({"checkpoint_model": model, **DESCRIBED, "class_names": NAMES[:2]}, "one class name for each"),
        ({"checkpoint_model": model, **DESCRIBED, "classes": 3}, "no such argument. Received: classes"),
        ({"predictor": "runs/a"}, "must be a Predictor or a keras.Model"),
        ({"saved_model": saved_model, "top": 0}, "top must be"),
        ({"saved_model": saved_model, "top": 2.5}, "top must be"),
        ({"saved_model": folder}, "must be a SavedModel"),
    ):
        with pytest.raises(InputError, match=message):
            predict([folder], **arguments)


def test_a_table_and_json_show_names_as_they_are():
    predictions = [Prediction("[b]/ü.png", ("[red]fox", "cat"), (0.75, 0.25)), Prediction("c.png", ("dog",), (1.0,))]
    assert json.loads(to_json(predictions)) == [
        {"path": "[b]/ü.png", "classes": ["[red]fox", "cat"], "probabilities": [0.75, 0.25], "error": None},
        {"path": "c.png", "classes": ["dog"], "probabilities": [1.0], "error": None},
    ]
    assert json.loads(to_json([])) == []
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(to_table(predictions))
    lines = [line.split("│")[1:-1] for line in capture.get().splitlines() if "│" in line]
    assert [[cell.strip() for cell in line] for line in lines] == [
        ["[b]/ü.png", "[red]fox", "75.00%"],
        ["", "cat", "25.00%"],
        ["c.png", "dog", "100.00%"],
    ]
