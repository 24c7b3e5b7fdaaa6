"""A client for TensorFlow Serving's REST interface; needs the standard library and NumPy only.

Source: tensorflow/serving, g3doc/api_rest.md.
"""

import base64
import http.client
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn._errors import InputError


def image_body(images: Sequence[str | os.PathLike | bytes]) -> dict[str, Any]:
    """The JSON body that asks signature `serving_default` about encoded images.

    Args:
        images: paths of files, or their contents.

    Returns:
        {"signature_name": ..., "instances": [{"image_bytes": {"b64": ...}}, ...]}.

    Raises:
        InputError: there is no image, or a file cannot be read.
    """
    if not len(images):
        raise InputError("At least one image must be given. Received: none")
    instances = []
    for image in images:
        try:
            contents = image if isinstance(image, bytes) else Path(image).read_bytes()
        except OSError as error:
            raise InputError(f"The image cannot be read ({error.strerror}). Received: {image}") from error
        instances.append({"image_bytes": {"b64": base64.b64encode(contents).decode()}})
    return {"signature_name": "serving_default", "instances": instances}


def tensor_body(images: np.ndarray) -> dict[str, Any]:
    """The JSON body that asks signature `tensors` about preprocessed images.

    Args:
        images: float [n, height, width, channels].

    Returns:
        {"signature_name": "tensors", "instances": nested lists}.

    Raises:
        InputError: another rank, no image, or a value that is not finite, which JSON cannot say.
    """
    images = np.asarray(images, np.float32)
    if images.ndim != 4 or not images.size:
        raise InputError(f"Images must be [n, height, width, channels]. Received: shape {images.shape}")
    if not np.isfinite(images).all():
        raise InputError("Images must be finite numbers. Received: NaN or infinity")
    return {"signature_name": "tensors", "instances": images.tolist()}


class Client:
    """Asks one model on one server.

    Args:
        url: of the server's REST port, for example "http://localhost:8501".
        model: the name that the server gives the model (MODEL_NAME).
        version: a version number; None: the highest that is loaded.
        timeout: seconds that one request may take.
    """

    def __init__(self, url: str, model: str, version: int | None = None, timeout: float = 30.0):
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise InputError(f"The server's address must begin with http:// or https://. Received: {url}")
        versions = "" if version is None else f"/versions/{version}"
        self.address = f"{url.rstrip('/')}/v1/models/{urllib.parse.quote(model, safe='')}{versions}"
        self.timeout = timeout

    def ready(self) -> bool:
        """Whether a version of the model is loaded and answers.

        Raises:
            InputError: the server is not there, or does not know the model.
        """
        states = self._json("").get("model_version_status", [])
        return any(state.get("state") == "AVAILABLE" for state in states)

    def classify(self, images: Sequence[str | os.PathLike | bytes]) -> list[list[tuple[str, float]]]:
        """The most probable classes of encoded images.

        Args:
            images: paths of files, or their contents.

        Returns:
            For each image (class name, probability) pairs, most probable first.

        Raises:
            InputError: a file cannot be read; the server is not there, refuses, or answers something else.
        """
        answers = self._predictions(image_body(images), len(images))
        try:
            return [list(zip(row["classes"], row["probabilities"], strict=True)) for row in answers]
        except (TypeError, KeyError, ValueError) as error:
            rule = "The server must run an export of kerascnn for classification"
            raise InputError(f"{rule}. Received: {str(answers)[:200]}") from error

    def segment(self, images: Sequence[str | os.PathLike | bytes]) -> np.ndarray:
        """The class of each pixel of encoded images, as they are fitted into the network's input.

        Args:
            images: paths of files, or their contents.

        Returns:
            uint8 [n, height, width], numbers of the lines of the model's assets/class_names.txt.

        Raises:
            InputError: a file cannot be read; the server is not there, refuses, or answers something else.
        """
        answers = self._predictions(image_body(images), len(images))
        try:
            return np.asarray([row["class_map"] for row in answers], np.uint8)
        except (TypeError, KeyError, ValueError) as error:
            rule = "The server must run an export of kerascnn for segmentation"
            raise InputError(f"{rule}. Received: {str(answers)[:200]}") from error

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """The probabilities of all classes for preprocessed images.

        Args:
            images: float [n, height, width, channels].

        Returns:
            float32 [n, classes] or, for segmentation, [n, height, width, classes], in the order of the model's
            assets/class_names.txt.

        Raises:
            InputError: as for `classify`.
        """
        answers = self._predictions(tensor_body(images), len(images))
        try:
            values = np.asarray(answers, np.float32)
            return values if values.ndim == 4 else values.reshape(len(images), -1)
        except (TypeError, ValueError) as error:
            raise InputError(f"The server must run an export of kerascnn. Received: {str(answers)[:200]}") from error

    def _predictions(self, body: dict[str, Any], count: int) -> list:
        answers = self._json(":predict", body).get("predictions")
        if not isinstance(answers, list) or len(answers) != count:
            raise InputError(f"The server must answer {count} predictions. Received: {str(answers)[:200]}")
        return answers

    def _json(self, call: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + call, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                reason = _server_error(error.read())
            raise InputError(f"The server refused ({error.code}: {reason}). Received: {request.full_url}") from error
        except ValueError as error:
            raise InputError(f"The server must answer in JSON. Received: {request.full_url}") from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error or type(error).__name__
            raise InputError(f"The server cannot be reached ({reason}). Received: {request.full_url}") from error
        if not isinstance(answer, dict):
            raise InputError(f"The server must answer a JSON object. Received: {str(answer)[:200]}")
        return answer


def _server_error(body: bytes) -> str:
    """TensorFlow Serving says {"error": "..."}; a proxy in between may say anything."""
    try:
        reason = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        reason = body.decode(errors="replace")
    return " ".join(str(reason).split())[:300] or "no reason given"
