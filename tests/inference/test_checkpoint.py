"""Only whole .keras files of ours are loaded; nothing in a file is run."""

import json
import os
import zipfile

import keras
import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn._preprocessing import CIFAR
from kerascnn.inference import checkpoint

CONFIG = {
    "model": {"name": "tiny", "input_shape": [8, 8, 1]},
    "class_names": [str(digit) for digit in range(10)],
    "preprocessing": CIFAR.for_channels(1).to_dict(),
    "data": {"name": "digits"},
    "training": {},
}


@pytest.fixture
def run(tmp_path, network):
    """A run folder with a network that ends in logits."""
    network().save(tmp_path / "best.keras")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path


def test_a_folder_and_its_files(run):
    loaded = checkpoint.load(run)
    assert (loaded.class_names[3], loaded.input_shape, loaded.path) == ("3", (8, 8, 1), run / "best.keras")
    assert loaded.preprocessing == CIFAR.for_channels(1) and loaded.config == CONFIG
    images = np.random.default_rng(0).normal(size=(5, 8, 8, 1)).astype("float32")
    probabilities = loaded.model.predict_on_batch(images)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    logits = keras.models.load_model(run / "best.keras").predict_on_batch(images)
    np.testing.assert_allclose(
        np.log(probabilities), logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), atol=1e-5
    )
    assert checkpoint.load(run / "best.keras").path == run / "best.keras"
    (run / "checkpoints").mkdir()
    moved = (run / "best.keras").rename(run / "checkpoints" / "epoch_0001.keras")
    assert checkpoint.load(moved).class_names == loaded.class_names


def test_probabilities_are_left_as_they_are(network):
    model = network(activation="softmax")
    assert checkpoint.with_probabilities(model) is model
    assert checkpoint.with_probabilities(network()).layers[-1].name == "probabilities"


def test_what_is_no_checkpoint(run, tmp_path_factory):
    whole = (run / "best.keras").read_bytes()
    for content, words in (
        (whole[:-700], "truncated"),
        (whole[:3000] + bytes(8) + whole[3008:], "damaged|truncated"),
        (b"", "truncated or not a .keras file"),
        (b"\x80\x04\x95 a pickle", "truncated or not a .keras file"),
    ):
        (run / "best.keras").write_bytes(content)
        with pytest.raises(InputError, match=words) as caught:
            checkpoint.load(run)
        assert "\n" not in str(caught.value)
    with zipfile.ZipFile(run / "best.keras", "w") as archive:
        archive.writestr("notes.txt", "hello")
    with pytest.raises(InputError, match="damaged or not a .keras file"):
        checkpoint.load(run)
    with zipfile.ZipFile(run / "best.keras", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("metadata.json", "{}")
        archive.writestr("model.weights.h5", "no hdf5")
    with pytest.raises(InputError, match="weights file cannot be read"):
        checkpoint.load(run)
    (run / "best.keras").unlink()
    with pytest.raises(InputError, match="no best.keras yet"):
        checkpoint.load(run)
    with pytest.raises(InputError, match="is not there"):
        checkpoint.load(run / "best.keras")
    with pytest.raises(InputError, match="a run folder or a .keras file"):
        checkpoint.load(run / "config.json")
    with pytest.raises(InputError, match="there is none"):
        checkpoint.load(tmp_path_factory.mktemp("empty"))


def test_code_in_a_file_is_not_run(run):
    inputs = keras.Input((8, 8, 1))
    outputs = keras.layers.Dense(10)(keras.layers.Flatten()(keras.layers.Lambda(lambda x: x + 1)(inputs)))
    keras.Model(inputs, outputs).save(run / "best.keras")
    with pytest.raises(InputError, match="Keras cannot load the checkpoint"):
        checkpoint.load(run)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"class_names": ["a", "b"]}, r"maps \(8, 8, 1\) to 10 classes; config.json says \(8, 8, 1\) to 2"),
        ({"model": {"input_shape": [9, 9, 1]}}, r"says \(9, 9, 1\) to 10"),
        ({"preprocessing": {"mean": 0}}, "must have preprocessing.mean: a list of numbers. Received: 0 in"),
        ({"model": {}}, "must have model.input_shape: three whole numbers. Received: nothing in"),
    ],
)
def test_a_config_that_does_not_fit(run, change, words):
    (run / "config.json").write_text(json.dumps({**CONFIG, **change}))
    with pytest.raises(InputError, match=words):
        checkpoint.load(run)


def test_a_pipe_is_no_checkpoint(tmp_path):
    os.mkfifo(tmp_path / "best.keras")
    with pytest.raises(InputError, match="must be a regular file"):
        checkpoint.check_whole(tmp_path / "best.keras")
