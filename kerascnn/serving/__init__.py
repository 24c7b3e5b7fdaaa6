"""From a trained model to a SavedModel that an unmodified TensorFlow Serving loads, and back as a client.

`kerascnn.serving.client` needs the standard library and NumPy only, so names are imported at their first use.
"""

from typing import TYPE_CHECKING

from kerascnn import _lazy

if TYPE_CHECKING:
    from kerascnn.inference.saved_model import load
    from kerascnn.serving.checking import CheckReport, check, read_report
    from kerascnn.serving.client import Client
    from kerascnn.serving.exporting import export

__all__ = ["CheckReport", "Client", "check", "export", "load", "read_report"]

__getattr__, __dir__ = _lazy.attach(
    __name__,
    {
        "checking": ["CheckReport", "check", "read_report"],
        "client": ["Client"],
        "exporting": ["export"],
        "kerascnn.inference.saved_model": ["load"],
    },
)
