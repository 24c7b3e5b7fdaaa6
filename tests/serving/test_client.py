import base64
import http.server
import json
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf
from serving_nets import NAMES, SHAPE

from kerascnn._errors import InputError
from kerascnn.serving.client import Client, image_body, tensor_body


class Stub(http.server.BaseHTTPRequestHandler):
    """Speaks TensorFlow Serving's REST dialect, with an export of kerascnn behind it."""

    model = None  # a loaded export
    answer = None  # (status, bytes) to give instead

    def log_message(self, *_):
        pass

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path != "/v1/models/m/versions/3":
            return self.reply(404, b'{"error": "Could not find any versions of model none"}')
        status = {"version": "3", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        self.reply(200, json.dumps({"model_version_status": [status]}).encode())

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.answer:
            return self.reply(*self.answer)
        if self.path != "/v1/models/m:predict":
            return self.reply(404, b'{"error": "Servable not found for request: Latest(none)"}')
        if body["signature_name"] == "tensors":
            rows = self.model.predict(np.float32(body["instances"])).tolist()
        else:
            contents = [base64.b64decode(row["image_bytes"]["b64"]) for row in body["instances"]]
            classes, probabilities = self.model.classify(contents)
            rows = [
                {"classes": [name.decode() for name in names], "probabilities": values.tolist()}
                for names, values in zip(classes, probabilities, strict=True)
            ]
        self.reply(200, json.dumps({"predictions": rows}).encode())


@pytest.fixture
def url(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stub) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "picture.png"
    pixels = np.random.default_rng(0).integers(0, 256, (9, 14, 3), dtype="uint8")
    path.write_bytes(tf.io.encode_png(pixels).numpy())
    return path


def test_both_signatures_over_http(url, picture, loaded, monkeypatch):
    monkeypatch.setattr(Stub, "model", loaded)
    client = Client(url + "/", "m")
    names, values = loaded.classify([picture.read_bytes()])
    by_path, by_contents = client.classify([picture, picture.read_bytes()])
    assert by_path == by_contents and [name for name, _ in by_path] == [name.decode() for name in names[0]]
    np.testing.assert_allclose([value for _, value in by_path], values[0], rtol=1e-5)
    images = np.random.default_rng(0).normal(size=(3, *SHAPE))
    probabilities = client.probabilities(images)
    assert probabilities.shape == (3, len(NAMES)) and probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, loaded.predict(images), rtol=1e-6)
    assert Client(url, "m", version=3).ready()


def test_segmentation_over_http(url, picture, monkeypatch):
    maps = np.arange(8).reshape(2, 2, 2) % 3
    probabilities = np.eye(3)[maps]
    rows = [{"class_map": m.tolist(), "probabilities": p.tolist()} for m, p in zip(maps, probabilities, strict=True)]
    monkeypatch.setattr(Stub, "answer", (200, json.dumps({"predictions": rows}).encode()))
    found = Client(url, "m").segment([picture, picture])
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, maps)
    with pytest.raises(InputError, match="for classification"):
        Client(url, "m").classify([picture, picture])
    monkeypatch.setattr(Stub, "answer", (200, json.dumps({"predictions": probabilities.tolist()}).encode()))
    np.testing.assert_array_equal(Client(url, "m").probabilities(np.zeros([2, 2, 2, 3])), probabilities)
    with pytest.raises(InputError, match="for segmentation"):
        Client(url, "m").segment([picture, picture])


def test_a_refusal_says_what_the_server_said(url, picture):
    with pytest.raises(InputError, match=r"refused \(404: Servable not found.*/v1/models/other%2Fname:predict"):
        Client(url, "other/name").classify([picture])
    with pytest.raises(InputError, match="404: Could not find any versions"):
        Client(url, "m").ready()


@pytest.mark.parametrize(
    "answer, message",
    [
        ((503, b"<html>\nproxy  down</html>"), r"refused \(503: <html> proxy down</html>\)"),
        ((500, b""), "500: no reason given"),
        ((200, b"<html>hello</html>"), "must answer in JSON"),
        ((200, b"[]"), "must answer a JSON object"),
        ((200, b'{"outputs": 1}'), "must answer 1 predictions. Received: None"),
        ((200, b'{"predictions": [{"scores": [1]}]}'), "must run an export of kerascnn"),
    ],
)
def test_other_answers_are_refused_in_one_line(url, picture, answer, message, monkeypatch):
    monkeypatch.setattr(Stub, "answer", answer)
    with pytest.raises(InputError, match=message) as caught:
        Client(url, "m").classify([picture])
    assert "\n" not in str(caught.value)


def test_no_server(picture):
    with socket.socket() as taken:  # bound, not listening
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(InputError, match="cannot be reached .*Connection refused"):
            Client(f"http://127.0.0.1:{taken.getsockname()[1]}", "m").classify([picture])
    with pytest.raises(InputError, match="must begin with http"):
        Client("localhost:8501", "m")


def test_bodies_are_what_the_server_documents(picture):
    assert image_body([b"abc"]) == {
        "signature_name": "serving_default",
        "instances": [{"image_bytes": {"b64": "YWJj"}}],
    }
    assert tensor_body(np.ones((1, 1, 1, 2))) == {"signature_name": "tensors", "instances": [[[[1.0, 1.0]]]]}
    for bad in (np.ones((2, 2)), np.ones((0, 2, 2, 3)), np.full((1, 1, 1, 1), np.nan)):
        with pytest.raises(InputError, match="Images must be"):
            tensor_body(bad)
    with pytest.raises(InputError, match="At least one image"):
        image_body([])
    with pytest.raises(InputError, match="cannot be read .No such file.*missing.png"):
        image_body([picture.with_name("missing.png")])


def test_the_client_needs_no_tensorflow():
    code = "import sys, kerascnn.serving.client; sys.exit(bool({'tensorflow', 'keras'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
