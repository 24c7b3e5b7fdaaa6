"""Requests and answers of the REST client, against a server that answers by a script."""

import base64
import functools
import subprocess
import sys
import threading

import numpy as np
import pytest
from client.fake_server import fake_rest

from kerascnn._errors import InputError
from kerascnn.serving.client import Client, Retries, ServerError, Signature, TensorInfo, VersionStatus


def echo(handler, third=None):
    """One row for each instance, which names what was sent; the first request is answered once the third has come."""
    names = [base64.b64decode(row["image_bytes"]["b64"]).decode() for row in handler.asked["instances"]]
    if third is not None and "6" in names:
        third.set()
    if third is not None and "0" in names:
        assert third.wait(60)
    return 200, {}, {"predictions": [{"classes": [name], "probabilities": [1.0]} for name in names]}


def sizes(server):
    return [len(body["instances"]) for *_, body in server.asked]


@pytest.mark.parametrize("in_flight", [1, 3])
def test_many_images_go_in_batches_and_come_back_in_order(in_flight):
    third = threading.Event() if in_flight > 1 else None
    answer = functools.partial(echo, third=third)
    with fake_rest(default=answer) as server, Client(server.url, "m", max_batch=3, in_flight=in_flight) as client:
        found = client.classify(str(number).encode() for number in range(10))
        assert [row[0][0] for row in found] == [str(number) for number in range(10)]
        assert sorted(sizes(server)) == [1, 3, 3, 3]
        assert server.connections <= in_flight


def test_several_are_on_their_way_at_a_time():
    met = threading.Barrier(3)  # passed only when three requests are there together

    def together(handler):
        met.wait(20)
        return 200, {}, {"predictions": [{"classes": ["a"], "probabilities": [1.0]}]}

    with fake_rest(default=together) as server, Client(server.url, "m", max_batch=1, in_flight=3) as client:
        assert client.classify([b"x"] * 6) == [[("a", 1.0)]] * 6
        assert server.connections <= 4


def test_large_images_go_alone():
    with fake_rest(default=(200, {}, {"predictions": [{"classes": ["a"], "probabilities": [1.0]}]})) as server:
        with Client(server.url, "m", in_flight=1) as client:
            assert len(client.classify([bytes(9 * 2**20)] * 2)) == 2
        assert sizes(server) == [1, 1]


def test_a_failure_ends_the_rest():
    refusal = (400, {}, {"error": "no"})
    with fake_rest(default=refusal) as server, Client(server.url, "m", max_batch=1, in_flight=2) as client:
        with pytest.raises(ServerError, match="400: no"):
            client.classify([b"x"] * 50)
        assert len(server.asked) < 10


def test_an_image_that_the_server_cannot_read():
    rows = [
        {"classes": ["a"], "probabilities": [1.0], "errors": ""},
        {"classes": [""], "probabilities": [0.0], "errors": "cut off\nbefore its end"},
    ]
    with fake_rest(default=(200, {}, {"predictions": rows})) as server, Client(server.url, "m") as client:
        with pytest.raises(InputError, match=r"read \(cut off before its end\). Received: images\[1\]$"):
            client.classify([b"x", b"y"])
        good, bad = client.classify([b"x", b"y"], return_errors=True)
        assert good == [("a", 1.0)] and isinstance(bad, InputError) and "cut off" in str(bad)


def test_an_error_names_the_file(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x")
    answer = (200, {}, {"predictions": [{"classes": [""], "probabilities": [0.0], "errors": "no image"}]})
    with fake_rest(default=answer) as server, Client(server.url, "m") as client:
        with pytest.raises(InputError, match=r"images\[0\] \(.*a.jpg\)$"):
            client.classify([tmp_path / "a.jpg"])


def test_other_signatures():
    rows = [{"classes": ["a"], "probabilities": [1.0]}]
    features = [{"features": [1.0, 2.0], "errors": ""}, {"features": [0.0, 0.0], "errors": "none"}]
    script = (200, {}, {"predictions": rows}), (200, {}, {"predictions": features}), (200, {}, {"predictions": [[1]]})
    with fake_rest(*script, script[1]) as server, Client(server.url, "m", version=3) as client:
        assert client.classify_pixels(np.full((1, 2, 1, 3), 9, np.uint8)) == [[("a", 1.0)]]
        (one, bad) = client.features([b"x", b"y"], return_errors=True)
        np.testing.assert_array_equal(one, np.float32([1, 2]))
        assert isinstance(bad, InputError)
        np.testing.assert_array_equal(client.probabilities(np.ones((1, 1, 1, 1))), np.float32([[1]]))
        with pytest.raises(InputError, match=r"none\). Received: images\[1\]"):
            client.features([b"x", b"y"])
    asked = [(path, body["signature_name"]) for _, _, path, body in server.asked]
    assert asked == [
        ("/v1/models/m/versions/3:predict", name) for name in ("pixels", "features", "tensors", "features")
    ]
    assert server.asked[0][3]["instances"] == [[[[9, 9, 9]], [[9, 9, 9]]]]


def test_status_and_signatures():
    status = [
        {"version": "7", "state": "END", "status": {"error_code": "DATA_LOSS", "error_message": "it is bad"}},
        {"version": "6", "state": "AVAILABLE", "status": {"error_code": 0, "error_message": ""}},
    ]
    info = {
        "x": {"dtype": "DT_STRING", "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}},
        "y": {"dtype": "DT_HALF", "tensor_shape": {"dim": [], "unknown_rank": True}},
        "z": {"dtype": "DT_VARIANT", "tensor_shape": {"dim": [{"size": "2"}]}},
    }
    definition = {"inputs": info, "outputs": {}, "method_name": "tensorflow/serving/predict"}
    metadata = {"model_spec": {}, "metadata": {"signature_def": {"signature_def": {"tensors": definition}}}}
    script = (200, {}, {"model_version_status": status}), (200, {}, metadata)
    with fake_rest(*script) as server, Client(server.url + "/", "a b", label="best") as client:
        assert client.status() == [VersionStatus(7, "END", "DATA_LOSS", "it is bad"), VersionStatus(6, "AVAILABLE")]
        inputs = {
            "x": TensorInfo("string", (None,)), "y": TensorInfo("float16", None), "z": TensorInfo("DT_VARIANT", (2,)),
        }  # fmt: skip
        assert client.signatures() == {"tensors": Signature(inputs, {}, "tensorflow/serving/predict")}
    paths = [path for _, _, path, _ in server.asked]
    assert paths == ["/v1/models/a%20b/labels/best", "/v1/models/a%20b/labels/best/metadata"]


@pytest.mark.parametrize("body", [{"model_version_status": 3}, {"model_version_status": [{}]}, {"metadata": []}])
def test_strange_status_and_metadata_are_refused(body):
    with fake_rest(default=(200, {}, body)) as server, Client(server.url, "m") as client:
        with pytest.raises(ServerError, match="must answer as TensorFlow Serving does"):
            client.signatures() if "metadata" in body else client.status()


def test_deeply_nested_json_is_refused():
    with fake_rest(default=(200, {}, b"[" * 200_000)) as server, Client(server.url, "m") as client:
        with pytest.raises(ServerError, match="must answer in JSON"):
            client.status()


def test_arguments():
    for url in ("localhost:8501", "ftp://a", "http://", "http://a:b", "http://[::1"):
        with pytest.raises(InputError, match="must begin with http"):
            Client(url, "m")
    for options, message in (
        ({"timeout": 0}, "timeout must be"),
        ({"version": -1}, "version must be"),
        ({"version": 1, "label": "a"}, "version or label must be given, not both"),
        ({"max_batch": 0}, "max_batch must be"),
        ({"in_flight": 0}, "in_flight must be"),
    ):
        with pytest.raises(InputError, match=message):
            Client("http://localhost", "m", **options)
    client = Client("http://localhost", "m")
    for images in ("a.jpg", b"contents", np.zeros((2, 2, 3), np.uint8)):
        with pytest.raises(InputError, match="images must be a list of images"):
            client.classify(images)
    for image, message in ((3, "image must be a path"), (np.zeros((2, 2)), "image must be uint8"), ("\0", "be read")):
        with pytest.raises(InputError, match=message):
            client.classify([image])
    for pixels in (np.zeros((1, 2, 2, 3)), np.zeros((2, 2, 3), np.uint8), np.zeros((0, 2, 2, 3), np.uint8)):
        with pytest.raises(InputError, match="pixels must be uint8"):
            client.classify_pixels(pixels)


def test_a_proxy_of_the_environment_is_used(monkeypatch):
    answer = (200, {}, {"predictions": [{"classes": ["a"], "probabilities": [1.0]}]})
    with fake_rest(default=answer) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("://", "://me:s%20t@"))
        with Client("http://nowhere.invalid:8501", "m", retries=Retries(1)) as client:
            assert client.classify([b"x"]) == [[("a", 1.0)]]
        assert proxy.asked[0][2] == "http://nowhere.invalid:8501/v1/models/m:predict"


def test_it_needs_neither_tensorflow_nor_grpc():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('tensorflow', 'keras', 'grpc', 'google', 'PIL')));"
        "from kerascnn.serving import Client, Retries, ServerError; Client('http://localhost', 'm');"
        "import kerascnn; from kerascnn._errors import InputError\n"
        "try: from kerascnn.serving import GrpcClient\n"
        "except InputError as error: assert 'kerascnn[serve]' in str(error), error\n"
        "else: sys.exit('imported')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
