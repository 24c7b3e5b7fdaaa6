"""Ops, networks, exports and servers beside their peers, in one run: what `kerascnn benchmark` does.

Nothing here imports TensorFlow before it times something, and what it times runs in processes of their own, except ops.
"""

from typing import TYPE_CHECKING

from kerascnn import _lazy
from kerascnn.benchmark.cases import SHAPES, Case, choose

if TYPE_CHECKING:
    from kerascnn.benchmark.exports import time_exports
    from kerascnn.benchmark.networks import time_networks
    from kerascnn.benchmark.runtimes import RUNTIMES, Runtime
    from kerascnn.benchmark.settings import Settings

__all__ = ["RUNTIMES", "SHAPES", "Case", "Runtime", "Settings", "choose", "time_exports", "time_networks"]

__getattr__, __dir__ = _lazy.attach(
    __name__,
    {
        "exports": ["time_exports"],
        "networks": ["time_networks"],
        "runtimes": ["RUNTIMES", "Runtime"],
        "settings": ["Settings"],
    },
)
