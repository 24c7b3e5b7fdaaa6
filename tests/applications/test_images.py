"""Names of classes, and the constants of published weights."""

import json
import socket
from pathlib import Path

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn._errors import InputError
from kerascnn.applications._classes import imagenet_classes

PUBLISHED = json.loads((Path(__file__).parents[1] / "golden/preprocessing.json").read_text(encoding="utf-8"))


def test_the_classes_of_imagenet_are_those_of_keras():
    classes = imagenet_classes()
    assert len(classes) == len({wordnet for wordnet, _ in classes}) == 1000
    assert [wordnet for wordnet, _ in classes] == sorted(wordnet for wordnet, _ in classes)
    for number, pair in {
        0: ("n01440764", "tench"),
        2: ("n01484850", "great_white_shark"),
        281: ("n02123045", "tabby"),
        517: ("n03126707", "crane"),
        639: ("n03710721", "maillot"),
        999: ("n15075141", "toilet_tissue"),
    }.items():
        assert classes[number] == pair


def test_predictions_are_decoded_without_a_network(monkeypatch):
    def refused(*_):
        raise AssertionError("nothing is downloaded")

    monkeypatch.setattr(socket, "socket", refused)
    monkeypatch.setattr(keras.utils, "get_file", refused)
    predictions = np.zeros((1, 1000), "float32")
    predictions[0, [281, 282]] = 0.75, 0.25
    (best,) = kerascnn.applications.resnet.decode_predictions(predictions, top=2)
    assert best == [("n02123045", "tabby", 0.75), ("n02123159", "tiger_cat", 0.25)]


@pytest.mark.parametrize("top", [0, -1, 2.5, "5", None])
def test_top_is_checked(top):
    with pytest.raises(InputError, match="top must be a whole number, at least 1"):
        kerascnn.applications.resnet.decode_predictions(np.zeros((1, 1000)), top=top)


# Their authors take 127 from a pixel and divide by 128; timm rounds that, and feeds the last two larger images.
LITE = [f"tf_efficientnet_lite{i}" for i in range(5)]


def test_means_and_deviations_are_those_of_a_published_file():
    wrong = {}
    for name, files in PUBLISHED.items():
        ours, atol = kerascnn.model_info(name).preprocessing, 2e-3 if name in LITE else 5e-7
        if not any(np.allclose([file["mean"], file["std"]], [ours.mean, ours.std], atol=atol) for file in files):
            wrong[name] = (ours.mean, ours.std, files)
    assert not wrong


def test_crops_and_interpolations_are_those_of_a_published_file():
    wrong = {}
    for name, files in PUBLISHED.items():
        ours = kerascnn.model_info(name).preprocessing
        known = [(file["crop"], file["interpolation"]) for file in files if file["crop"] is not None]
        fits = [abs(crop - ours.crop_fraction) < 0.006 and how == ours.interpolation for crop, how in known]
        if known and not any(fits) and name not in LITE[3:]:
            wrong[name] = (ours.crop_fraction, ours.interpolation, known)
    assert not wrong
