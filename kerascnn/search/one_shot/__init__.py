"""Searches in one training: all networks of a space share their weights in a supernet.

    result = darts(space, source, DartsConfig(epochs=10), "searches/darts")
    result.genotype, result.history

Needs TensorFlow and Keras; the rest of `kerascnn.search` does not.
"""

from kerascnn.search.one_shot.architecture_gradient import Inner, architecture_gradient
from kerascnn.search.one_shot.config import DartsConfig, EnasConfig
from kerascnn.search.one_shot.controllers import BlockController, ChainController
from kerascnn.search.one_shot.darts import darts
from kerascnn.search.one_shot.enas import enas
from kerascnn.search.one_shot.macro import MacroSupernet, macro_network
from kerascnn.search.one_shot.network import network
from kerascnn.search.one_shot.result import Result
from kerascnn.search.one_shot.sizes import filters_for
from kerascnn.search.one_shot.supernet import Supernet

__all__ = [
    "BlockController",
    "ChainController",
    "DartsConfig",
    "EnasConfig",
    "Inner",
    "MacroSupernet",
    "Result",
    "Supernet",
    "architecture_gradient",
    "darts",
    "enas",
    "filters_for",
    "macro_network",
    "network",
]
