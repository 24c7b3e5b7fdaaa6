"""Clients of exported models, on TensorFlow Serving or `kerascnn serve` alike.

`Client` speaks REST and needs the standard library and NumPy only; `GrpcClient` needs grpcio, and is imported at its
first use.
"""

from typing import TYPE_CHECKING

from kerascnn import _lazy
from kerascnn.serving.client.errors import ServerError
from kerascnn.serving.client.records import Signature, TensorInfo, VersionStatus
from kerascnn.serving.client.rest import Client, image_body, tensor_body
from kerascnn.serving.client.retrying import Retries

if TYPE_CHECKING:
    from kerascnn.serving.client.grpc import GrpcClient

__all__ = [
    "Client",
    "GrpcClient",
    "Retries",
    "ServerError",
    "Signature",
    "TensorInfo",
    "VersionStatus",
    "image_body",
    "tensor_body",
]

__getattr__, _ = _lazy.attach(__name__, {"grpc": ["GrpcClient"]})
