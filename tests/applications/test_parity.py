"""Networks against keras.applications, torchvision and timm: random weights and statistics, loaded from a file.

The rows are tests/golden/peers.json: "name library" -> {"peer": the library's name, "size": side of the image,
"options": of our builder, "peer_options": of theirs, "scale": of the images, for models of Keras that divide them}. The
file goes through `weights=`, so that the names which the families declare are tested too.
"""

import json
from pathlib import Path

import keras
import numpy as np
import parity
import pytest

import kerascnn

PEERS = json.loads((Path(__file__).parents[1] / "golden/peers.json").read_text(encoding="utf-8"))
QUICK = 5e6  # parameters


def rows(*libraries):
    """Parameters of a test, the larger networks marked slow."""
    marked = []
    for key in sorted(PEERS):
        name, library = key.split()
        if library in libraries:
            slow = kerascnn.model_info(name).params > QUICK
            marked.append(pytest.param(name, library, id=f"{name}-{library}", marks=[pytest.mark.slow] * slow))
    return marked


def build(name, row, path):
    shape = (row["size"], row["size"], 3)
    options = {"input_shape": shape, "classifier_activation": None, **row.get("options", {})}
    return kerascnn.create_model(name, weights=path, **options)


@pytest.mark.parametrize("name, library", rows("keras"))
def test_equals_keras_applications(name, library, tmp_path):
    row = PEERS[f"{name} {library}"]
    shape = (row["size"], row["size"], 3)
    options = row.get("peer_options", {})
    theirs = getattr(keras.applications, row["peer"])(
        weights=None, classifier_activation=None, input_shape=shape, **options
    )
    parity.randomize(theirs)
    theirs.save_weights(tmp_path / "peer.weights.h5")
    ours = build(name, row, tmp_path / "peer.weights.h5")
    x = np.random.default_rng(1).normal(size=(2, *shape)).astype("float32") * row.get("scale", 1)
    fed = parity.preprocessed(theirs, x)
    classifier = [layer for layer in theirs.layers if layer.count_params() > 0][-1]
    their_features, their_outputs = keras.Model(theirs.inputs[0], [classifier.input, theirs.output])(x)
    features, outputs = parity.with_features(ours)(fed)
    label = f"`keras.applications.{row['peer']}`, Keras {keras.__version__}"
    parity.check(name, label, outputs, their_outputs, features=(features, their_features))


@pytest.mark.peers
@pytest.mark.parametrize("name, library", rows("torchvision", "timm"))
def test_equals_torch(name, library, tmp_path):
    row = PEERS[f"{name} {library}"]
    options = json.dumps(row.get("peer_options", {}))
    arrays = parity.peer(library, row["peer"], tmp_path, size=row["size"], options=options)
    ours = build(name, row, parity.save_state(arrays, tmp_path / "peer.safetensors"))
    versions = str(arrays["versions"])
    label = versions if row["peer"] == name else f"{versions} `{row['peer']}`"
    features, theirs = (parity.channels_last(arrays[key]) for key in ("features", "output"))
    own_features, outputs = parity.with_features(ours)(parity.images(arrays))
    parity.check(name, label, outputs, theirs, features=(own_features, features))
