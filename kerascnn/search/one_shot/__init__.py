"""Searches in one training: all networks of a space share their weights in a supernet.

    result = darts(space, source, DartsConfig(epochs=10), "searches/darts")
    result.genotype, result.history

Needs TensorFlow and Keras; the rest of `kerascnn.search` does not.
"""

from kerascnn.search.one_shot.architecture_gradient import Inner, architecture_gradient
from kerascnn.search.one_shot.banks import bank_network
from kerascnn.search.one_shot.config import DartsConfig, EnasConfig, NaoConfig, SharedConfig, SmashConfig
from kerascnn.search.one_shot.controllers import BlockController, ChainController
from kerascnn.search.one_shot.darts import darts
from kerascnn.search.one_shot.enas import enas
from kerascnn.search.one_shot.macro import MacroSupernet, macro_network
from kerascnn.search.one_shot.nao_ws import nao_ws
from kerascnn.search.one_shot.network import network
from kerascnn.search.one_shot.result import Result
from kerascnn.search.one_shot.sizes import filters_for
from kerascnn.search.one_shot.smash import smash
from kerascnn.search.one_shot.smash_supernet import SmashSupernet
from kerascnn.search.one_shot.supernet import Supernet

__all__ = [
    "BlockController",
    "ChainController",
    "DartsConfig",
    "EnasConfig",
    "Inner",
    "MacroSupernet",
    "NaoConfig",
    "Result",
    "SharedConfig",
    "SmashConfig",
    "SmashSupernet",
    "Supernet",
    "architecture_gradient",
    "bank_network",
    "darts",
    "enas",
    "filters_for",
    "macro_network",
    "nao_ws",
    "network",
    "smash",
]
