"""What proposes candidates, one strategy a file: NumPy, and one generator each."""

from kerascnn.search.strategies.controller import LSTMPPO, LSTMReinforce
from kerascnn.search.strategies.evolution import Evolution
from kerascnn.search.strategies.halving import Brackets, Hyperband, SuccessiveHalving
from kerascnn.search.strategies.latent import Latent, Point
from kerascnn.search.strategies.local_search import LocalSearch
from kerascnn.search.strategies.lstm import Controller
from kerascnn.search.strategies.nao import NAO
from kerascnn.search.strategies.pnas import PNAS
from kerascnn.search.strategies.policy import Policy, exact_gradient, leave_one_out
from kerascnn.search.strategies.ppo import PPO, ppo_gradient
from kerascnn.search.strategies.random_search import RandomSearch
from kerascnn.search.strategies.reinforce import Reinforce, reinforce_gradient
from kerascnn.search.strategies.searcher import Searcher
from kerascnn.search.strategies.surrogate import MLP, Ensemble
from kerascnn.search.strategies.tournament import Tournament
from kerascnn.search.strategies.tpe import TPE

__all__ = [
    "LSTMPPO",
    "MLP",
    "NAO",
    "PNAS",
    "PPO",
    "TPE",
    "Brackets",
    "Controller",
    "Ensemble",
    "Evolution",
    "Hyperband",
    "LSTMReinforce",
    "Latent",
    "LocalSearch",
    "Point",
    "Policy",
    "RandomSearch",
    "Reinforce",
    "Searcher",
    "SuccessiveHalving",
    "Tournament",
    "exact_gradient",
    "leave_one_out",
    "ppo_gradient",
    "reinforce_gradient",
]
