"""TensorFlow Serving's documented requests and answers over HTTP, case by case."""

import base64
import gzip
import json
import math

import pytest
from server.running_server import ask, model, running

from kerascnn.serving.server.model import State


@pytest.fixture(scope="module")
def server(tiny_versions):
    """Both versions of the tiny model, the first one labelled."""
    with running(model(tiny_versions[0].parent, latest=2, labels={"stable": 2})) as server:
        yield server


def b64(contents):
    return {"b64": base64.b64encode(contents).decode()}


PREDICT = "/v1/models/m:predict"
TYPES = {"d": [1 / 3], "i": [-1], "l": [2**63 - 1], "u": [255], "b": [True], "s": [b64(b"\0\xff")]}

# (method, path, body) -> (status, answer): a text is part of the error.
CASES = [
    # Predict: formats, versions, labels.
    ("POST", PREDICT, {"instances": [1.0, 2.0, 5.0]}, 200, {"predictions": [3.5, 4.0, 5.5]}),
    ("POST", PREDICT, {"inputs": [1.0, 2.0]}, 200, {"outputs": [3.5, 4.0]}),
    ("POST", PREDICT, {"inputs": {"x": [1.0]}, "signature_name": "serving_default"}, 200, {"outputs": [3.5]}),
    ("POST", "/v1/models/m/versions/2:predict", {"instances": [1]}, 200, {"predictions": [2.5]}),
    ("POST", "/v1/models/m/labels/stable:predict", {"instances": [1]}, 200, {"predictions": [2.5]}),
    ("POST", "/V1/Models/m:Predict", {"instances": [1]}, 200, {"predictions": [3.5]}),
    ("POST", "/v1/models/%6d:predict", {"instances": [{"x": 1}]}, 200, {"predictions": [3.5]}),
    ("POST", PREDICT, {"signature_name": "scalar", "inputs": 4.0}, 200, {"outputs": 0.25}),
    (
        "POST", PREDICT, {"signature_name": "pairs", "instances": [[1, 2], [3, 4]]}, 200,
        {"predictions": [{"pair": [1.0, 2.0], "sum": 3.0}, {"pair": [3.0, 4.0], "sum": 7.0}]},
    ),
    (
        "POST", PREDICT, {"signature_name": "pairs", "inputs": {"x": [[1, 2]]}}, 200,
        {"outputs": {"pair": [[1.0, 2.0]], "sum": [3.0]}},
    ),
    (
        "POST", PREDICT, {"signature_name": "types", "inputs": {**TYPES, "s": ["é"]}}, 200,
        {"outputs": {"d": [1 / 3], "i": [-1], "l": [2**63 - 1], "u": [255], "b": [True], "s": ["é"],
                     "s_bytes": [b64("é".encode())]}},
    ),
    (
        "POST", PREDICT, {"signature_name": "types", "instances": [{key: value[0] for key, value in TYPES.items()}]},
        200,
        {"predictions": [{"d": 1 / 3, "i": -1, "l": 2**63 - 1, "u": 255, "b": True, "s": "\0\ufffd",
                          "s_bytes": b64(b"\0\xff")}]},
    ),
    # Classify and regress.
    (
        "POST", "/v1/models/m:classify", {"signature_name": "classify", "examples": [{"x": 0.25}, {"x": [1.0]}]}, 200,
        {"results": [[["low", 0.75], ["high", 0.25]], [["low", 0.0], ["high", 1.0]]]},
    ),
    (
        "POST", "/v1/models/m:classify", {"signature_name": "classify", "context": {"x": 0.25}, "examples": [{}]}, 200,
        {"results": [[["low", 0.75], ["high", 0.25]]]},
    ),
    (
        "POST", "/v1/models/m:regress", {"signature_name": "regress", "examples": [{"x": 1.0}, {"x": 2.0}]}, 200,
        {"results": [3.5, 4.0]},
    ),
    (
        "POST", "/v1/models/m:regress", {"examples": [{"x": 1.0}]}, 400,
        "Expected regression signature method_name to be tensorflow/serving/regress. Was: tensorflow/serving/predict",
    ),
    (
        "POST", "/v1/models/m:classify", {"examples": [{"x": 1.0}]}, 400,
        "Expected classification signature method_name to be tensorflow/serving/classify. Was: "
        "tensorflow/serving/predict",
    ),
    ("POST", "/v1/models/m:classify", {"signature_name": "no", "examples": [{}]}, 400,
     "No signature was found with the name: no"),
    ("POST", "/v1/models/m:classify", {}, 400, "key 'examples' is expected and was not found"),
    ("POST", "/v1/models/m:classify", {"signature_name": "classify", "examples": [{"x": 1}]}, 400, "x"),
    # What is not there.
    ("POST", "/v1/models/half:predict", {"instances": [1]}, 404, "Servable not found for request: Latest(half)"),
    ("POST", "/v1/models/m/versions/7:predict", {"instances": [1]}, 404,
     "Servable not found for request: Specific(m, 7)"),
    ("POST", "/v1/models/m/labels/no:predict", {"instances": [1]}, 400, "Unrecognized servable version label: no"),
    ("POST", PREDICT, {"signature_name": "no", "instances": [1]}, 400,
     'Serving signature name: "no" not found in signature def'),
    ("POST", "/v1/models/m/versions/18446744073709551615:predict", {"instances": [1]}, 400,
     "Failed to convert version: 18446744073709551615 to numeric."),
    ("POST", "/v1/models/m/versions/HELLO:predict", {}, 400, "Malformed request: POST /v1/models/m/versions/HELLO:pr"),
    ("POST", "/v1/models/m:explain", {}, 400, "Malformed request: POST /v1/models/m:explain"),
    ("POST", "/v1/models/m", {}, 400, "Malformed request: POST /v1/models/m"),
    ("GET", PREDICT, None, 400, "Malformed request: GET /v1/models/m:predict"),
    ("PUT", PREDICT, {}, 400, "Malformed request: PUT /v1/models/m:predict"),
    ("GET", "/v1/models", None, 400, "Missing model name in request."),
    ("GET", "/v1/foo", None, 400, "Malformed request: GET /v1/foo"),
    ("GET", "/favicon.ico", None, 404, "There is no such address"),
    # What does not fit.
    ("POST", PREDICT, b"", 400, "JSON Parse error: The document is empty"),
    ("POST", PREDICT, b"instances = [1, 2]", 400, "JSON Parse error: Invalid value. at offset: 0"),
    ("POST", "/v1/models/half:predict", b"{", 400, "JSON Parse error"),  # the body is read before the model is sought
    ("POST", PREDICT, {"signature_name": 100}, 400, "'signature_name' key must be a string value."),
    ("POST", PREDICT, {}, 400, "Missing 'inputs' or 'instances' key"),
    ("POST", PREDICT, {"instances": ["x", "y"]}, 400, "Failed to process element: 0 of 'instances' list. Error: "
     'INVALID_ARGUMENT: JSON Value: "x" Type: String is not of expected type: float'),
    ("POST", PREDICT, {"instances": [[1], [2]]}, 400, "Input x must have shape [?]. Received: [2,1]"),
    ("POST", PREDICT, {"signature_name": "scalar", "instances": [1.0]}, 400, "must have shape []. Received: [1]"),
    ("POST", PREDICT, {"signature_name": "pixels", "instances": [b64(b"no image")]}, 400, "Unknown image file format"),
    # Status.
    ("GET", "/v1/models/m/versions/2", None, 200, {"model_version_status": [
        {"version": "2", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}]}),
    ("GET", "/v1/models/m", None, 200, {"model_version_status": [
        {"version": "3", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}},
        {"version": "2", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}]}),
    ("GET", "/v1/models/m/labels/stable", None, 200, {"model_version_status": [
        {"version": "2", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}]}),
    ("GET", "/v1/models/m/versions/7", None, 404, "Could not find version 7 of model m"),
    ("GET", "/v1/models/half", None, 404, "Could not find any versions of model half"),
    ("GET", "/v1/models/half/metadata", None, 404, "Servable not found for request: Latest(half)"),
]  # fmt: skip


@pytest.mark.parametrize("method, path, body, status, answer", CASES)
def test_documented_requests(server, method, path, body, status, answer):
    got, headers, document = ask(server, method, path, body)
    assert (got, headers["Content-Type"]) == (status, "application/json"), document
    if isinstance(answer, str):
        assert list(document) == ["error"] and answer in document["error"]
    else:
        assert document == answer


def test_numbers_json_does_not_have(server):
    body = b'{"instances": [NaN, Infinity, -Infinity]}'
    _, _, document = ask(server, "POST", PREDICT, body)
    first, *others = document["predictions"]
    assert math.isnan(first) and others == [math.inf, -math.inf]
    assert ask(server, "POST", PREDICT, {"signature_name": "scalar", "inputs": 0.0})[2] == {"outputs": math.inf}


def test_metadata(server):
    status, _, document = ask(server, "GET", "/v1/models/m/versions/2/metadata")
    assert status == 200
    assert document["model_spec"] == {"name": "m", "signature_name": "", "version": "2"}
    signatures = document["metadata"]["signature_def"]["signature_def"]
    default = signatures["serving_default"]
    assert default["method_name"] == "tensorflow/serving/predict"
    given = default["inputs"]["x"]
    assert given["name"].startswith("serving_default_x")
    assert (given["dtype"], given["tensor_shape"]) == (
        "DT_FLOAT",
        {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
    )
    assert set(signatures["types"]["outputs"]) == {"d", "i", "l", "u", "b", "s", "s_bytes"}
    assert signatures["classify"]["method_name"] == "tensorflow/serving/classify"


def test_compressed_bodies_and_a_lowercase_header(server):
    body = gzip.compress(json.dumps({"instances": [1.0]}).encode())
    assert ask(server, "POST", PREDICT, body, {"content-encoding": "gzip"})[2] == {"predictions": [3.5]}
    status, _, document = ask(server, "POST", PREDICT, b"no gzip", {"Content-Encoding": "gzip"})
    assert status == 400, document


def test_health_readiness_and_figures(server):
    assert ask(server, "GET", "/healthz")[::2] == (200, {"status": "alive"})
    assert ask(server, "GET", "/readyz")[::2] == (200, {"status": "ready"})
    ask(server, "POST", PREDICT, {"instances": [1]})
    page = server.metrics.page().decode()
    assert 'kerascnn_serving_requests_total{code="OK",method="predict",model="m",protocol="rest"}' in page
    assert 'kerascnn_serving_version_state{model="m",version="3"} 30.0' in page
    ask(server, "POST", "/v1/models/made-up:predict", {"instances": [1]})
    assert "made-up" not in server.metrics.page().decode()  # a stranger cannot make labels


def test_not_ready_while_nothing_is_loaded(tmp_path):
    (tmp_path / "1").mkdir()
    watched = model(tmp_path)
    with running(watched, wait=False) as server:
        for _ in range(100):
            if any(version.state is State.END for version in list(watched.versions.values())):
                break
            ask(server, "GET", "/healthz")
        assert ask(server, "GET", "/readyz")[::2] == (503, {"status": "not ready"})
        status, _, document = ask(server, "GET", "/v1/models/m")
        (row,) = document["model_version_status"]
        assert (status, row["state"], row["status"]["error_code"]) == (200, "END", "NOT_FOUND")
        assert "Could not find SavedModel .pb" in row["status"]["error_message"]
        assert ask(server, "POST", PREDICT, {"instances": [1]})[0] == 404
