"""Errors under corruptions against corrupting each image by hand, whatever the batch."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.data import corrupt
from kerascnn.evaluation import Robustness, plot_corruptions, plot_robustness, robustness
from kerascnn.inference import Predictor, with_views

WHOLE = Preprocessing(mean=(0.4,), std=(0.3,), crop_fraction=1.0)


@pytest.fixture(scope="module")
def predictor(source):
    """Nearest mean digit, as a dense layer: right for most digits and sensitive to noise."""
    part = source.split("train")
    pixels = ((part.pixels / 255 - 0.4) / 0.3).reshape(part.size, -1)
    means = np.stack([pixels[part.numbers == k].mean(axis=0) for k in range(10)])
    inputs = keras.Input((8, 8, 1))
    dense = keras.layers.Dense(10, activation="softmax")
    model = keras.Model(inputs, dense(keras.layers.Flatten()(inputs)))
    dense.set_weights([means.T, -0.5 * (means**2).sum(axis=1)])
    return Predictor.from_model(model, source.class_names, preprocessing=WHOLE)


def test_equal_to_corrupting_by_hand(predictor, source, tmp_path):
    names = "gaussian_noise,contrast"
    found = robustness(predictor, source, corrupted_by=names, severities=(1, 5), batch_size=7, seed=4)
    part = source.split("test")
    for name in ("gaussian_noise", "contrast"):
        for place, level in enumerate((1, 5)):
            images = [corrupt(x, name, level, seed=4, index=i) for i, x in enumerate(part.pixels)]
            answers = predictor.predict(np.stack([predictor.prepare(x) for x in images])).argmax(axis=1)
            assert found.errors[name][place] == pytest.approx((answers != part.numbers).mean())
    assert found.clean < 0.5 and found.examples == 50
    again = robustness(predictor, source, corrupted_by=names, severities=(1, 5), batch_size=50, seed=4)
    assert again.errors == found.errors
    record = json.loads(json.dumps(found.to_dict()))
    assert record["mean_corruption_error"] == pytest.approx(np.mean([np.mean(x) for x in found.errors.values()]))
    plot_robustness(found, tmp_path / "a.png", "a $title")
    plot_corruptions(part.pixels[0], ["contrast", "jpeg"], tmp_path / "b.png")
    for name in ("a.png", "b.png"):
        assert tf.io.decode_png((tmp_path / name).read_bytes()).shape[1] > 500


def test_the_mean_error_relative_to_another_network():
    found = Robustness(0.1, {"jpeg": (0.2, 0.4), "contrast": (0.5, 0.7)}, (1, 2), 10, 0)
    assert found.means == {"jpeg": pytest.approx(0.3), "contrast": pytest.approx(0.6)}
    assert found.mean == pytest.approx(0.45)
    assert found.relative({"jpeg": 0.6, "contrast": 0.8, "snow": 1}) == pytest.approx((0.5 + 0.75) / 2)
    assert found.relative({"snow": 1}) is None


def test_what_cannot_be_measured_is_refused(predictor, source, tmp_path):
    for options, words in (
        ({"severities": (0,)}, "severities must be"),
        ({"severities": (2, 2)}, "different numbers"),
        ({"severities": ()}, "different numbers"),
        ({"corrupted_by": "snow"}, "corruptions must be"),
        ({"corrupted_by": "saturate"}, "gray images"),
        ({"seed": -1}, "seed must be"),
    ):
        with pytest.raises(InputError, match=words):
            robustness(predictor, source, **options)
    with pytest.raises(InputError, match="one view of an image"):
        robustness(with_views(predictor, "flip"), source)
    with pytest.raises(InputError, match="Received: none"):
        plot_corruptions(np.zeros([8, 8, 1], np.uint8), [], tmp_path / "a.png")
