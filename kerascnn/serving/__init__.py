"""From a trained model to a SavedModel that an unmodified TensorFlow Serving loads, and back as a client.

`kerascnn.serving.Client` needs the standard library and NumPy only, so names are imported at their first use.
"""

from typing import TYPE_CHECKING

from kerascnn import _lazy

if TYPE_CHECKING:
    from kerascnn.serving.checking import CheckReport, check, read_report
    from kerascnn.serving.client import Client, GrpcClient, Retries, ServerError
    from kerascnn.serving.exporting import export
    from kerascnn.serving.formats import load

__all__ = ["CheckReport", "Client", "GrpcClient", "Retries", "ServerError", "check", "export", "load", "read_report"]

__getattr__, __dir__ = _lazy.attach(
    __name__,
    {
        "checking": ["CheckReport", "check", "read_report"],
        "client": ["Client", "GrpcClient", "Retries", "ServerError"],
        "exporting": ["export"],
        "formats": ["load"],
    },
)
