"""What finds out how good a candidate is: shortened trainings, recorded tables, scores of untrained networks.

None imports TensorFlow or Keras before it evaluates.
"""

from kerascnn.search.evaluators.one_graph import OneGraph
from kerascnn.search.evaluators.proxies import PROXIES, ZeroCost, gradient_norm, naswot, parameters, synflow
from kerascnn.search.evaluators.table import Table
from kerascnn.search.evaluators.training import Training

__all__ = [
    "PROXIES",
    "OneGraph",
    "Table",
    "Training",
    "ZeroCost",
    "gradient_norm",
    "naswot",
    "parameters",
    "synflow",
]
