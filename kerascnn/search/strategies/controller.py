"""REINFORCE and PPO with an LSTM that draws token by token, each depending on those before it.

Zoph, Le: Neural Architecture Search with Reinforcement Learning, 2016, arXiv:1611.01578; Zoph, Vasudevan, Shlens, Le:
Learning Transferable Architectures for Scalable Image Recognition, 2017, arXiv:1707.07012.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from kerascnn import _check
from kerascnn.search.records import Tokens
from kerascnn.search.strategies.adam import Adam
from kerascnn.search.strategies.lstm import Controller
from kerascnn.search.strategies.policy_gradient import PolicyGradient
from kerascnn.search.strategies.ppo import ppo_gradient
from kerascnn.search.strategies.reinforce import reinforce_gradient


@dataclasses.dataclass(eq=False)
class LSTMReinforce(PolicyGradient):
    """REINFORCE with an LSTM controller.

    Departures: one layer of LSTM instead of two; a batch of results instead of many controllers' gradients; a larger
    rate, for hundreds of candidates instead of thousands.

    Args:
        units: of the LSTM.
        rate: of Adam.
        batch: results that one step is made of.
        decay: the baseline is the moving average of earlier rewards with this decay.
        leave_one_out: the baseline is the mean of the other rewards of the batch instead.
        failure: reward of a candidate that failed.

    Raises:
        InputError: an argument is out of range, or `leave_one_out` with a batch of one.

    Source:
        Zoph, Le, 2016, section 3; 35 units and rate 0.0006: section 4.1.
    """

    units: int = 35
    rate: float = 0.02
    batch: int = 5
    decay: float = 0.9
    leave_one_out: bool = False
    failure: float = 0.0

    def __post_init__(self):
        _check.whole("units", self.units, 1)
        _check.real("rate", self.rate, 0.0, above=True)
        _check.whole("batch", self.batch, 2 if _check.flag("leave_one_out", self.leave_one_out) else 1)
        _check.real("decay", self.decay, 0.0, 1.0, below=True)
        _check.real("failure", self.failure)

    def start(self) -> None:
        """Begins with new weights, drawn by the seed."""
        super().start()
        self.policy = Controller(self.space.sizes, self.units, self.rng)
        self._adam = Adam(self.rate, len(self.policy.logits))

    def climb(self, candidates: Sequence[Tokens], advantages: np.ndarray, logs: Sequence[float]) -> None:
        """Takes a step."""
        self._adam.climb(self.policy.logits, reinforce_gradient(self.policy, candidates, advantages))


@dataclasses.dataclass(eq=False)
class LSTMPPO(LSTMReinforce):
    """PPO with an LSTM controller: several steps on each batch.

    Departures: no entropy in the reward; a larger rate, for hundreds of candidates instead of thousands.

    Args:
        units, rate, batch, decay, leave_one_out, failure: as in `LSTMReinforce`.
        epochs: steps on each batch.
        clip: how far the ratio of a probability to that of its draw may be from 1.

    Raises:
        InputError: an argument is out of range.

    Source:
        Zoph et al., 2017, appendix B: 100 units, batches of 20, rate 0.00035, decay 0.95.
    """

    units: int = 100
    rate: float = 0.01
    batch: int = 20
    decay: float = 0.95
    epochs: int = 5
    clip: float = 0.2

    def __post_init__(self):
        super().__post_init__()
        _check.whole("epochs", self.epochs, 1)
        _check.real("clip", self.clip, 0.0, 1.0, above=True, below=True)

    def climb(self, candidates: Sequence[Tokens], advantages: np.ndarray, logs: Sequence[float]) -> None:
        """Takes several steps on a batch."""
        for _ in range(self.epochs):
            gradient = ppo_gradient(self.policy, candidates, advantages, logs, self.clip)
            self._adam.climb(self.policy.logits, gradient)
