"""Searching for networks: compound scaling's grid search, with a journal that outlives a kill.

`candidates` and `Journal` import neither TensorFlow nor Keras; `grid_search` does, at its first use.
"""

import importlib

from kerascnn.search.candidates import Candidate, candidates
from kerascnn.search.journal import Journal

__all__ = ["EPOCHS", "Candidate", "Journal", "candidates", "grid_search", "ranking", "table"]

EPOCHS = 5  # of a candidate, unless told otherwise


def __getattr__(name: str):
    if name in ("grid_search", "ranking", "table"):
        return getattr(importlib.import_module(f"{__name__}.compound"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
