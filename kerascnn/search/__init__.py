"""Searching for networks: spaces, strategies and evaluators, and a loop with a journal that outlives a kill.

    run(space, strategy, evaluator, budget="20m", out="searches/a", workers=2) -> History

A space (`kerascnn.search.spaces`) holds candidates, a strategy (`kerascnn.search.strategies`) proposes some of them,
and an evaluator, any function, says how good they are. `grid_search` is compound scaling's search with its own
journal, and the only one here that imports TensorFlow and Keras, at its first use.
"""

from typing import TYPE_CHECKING

from kerascnn import _lazy
from kerascnn.search.best import Best, load_best, save_best
from kerascnn.search.candidates import Candidate, candidates
from kerascnn.search.cluster import Cluster
from kerascnn.search.front import HARD, SOFT, mnasnet_reward, pareto_front
from kerascnn.search.history import History, Trial
from kerascnn.search.journal import Journal
from kerascnn.search.protocol import Evaluator, Space, Strategy
from kerascnn.search.records import Proposal, Result
from kerascnn.search.run import run
from kerascnn.search.workers import Workers

if TYPE_CHECKING:
    from kerascnn.search import comparison, drawing, evaluators, one_shot, spaces, strategies
    from kerascnn.search.building import Networks
    from kerascnn.search.compound import grid_search, ranking, table

__all__ = [
    "EPOCHS",
    "HARD",
    "SOFT",
    "Best",
    "Candidate",
    "Cluster",
    "Evaluator",
    "History",
    "Journal",
    "Networks",
    "Proposal",
    "Result",
    "Space",
    "Strategy",
    "Trial",
    "Workers",
    "candidates",
    "comparison",
    "drawing",
    "evaluators",
    "grid_search",
    "load_best",
    "mnasnet_reward",
    "one_shot",
    "pareto_front",
    "ranking",
    "run",
    "save_best",
    "spaces",
    "strategies",
    "table",
]

EPOCHS = 5  # of a candidate, unless told otherwise


__getattr__, __dir__ = _lazy.attach(
    __name__,
    {"building": ["Networks"], "compound": ["grid_search", "ranking", "table"]},
    ["comparison", "drawing", "evaluators", "one_shot", "spaces", "strategies"],
)
