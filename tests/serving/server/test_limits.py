"""Too much, too large, too slow: refused in bounded time. The model is a function that waits."""

import base64
import http.client
import io
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from server.running_server import ask, model, running

from kerascnn._errors import InputError
from kerascnn.serving.server.batching_parameters import BatchingParameters
from kerascnn.serving.server.limits import Limits
from kerascnn.serving.server.signatures import Signature, Tensor

PREDICT = "/v1/models/m:predict"


class Waiting:
    """Half of x, once `go` is set."""

    go = threading.Event()
    begun = 0

    def __init__(self, folder):
        tensor, text = Tensor("float", (None,)), Tensor("string", (None,))
        self.signatures = {
            "serving_default": Signature("serving_default", "tensorflow/serving/predict", {"x": tensor}, {"y": tensor}),
            "images": Signature("images", "tensorflow/serving/predict", {"image_bytes": text}, {"y": tensor}),
        }
        self.definitions, self.closed = {}, False

    def warm_up(self):
        return 0

    def run(self, signature, arrays, outputs=()):
        Waiting.begun += 1
        assert self.go.wait(30) and not self.closed
        if signature == "images":
            return {"y": np.zeros(len(arrays["image_bytes"]), np.float32)}
        if arrays["x"][0] == 13:
            raise RuntimeError("a fault of ours with a secret")
        return {"y": arrays["x"] / 2}

    def close(self):
        self.closed = True


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "1").mkdir()
    Waiting.go, Waiting.begun = threading.Event(), 0
    yield tmp_path
    Waiting.go.set()


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("batching", [None, BatchingParameters(1, 0, 1, 100)])
def test_overload_is_429_at_once_and_what_was_accepted_is_answered(folder, batching):
    with running(model(folder), load=Waiting, limits=Limits(max_requests=4), batching=batching) as server:
        with ThreadPoolExecutor(4) as pool:
            accepted = [pool.submit(ask, server, "POST", PREDICT, {"instances": [value]}) for value in range(4)]
            until(lambda: server.engine.active == 4)
            for _ in range(20):
                # Answered at all: what was accepted still waits for `go`.
                status, headers, document = ask(server, "POST", PREDICT, {"instances": [9]})
                assert (status, headers["Retry-After"]) == (429, "1")
                assert document == {"error": "The server takes at most 4 requests at a time"}
            assert ask(server, "GET", "/healthz")[0] == 200 and ask(server, "GET", "/v1/models/m")[0] == 200
            Waiting.go.set()
            answers = [future.result() for future in accepted]
        assert [answer[2] for answer in answers] == [{"predictions": [value / 2]} for value in range(4)]
        assert ask(server, "POST", PREDICT, {"instances": [1]})[0] == 200
        assert 'code="RESOURCE_EXHAUSTED"' in server.metrics.page().decode()


def test_a_full_batching_queue_is_429(folder):
    with running(model(folder), load=Waiting, batching=BatchingParameters(1, 0, 1, 2)) as server:
        with ThreadPoolExecutor(3) as pool:
            first = pool.submit(ask, server, "POST", PREDICT, {"instances": [0]})
            until(lambda: Waiting.begun == 1)
            others = [pool.submit(ask, server, "POST", PREDICT, {"instances": [value]}) for value in (1, 2)]
            until(lambda: server.engine.batcher.waiting == 2)
            status, headers, document = ask(server, "POST", PREDICT, {"instances": [3]})
            assert (status, headers["Retry-After"]) == (429, "1") and "queue" in document["error"]
            assert ask(server, "POST", PREDICT, {"instances": [1, 2]})[2] == {
                "error": "Task size 2 is larger than maximum batch size 1"
            }
            Waiting.go.set()
            assert [f.result()[2]["predictions"] for f in (first, *others)] == [[0], [0.5], [1]]


def test_a_request_that_takes_too_long_is_504_and_its_version_stays_until_then(folder):
    with running(model(folder), load=Waiting, limits=Limits(timeout=0.3, grace=10)) as server:
        status, _, document = ask(server, "POST", PREDICT, {"instances": [1]})
        assert (status, document) == (504, {"error": "The request took longer than 0.3 s"})
        (version,) = server.engine.models.states("m")
        assert version.leases == 1
        until(lambda: server.engine.active == 0)
        assert version.leases == 1
        Waiting.go.set()
        until(lambda: version.leases == 0)
        server.engine.limits = Limits()  # this one must be in time, however busy the machine is
        assert ask(server, "POST", PREDICT, {"instances": [1]})[2] == {"predictions": [0.5]}


def test_a_large_body_is_413_also_when_unpacked(folder):
    import gzip

    Waiting.go.set()
    with running(model(folder), load=Waiting, limits=Limits(max_body=1000)) as server:
        status, _, document = ask(server, "POST", PREDICT, b" " * 1001)
        assert (status, document["error"]) == (413, "A body must have at most 1,000 bytes. Received: 1,001")
        bomb = gzip.compress(b" " * 10**8)
        assert len(bomb) < 10**6
        with running(model(folder, "n"), load=Waiting, limits=Limits(max_body=2 * 10**6)) as other:
            status, _, document = ask(other, "POST", "/v1/models/n:predict", bomb, {"Content-Encoding": "gzip"})
            assert status in (400, 413) and "body" in document["error"]
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.request("POST", PREDICT, iter([b"{"] * 2000), {"Transfer-Encoding": "chunked"}, encode_chunked=True)
        assert connection.getresponse().status == 413
        connection.close()
        assert ask(server, "POST", PREDICT, {"instances": [1]})[0] == 200


def test_a_slow_body_is_408(folder):
    Waiting.go.set()
    with running(model(folder), load=Waiting, limits=Limits(timeout=0.3)) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{{".encode())
            answer = connection.recv(4096).decode()
        assert answer.startswith("HTTP/1.1 408 ") and "The body must arrive within 0.3 s" in answer
        until(lambda: server.engine.active == 0)
        server.engine.limits = Limits()
        assert ask(server, "POST", PREDICT, {"instances": [1]})[0] == 200


def test_images_of_too_many_pixels_never_reach_the_model(folder):
    Waiting.go.set()
    stream = io.BytesIO()
    Image.new("1", (6000, 6000)).save(stream, "PNG")  # 36 million pixels in a few kilobytes
    assert len(stream.getvalue()) < 50_000
    body = {"signature_name": "images", "instances": [{"b64": base64.b64encode(stream.getvalue()).decode()}]}
    with running(model(folder), load=Waiting, limits=Limits(max_pixels=10**6)) as server:
        status, _, document = ask(server, "POST", PREDICT, body)
        assert status == 400 and "at most 1,000,000 pixels. Received: 6000 x 6000 for image 0" in document["error"]
        assert Waiting.begun == 0


def test_a_fault_of_ours_is_500_without_its_details(folder, caplog):
    Waiting.go.set()
    with running(model(folder), load=Waiting) as server:
        status, _, document = ask(server, "POST", PREDICT, {"instances": [13]})
        assert (status, document) == (500, {"error": "RuntimeError in the server"})
        assert "a secret" in caplog.text
        assert ask(server, "POST", PREDICT, {"instances": [1]})[0] == 200


def test_a_client_that_leaves_does_no_harm(folder):
    with running(model(folder), load=Waiting) as server:
        body = json.dumps({"instances": [1]}).encode()
        for _ in range(3):
            connection = http.client.HTTPConnection("127.0.0.1", server.port)
            connection.request("POST", PREDICT, body)
            until(lambda: server.engine.active)
            connection.close()
        Waiting.go.set()
        until(lambda: server.engine.active == 0)
        assert ask(server, "POST", PREDICT, {"instances": [1]})[2] == {"predictions": [0.5]}
        until(lambda: server.engine.models.states("m")[0].leases == 0)


def test_ending_finishes_what_was_accepted_and_takes_no_more(folder):
    with ThreadPoolExecutor(1) as pool, running(model(folder), load=Waiting) as server:
        accepted = pool.submit(ask, server, "POST", PREDICT, {"instances": [4]})
        until(lambda: Waiting.begun == 1)
        kept = http.client.HTTPConnection("127.0.0.1", server.port)
        kept.request("GET", "/readyz")
        assert kept.getresponse().read() == b'{"status": "ready"}'
        server.engine.ending = True
        kept.request("POST", PREDICT, b'{"instances": [1]}')
        answer = kept.getresponse()
        assert (answer.status, json.loads(answer.read())) == (503, {"error": "The server ends"})
        kept.request("GET", "/readyz")
        assert kept.getresponse().status == 503
        kept.close()
        Waiting.go.set()
    assert accepted.result()[2] == {"predictions": [2]}


@pytest.mark.parametrize("field, value", [("max_body", 0), ("max_requests", 1.5), ("timeout", 0), ("grace", -1)])
def test_limits_are_checked(field, value):
    with pytest.raises(InputError, match=f"{field} must be a "):
        Limits(**{field: value})
