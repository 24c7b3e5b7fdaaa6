"""Both clients ask an export on the server for development; the answers are those of the network."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from server.running_server import model, running
from serving_nets import NAMES, SHAPE

from kerascnn._errors import InputError
from kerascnn.serving import Client, GrpcClient, ServerError
from kerascnn.serving.client import TensorInfo
from kerascnn.serving.server.limits import Limits


@pytest.fixture(scope="module")
def server(exported):
    with running(model(exported[1].parent, "small", labels={"stable": 1}), limits=Limits(max_requests=64)) as server:
        yield server


@pytest.fixture(params=["rest", "grpc"])
def connect(request, server):
    """Makes clients of one protocol."""
    made = []

    def client(name="small", **options):
        kind, address = Client, f"http://127.0.0.1:{server.port}"
        if request.param == "grpc":
            kind, address = GrpcClient, f"127.0.0.1:{server.grpc_port}"
        made.append(kind(address, name, **options))
        return made[-1]

    yield client
    for one in made:
        one.close()


def pictures(count, size=(9, 14)):
    return list(np.random.default_rng(0).integers(0, 256, (count, *size, 3), dtype="uint8"))


def test_images_of_every_kind_have_the_networks_classes(connect, loaded, tmp_path):
    pixels = pictures(3)
    files = [tf.io.encode_png(image).numpy() for image in pixels]
    (tmp_path / "a.png").write_bytes(files[1])
    jpeg = io.BytesIO()
    Image.fromarray(pixels[0]).save(jpeg, "jpeg")
    given = [files[0], tmp_path / "a.png", pixels[2], jpeg.getvalue()]
    names, values = loaded.classify([*files, jpeg.getvalue()])
    for options in ({}, {"max_batch": 1, "in_flight": 4}, {"label": "stable"}, {"version": 1, "max_batch": 3}):
        found = connect(**options).classify(given)
        for row, name, value in zip(found, names, values, strict=True):
            assert [label for label, _ in row] == [text.decode() for text in name]
            np.testing.assert_allclose([score for _, score in row], value, rtol=1e-5)


def test_other_signatures(connect, exported, loaded):
    client = connect(max_batch=2)
    images = np.random.default_rng(1).normal(size=(5, *SHAPE)).astype(np.float32)
    probabilities = client.probabilities(images)
    assert probabilities.shape == (5, len(NAMES)) and probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, loaded.predict(images), rtol=1e-4, atol=1e-6)
    pixels = np.stack(pictures(3))
    of_pixels, of_files = client.classify_pixels(pixels), client.classify(pixels)
    assert [[name for name, _ in row] for row in of_pixels] == [[name for name, _ in row] for row in of_files]
    features = client.features(pixels)
    assert features.dtype == np.float32 and features.shape == (3, exported[0].get_layer("head").kernel.shape[0])
    np.testing.assert_allclose(client.features(pixels[1:2])[0], features[1], rtol=1e-4, atol=1e-6)


def test_one_image_that_is_none(connect):
    good, none = tf.io.encode_png(pictures(1)[0]).numpy(), b"no image"
    client = connect()
    with pytest.raises(InputError, match=r"Each image must be .* Received: images\[1\]"):
        client.classify([good, none])
    first, fault, last = client.classify([good, none, good], return_errors=True)
    assert first == last and isinstance(fault, InputError)


def test_states_and_signatures(connect):
    client = connect()
    client.wait_until_ready(30)
    assert client.ready() and [(version.version, version.state) for version in client.status()] == [(1, "AVAILABLE")]
    signatures = client.signatures()
    assert signatures["serving_default"].inputs == {"image_bytes": TensorInfo("string", (None,))}
    assert signatures["tensors"].inputs == {"images": TensorInfo("float32", (None, *SHAPE))}
    assert signatures["tensors"].method == "tensorflow/serving/predict"


def test_refusals_have_the_servers_words(connect):
    grpc = isinstance(connect(), GrpcClient)
    with pytest.raises(ServerError, match="Servable not found for request: Latest.other.") as caught:
        connect("other").classify(pictures(1))
    assert caught.value.status == ("NOT_FOUND" if grpc else 404) and caught.value.attempts == 1
    with pytest.raises(ServerError) as caught:
        connect().probabilities(np.zeros((1, 5, 5, 3)))
    assert caught.value.status == ("INVALID_ARGUMENT" if grpc else 400)
    with pytest.raises(ServerError, match="available within 0.2 s"):
        connect("other").wait_until_ready(0.2)
