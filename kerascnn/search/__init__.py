"""Searching for networks: compound scaling's grid search, with a journal that outlives a kill.

`candidates` and `Journal` import neither TensorFlow nor Keras; `grid_search` does, at its first use.
"""

from typing import TYPE_CHECKING

from kerascnn import _lazy
from kerascnn.search.candidates import Candidate, candidates
from kerascnn.search.journal import Journal

if TYPE_CHECKING:
    from kerascnn.search.compound import grid_search, ranking, table

__all__ = ["EPOCHS", "Candidate", "Journal", "candidates", "grid_search", "ranking", "table"]

EPOCHS = 5  # of a candidate, unless told otherwise


__getattr__, __dir__ = _lazy.attach(__name__, {"compound": ["grid_search", "ranking", "table"]})
