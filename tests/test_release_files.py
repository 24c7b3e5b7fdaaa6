"""Files written by release 0.1.0 still load and give the numbers that they gave then (tests/golden/release_0_1)."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from kerascnn import data, evaluation, inference, serving
from kerascnn.inference import checkpoint

FILES = Path(__file__).parent / "golden" / "release_0_1"
LAYERS = json.loads((FILES / "layers.json").read_text())
INPUTS = {  # what the recorded outputs were computed from
    "ops": ((16, 16, 4), 1, -1, 1),
    "auxiliary": ((16, 16, 3), 1, -1, 1),
    "lenet5_1998": ((32, 32, 1), 2, -0.1, 1.2),
}


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_a_layer_is_read(name):
    layer = keras.saving.deserialize_keras_object(LAYERS[name])
    assert layer.name == LAYERS[name]["config"]["name"]
    assert keras.saving.get_registered_object(name) is type(layer)


@pytest.mark.parametrize("name", sorted(INPUTS))
def test_a_model_is_read_and_gives_its_numbers(name):
    shape, seed, low, high = INPUTS[name]
    if name == "auxiliary":  # was drawn with four channels, of which three were used
        x = np.random.default_rng(seed).uniform(low, high, (2, 16, 16, 4))[..., :3]
    else:
        x = np.random.default_rng(seed).uniform(low, high, (2, *shape))
    model = keras.models.load_model(FILES / f"{name}.keras")
    with np.load(FILES / "expected.npz") as expected:
        np.testing.assert_allclose(model(x.astype("float32"), training=False), expected[name], rtol=1e-4, atol=1e-6)


def test_a_run_is_read():
    loaded = checkpoint.load(FILES / "run")
    assert loaded.class_names == tuple("0123456789") and loaded.task == "classification"
    assert loaded.model.output_shape == (None, 10)


def test_a_run_is_used(tmp_path):
    """Evaluated on digits, asked about an image, and exported; the export says the same."""
    predictor = checkpoint.load(FILES / "run")
    source = data.load("digits", limit=20)
    options = {"image_shape": predictor.input_shape, "preprocessing": predictor.preprocessing, "batch_size": 20}
    report = evaluation.evaluate(predictor, data.eval_pipeline(source, "test", **options))
    assert report.examples == 20 and 0 < report.loss < 10
    keras.utils.save_img(tmp_path / "a.png", np.zeros((8, 8, 1)), scale=False)
    (found,) = inference.predict(tmp_path / "a.png", predictor)
    assert (
        found.error is None and sum(inference.predict([tmp_path / "a.png"], predictor, top=10)[0].probabilities) > 0.99
    )
    folder = serving.export(predictor, tmp_path / "exported", check=False)
    (served,) = inference.predict(tmp_path / "a.png", serving.load(folder))
    assert served.classes == found.classes
    np.testing.assert_allclose(served.probabilities, found.probabilities, rtol=1e-3)


@pytest.mark.parametrize("name", ["stock", "native"])
def test_an_export_answers_its_warm_up_requests(name):
    serving.check(FILES / name)
