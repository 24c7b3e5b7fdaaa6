"""An export of ours served to clients: kerascnn's own, and an independent one where it is installed."""

import numpy as np
import pytest
import tensorflow as tf
from server.running_server import model, running
from serving_nets import SHAPE

from kerascnn._errors import InputError
from kerascnn.serving.client import Client
from kerascnn.serving.server.batching_parameters import BatchingParameters


@pytest.fixture(scope="module", params=["alone", "batched"])
def server(request, exported):
    batching = BatchingParameters(8, 1000, 2, 64) if request.param == "batched" else None
    with running(model(exported[1].parent, "small"), batching=batching) as server:
        yield server


@pytest.fixture(scope="module")
def picture():
    pixels = np.random.default_rng(0).integers(0, 256, (9, 14, 3), dtype="uint8")
    return tf.io.encode_png(pixels).numpy()


def test_our_client(server, picture, loaded):
    client = Client(f"http://127.0.0.1:{server.port}", "small")
    assert client.ready()
    names, values = loaded.classify([picture, picture])
    for got, name, value in zip(client.classify([picture, picture]), names, values, strict=True):
        assert [label for label, _ in got] == [text.decode() for text in name]
        np.testing.assert_allclose([score for _, score in got], value, rtol=1e-6)
    images = np.random.default_rng(1).normal(size=(3, *SHAPE)).astype(np.float32)
    np.testing.assert_allclose(client.probabilities(images), loaded.predict(images), rtol=1e-5, atol=1e-7)
    with pytest.raises(InputError, match="refused .404: Servable not found for request: Latest.other."):
        Client(f"http://127.0.0.1:{server.port}", "other").classify([picture])
    with pytest.raises(InputError, match="refused .400"):
        client.probabilities(np.zeros((1, 5, 5, 3), np.float32))


def test_an_independent_client(server, picture, loaded):
    ovmsclient = pytest.importorskip("ovmsclient")
    names, values = loaded.classify([picture])
    for make, port in ((ovmsclient.make_grpc_client, server.grpc_port), (ovmsclient.make_http_client, server.port)):
        client = make(f"127.0.0.1:{port}")
        assert client.get_model_status("small", 1)[1]["state"] == "AVAILABLE"
        if port == server.grpc_port:  # over HTTP it reads the names of OpenVINO's server, not TensorFlow Serving's
            assert client.get_model_metadata("small", 1)["inputs"]["image_bytes"]["shape"] == [-1]
        answer = client.predict({"image_bytes": [picture]}, "small", 1)
        np.testing.assert_allclose(answer["probabilities"], values, rtol=1e-6)
        got = [[value if isinstance(value, bytes) else value.encode() for value in row] for row in answer["classes"]]
        assert got == names.tolist()
