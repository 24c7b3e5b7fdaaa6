"""A client for TensorFlow Serving's gRPC services; needs grpcio and protobuf, not TensorFlow.

Source: tensorflow/serving, apis/{prediction_service,model_service}.proto; grpc/grpc, doc/statuscodes.md.
"""

import sys
import threading
from collections.abc import Mapping
from typing import Any

from kerascnn import _check
from kerascnn._errors import InputError

try:
    import grpc
    from google.protobuf.message import DecodeError

    from kerascnn.serving.client import messages
except ImportError as error:
    raise InputError(
        f'GrpcClient needs {error.name}, which is not installed: pip install "kerascnn[serve]". '
        f"Received: {sys.executable}"
    ) from error

from kerascnn.serving.client import tensors
from kerascnn.serving.client.asking import ModelClient
from kerascnn.serving.client.errors import ServerError, late, refused
from kerascnn.serving.client.records import CODES, STATES, Signature, VersionStatus
from kerascnn.serving.client.retrying import Deadline

_PREDICTION, _MODEL = "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"
_SIGNATURES = "signature_def"  # the only field of the metadata
_PUSHBACK = "grpc-retry-pushback-ms"  # what a server sends to be left alone for a while
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_retries", 0),  # they are made here, within the deadline
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


class GrpcClient(ModelClient):
    """Asks one model on one server over gRPC; what can be asked is told by `ModelClient`.

    Numbers travel as they are in memory, so that `probabilities` and `classify_pixels` cost a tenth of what they do
    over REST.

    Args:
        target: of the server's gRPC port, for example "localhost:8500".
        model: the name that the server gives the model (MODEL_NAME).
        version: a version number; None: the highest that is loaded.
        timeout: seconds for one request with all its attempts.
        credentials: of `grpc.ssl_channel_credentials`; None: no encryption.
        **options: `label`, `retries`, `max_batch`, `in_flight` of `ModelClient`.

    Raises:
        InputError: an argument cannot be used, or grpcio is not installed.

    Example:

        from kerascnn.serving import GrpcClient

        with GrpcClient("localhost:8500", "flowers") as client:
            client.wait_until_ready()
            client.classify(["tulip.jpg"])  # [[("tulip", 0.93), ("rose", 0.04), ...]]
    """

    def __init__(
        self,
        target: str,
        model: str,
        version: int | None = None,
        timeout: float = 30.0,
        *,
        credentials: "grpc.ChannelCredentials | None" = None,
        **options: Any,
    ):
        super().__init__(model, version, timeout, **options)
        target = target.removeprefix("grpc://") if isinstance(target, str) else target
        if not isinstance(target, str) or not target or "://" in target:
            raise _check.refuse("target", 'an address of gRPC, "localhost:8500"', target)
        self.target, self._credentials = target, credentials
        self.address = f"{target}/{model}"
        self._open: Any = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Closes the connection; the next request opens a new one."""
        with self._lock:
            channel, self._open = self._open, None
        if channel is not None:
            channel.close()

    def _channel(self) -> Any:
        with self._lock:  # one channel for all threads
            if self._open is None and self._credentials is None:
                self._open = grpc.insecure_channel(self.target, _OPTIONS)
            elif self._open is None:
                self._open = grpc.secure_channel(self.target, self._credentials, _OPTIONS)
            return self._open

    def _ask(self, signature: str, name: str, values: Any, deadline: Deadline) -> Mapping[str, Any]:
        request = self._request("PredictRequest")
        request.model_spec.signature_name = signature
        tensors.fill(request.inputs[name], values)
        answer = self._call(_PREDICTION, "Predict", request, "PredictResponse", deadline)
        return {name: tensors.to_array(proto) for name, proto in answer.outputs.items()}

    def _status(self, deadline: Deadline) -> list[VersionStatus]:
        request = self._request("GetModelStatusRequest")
        answer = self._call(_MODEL, "GetModelStatus", request, "GetModelStatusResponse", deadline)
        return [
            VersionStatus(
                row.version,
                STATES.get(row.state, str(row.state)),
                CODES[row.status.error_code] if 0 <= row.status.error_code < len(CODES) else "UNKNOWN",
                row.status.error_message,
            )
            for row in answer.model_version_status
        ]

    def _signatures(self, deadline: Deadline) -> dict[str, Signature]:
        request = self._request("GetModelMetadataRequest")
        request.metadata_field.append(_SIGNATURES)
        answer = self._call(_PREDICTION, "GetModelMetadata", request, "GetModelMetadataResponse", deadline)
        found = self._read("SignatureDefMap", answer.metadata[_SIGNATURES].value)
        return {
            name: Signature(
                {key: tensors.info(proto) for key, proto in definition.inputs.items()},
                {key: tensors.info(proto) for key, proto in definition.outputs.items()},
                definition.method_name,
            )
            for name, definition in found.signature_def.items()
        }

    def _request(self, kind: str) -> Any:
        request: Any = messages.get(kind)()
        request.model_spec.name = self.model
        if self.version is not None:
            request.model_spec.version.value = self.version
        if self.label is not None:
            request.model_spec.version_label = self.label
        return request

    def _call(self, service: str, method: str, request: Any, answer: str, deadline: Deadline) -> Any:
        seconds = deadline.left()
        if seconds <= 0:
            raise late(deadline.seconds, self.address)
        ask = self._channel().unary_unary(f"/{service}/{method}")
        try:
            return self._read(answer, ask(request.SerializeToString(), timeout=seconds))
        except grpc.RpcError as error:
            raise self._error(error, deadline) from error

    def _read(self, kind: str, body: bytes) -> Any:
        try:
            return messages.get(kind).FromString(body)
        except DecodeError as error:
            raise ServerError(f"The server must answer with a {kind}. Received: {len(body)} bytes") from error

    def _error(self, error: Any, deadline: Deadline) -> ServerError:
        code, words = error.code().name, error.details() or ""
        if code == "DEADLINE_EXCEEDED" and deadline.left() <= 0:
            return late(deadline.seconds, self.address)
        wait = 0.0
        for key, value in error.trailing_metadata() or ():
            if key == _PUSHBACK:
                wait = int(value) / 1000 if str(value).isdecimal() else -1.0
        return refused(code, words, self.address, wait)
