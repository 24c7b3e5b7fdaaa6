"""A client for TensorFlow Serving's REST interface; needs the standard library and NumPy only.

Source: tensorflow/serving, g3doc/api_rest.md.
"""

import base64
import json
import math
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from kerascnn.serving.client import inputs
from kerascnn.serving.client.asking import ModelClient
from kerascnn.serving.client.connections import Answer, Connections
from kerascnn.serving.client.errors import ServerError, refused
from kerascnn.serving.client.inputs import Image
from kerascnn.serving.client.records import CODES, NAMES, Signature, TensorInfo, VersionStatus
from kerascnn.serving.client.retrying import Deadline


def image_body(images: Iterable[Image]) -> dict[str, Any]:
    """The JSON body that asks signature `serving_default` about encoded images.

    Args:
        images: paths of files, or their contents.

    Returns:
        {"signature_name": ..., "instances": [{"image_bytes": {"b64": ...}}, ...]}.

    Raises:
        InputError: there is no image, or a file cannot be read.
    """
    return _body("serving_default", "image_bytes", list(inputs.files(images)))


def tensor_body(images: np.ndarray) -> dict[str, Any]:
    """The JSON body that asks signature `tensors` about preprocessed images.

    Args:
        images: float [n, height, width, channels].

    Returns:
        {"signature_name": "tensors", "instances": nested lists}.

    Raises:
        InputError: another rank, no image, or a value that is not finite, which JSON cannot say.
    """
    return _body("tensors", "images", inputs.tensors(images))


def _body(signature: str, name: str, values: list[bytes] | np.ndarray) -> dict[str, Any]:
    if isinstance(values, np.ndarray):
        instances: list[Any] = values.tolist()
    else:
        instances = [{name: {"b64": base64.b64encode(value).decode()}} for value in values]
    return {"signature_name": signature, "instances": instances}


class Client(ModelClient):
    """Asks one model on one server over REST; what can be asked is told by `ModelClient`.

    Args:
        url: of the server's REST port, for example "http://localhost:8501"; https where a proxy speaks it.
        model: the name that the server gives the model (MODEL_NAME).
        version: a version number; None: the highest that is loaded.
        timeout: seconds for one request with all its attempts.
        **options: `label`, `retries`, `max_batch`, `in_flight` of `ModelClient`.

    Raises:
        InputError: an argument cannot be used.

    Example:

        from kerascnn.serving import Client

        with Client("http://localhost:8501", "flowers") as client:
            client.wait_until_ready()
            client.classify(["tulip.jpg"])  # [[("tulip", 0.93), ("rose", 0.04), ...]]
    """

    def __init__(self, url: str, model: str, version: int | None = None, timeout: float = 30.0, **options: Any):
        super().__init__(model, version, timeout, **options)
        self._connections = Connections(url)
        chosen = "" if self.version is None else f"/versions/{self.version}"
        if self.label is not None:
            chosen = f"/labels/{urllib.parse.quote(self.label, safe='')}"
        self.address = f"{url.rstrip('/')}/v1/models/{urllib.parse.quote(model, safe='')}{chosen}"

    def close(self) -> None:
        """Closes the connections; the next request opens new ones."""
        self._connections.close()

    def _ask(self, signature: str, name: str, values: Any, deadline: Deadline) -> Mapping[str, Any]:
        rows = self._json(":predict", _body(signature, name, values), deadline).get("predictions")
        if not isinstance(rows, list) or len(rows) != len(values):
            raise ServerError(f"The server must answer {len(values)} predictions. Received: {str(rows)[:200]}")
        if not all(isinstance(row, dict) for row in rows):
            return {"": rows}
        return {key: [row.get(key) for row in rows] for key in rows[0]}

    def _status(self, deadline: Deadline) -> list[VersionStatus]:
        answer = self._json("", None, deadline)
        try:
            return [_version(row) for row in answer.get("model_version_status", [])]
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise _unlike(answer) from error

    def _signatures(self, deadline: Deadline) -> dict[str, Signature]:
        answer = self._json("/metadata", None, deadline)
        try:
            found = answer["metadata"]["signature_def"]["signature_def"]
            return {name: _signature(definition) for name, definition in found.items()}
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise _unlike(answer) from error

    def _json(self, call: str, body: dict[str, Any] | None, deadline: Deadline) -> dict[str, Any]:
        url = self.address + call
        data = None if body is None else json.dumps(body).encode()
        answer = self._connections.exchange("GET" if data is None else "POST", url, data, deadline)
        if not 200 <= answer.status < 300:
            raise refused(answer.status, _server_error(answer.body), url, _wait(answer))
        try:
            found = json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise ServerError(f"The server must answer in JSON. Received: {url}") from error
        if not isinstance(found, dict):
            raise ServerError(f"The server must answer a JSON object. Received: {str(found)[:200]}")
        return found


def _unlike(answer: Any) -> ServerError:
    return ServerError(f"The server must answer as TensorFlow Serving does. Received: {str(answer)[:200]}")


def _version(row: dict[str, Any]) -> VersionStatus:
    status = row.get("status", {})
    code = status.get("error_code", "OK")
    code = CODES[code] if isinstance(code, int) and code < len(CODES) else str(code)
    return VersionStatus(int(row["version"]), row["state"], code, status.get("error_message", ""))


def _signature(definition: dict[str, Any]) -> Signature:
    ends = [{name: _tensor(info) for name, info in definition.get(end, {}).items()} for end in ("inputs", "outputs")]
    return Signature(*ends, definition.get("method_name", ""))


def _tensor(info: dict[str, Any]) -> TensorInfo:
    shape = info.get("tensor_shape", {})
    sizes = tuple(None if int(dim["size"]) < 0 else int(dim["size"]) for dim in shape.get("dim", []))
    return TensorInfo(NAMES.get(info["dtype"], info["dtype"]), None if shape.get("unknown_rank") else sizes)


def _server_error(body: bytes) -> str:
    """TensorFlow Serving says {"error": "..."}; a proxy in between may say anything."""
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return body.decode(errors="replace")


def _wait(answer: Answer) -> float:
    """Seconds of Retry-After; a date is left out, since clocks differ."""
    try:
        seconds = float(answer.headers.get("Retry-After") or 0)
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0
