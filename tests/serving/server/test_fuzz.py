"""Malformed requests by the hundred (by the ten thousand with the marker `after`): errors, and the server goes on."""

import base64
import json
import random
import socket

import grpc
import pytest
import tensorflow as tf
from server.running_server import ask, model, running

from kerascnn.serving.server import messages
from kerascnn.serving.server.limits import Limits

PREDICT = "/v1/models/m:predict"
SOUND = [
    {"instances": [1.0, 2.0]},
    {"inputs": {"x": [1.0]}, "signature_name": "serving_default"},
    {"signature_name": "pairs", "instances": [{"x": [1, 2]}]},
    {"signature_name": "pixels", "instances": [{"b64": "iVBORw0KGgo="}]},
    {"signature_name": "classify", "examples": [{"x": 0.5}], "context": {"y": [1, 2]}},
]
VALUES = [None, True, -1, 2**64, 1e39, float("nan"), "", "x", "\ud800", [], [[]], [[1], [2, 3]], {}, {"b64": 1},
          {"b64": "A"}, {"x": 1}, [[[[1]]]], "é" * 300, [1, "a"], 10**400]  # fmt: skip
PATHS = [
    "/v1/models/m/../../../../etc/passwd", "/v1/models/..%2f..%2fetc%2fpasswd:predict", "/../../etc/passwd",
    "//etc/passwd",
    "/v1/models/%00:predict", "/v1/models/m/versions/../1:predict", "/v1/models/m/labels/..%2f..:predict",
    "/v1/models/m/versions/-1:predict", "/v1/models/m/versions/1%20:predict", "/static/..%2f..%2fsetup.py",
    "/v1/models/" + "m" * 4000, "/v1/models/%ff%fe:predict", "/v1/models/m:predict?x=/etc/passwd",
    "/v1/models/m/metadata/..",
]  # fmt: skip


@pytest.fixture(scope="module")
def server(tiny_versions):
    with running(model(tiny_versions[0].parent), limits=Limits(max_body=2**20, timeout=10)) as server:
        yield server


def changed(random, value):
    """A copy in which something is something else."""
    if random.random() < 0.3 or not isinstance(value, dict | list) or not value:
        return random.choice(VALUES)
    if isinstance(value, list):
        index = random.randrange(len(value))
        return [*value[:index], changed(random, value[index]), *value[index + 1 :]]
    key = random.choice(list(value))
    name = random.choice([key, key, key, "inputs", "instances", "b64", ""])
    return {**{k: v for k, v in value.items() if k != key}, name: changed(random, value[key])}


def damaged(random, body):
    """Bytes that are cut, doubled or changed."""
    body = bytearray(body)
    for _ in range(random.randrange(1, 4)):
        at = random.randrange(len(body) + 1)
        kind = random.randrange(4)
        if kind == 0:
            del body[at:]
        elif kind == 1:
            body[at:at] = random.choice([b"[" * 2000, b"\xff", b"\0", b'"', b"{", b"1e999", b"NaN", b"\\u12"])
        elif kind == 2 and body:
            body[at % len(body)] = random.randrange(256)
        else:
            del body[at : at + random.randrange(9)]
    return bytes(body)


def send(server, raw):
    """The status of an answer to raw bytes; None where the connection is closed without."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        try:
            answer = connection.recv(4096)
        except ConnectionResetError:
            return None
    return int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/1.") else None


def fuzz_rest(server, seed):
    generator = random.Random(seed)
    document = changed(generator, generator.choice(SOUND))
    body = json.dumps(document).encode()
    if generator.random() < 0.5:
        body = damaged(generator, body)
    verb = generator.choice(["predict", "predict", "predict", "classify", "regress", "explain"])
    status, _, answer = ask(server, "POST", f"/v1/models/m:{verb}", body)
    assert status in (200, 400, 404, 413, 501), (status, body, answer)
    assert status == 200 or (list(answer) == ["error"] and len(answer["error"]) < 3000)


def fuzz_http(server, seed):
    generator = random.Random(seed)
    sound = f"POST {PREDICT} HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\n\r\n" + '{"instances": [1.0]}'
    status = send(server, damaged(generator, sound.encode()))
    assert status is None or 200 <= status < 500 or status == 501, status


def fuzz_grpc(channel, seed):
    generator = random.Random(seed)
    request = messages.get("PredictRequest")()
    request.model_spec.name = "m"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0, 2.0]))
    body = damaged(generator, request.SerializeToString())
    methods = ["PredictionService/Predict", "PredictionService/Classify", "ModelService/GetModelStatus"]
    try:
        channel.unary_unary(f"/tensorflow.serving.{generator.choice(methods)}")(body, timeout=30)
    except grpc.RpcError as error:
        expected = ("INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED")
        assert error.code().name in expected, (error.code(), error.details(), body)


def alive(server):
    assert ask(server, "POST", PREDICT, {"instances": [1.0]})[2] == {"predictions": [3.5]}
    assert server.engine.active == 0 or ask(server, "GET", "/healthz")[0] == 200


def run(server, seeds):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        for seed in seeds:
            fuzz_rest(server, seed)
            fuzz_http(server, seed)
            fuzz_grpc(channel, seed)
    alive(server)


def test_hundreds(server):
    run(server, range(150))


@pytest.mark.after
def test_ten_thousand(server):
    run(server, range(1000, 4400))


@pytest.mark.parametrize("path", PATHS)
def test_paths_lead_nowhere(server, path):
    for method, body in (("GET", b""), ("POST", b'{"instances": [1.0]}')):
        head = f"{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
            connection.sendall(head.encode("latin-1") + body)
            answer = b""
            while part := connection.recv(65_536):
                answer += part
        status = int(answer.split(b" ")[1])
        assert status in (400, 404) or (status == 200 and "?" in path and method == "POST"), answer[:300]
        assert b"root:" not in answer and b"setuptools" not in answer
    alive(server)


def test_torn_images(server):
    generator = random.Random(0)
    encoded = [
        tf.io.encode_png(tf.zeros([20, 20, 3], tf.uint8)).numpy(),
        tf.io.encode_jpeg(tf.zeros([20, 20, 3], tf.uint8)).numpy(),
    ]
    for _ in range(40):
        torn = base64.b64encode(damaged(generator, generator.choice(encoded))).decode()
        body = {"signature_name": "pixels", "instances": [{"b64": torn}]}
        status, _, answer = ask(server, "POST", PREDICT, body)
        assert status == 200 or (status == 400 and "error" in answer), (status, answer)
    alive(server)
