"""Proximal policy optimization: several steps on the same batch, but none far from the policy that drew it.

Schulman, Wolski, Dhariwal, Radford, Klimov: Proximal Policy Optimization Algorithms, 2017, arXiv:1707.06347; for
architectures Zoph, Vasudevan, Shlens, Le, 2017, arXiv:1707.07012, appendix B.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn.search.records import Tokens
from kerascnn.search.strategies.policy import Policy
from kerascnn.search.strategies.policy_gradient import PolicyGradient


def ppo_gradient(
    policy: Policy, candidates: Sequence[Tokens], advantages: npt.ArrayLike, logs: npt.ArrayLike, clip: float = 0.2
) -> np.ndarray:
    """The gradient of the clipped objective, the mean of min(r A, clip(r, 1 - clip, 1 + clip) A).

    Args:
        policy: as it is now.
        candidates: what was drawn.
        advantages: A of each.
        logs: log-probability of each under the policy that drew it; r is the ratio of the probabilities.
        clip: how far the ratio may be from 1.

    Returns:
        float64 [sum of sizes]. Where nothing has changed since the draws it is REINFORCE's.
    """
    total, advantages = np.zeros_like(policy.logits), np.asarray(advantages, "float64")
    for tokens, advantage, log in zip(candidates, advantages, np.asarray(logs, "float64"), strict=True):
        ratio = np.exp(policy.log_probability(tokens) - log)
        improved = ratio > 1 + clip if advantage > 0 else ratio < 1 - clip
        if not improved:  # where it has, the objective is flat
            total += advantage * ratio * policy.score(tokens)
    return total / len(candidates)


@dataclasses.dataclass(eq=False)
class PPO(PolicyGradient):
    """Draws from a softmax for each token, and takes several steps on each batch.

    Departures: the tokens are independent, where the papers' LSTM makes each depend on those before it; plain steps.

    Args:
        rate: step size.
        batch: results that are learned from together.
        epochs: steps on each batch.
        clip: how far the ratio of a probability to that of its draw may be from 1.
        decay: of the moving average of rewards that is the baseline.
        entropy: weight of the entropy.
        failure: reward of a candidate that failed.

    Raises:
        InputError: an argument is out of range.

    Source:
        Schulman et al., 2017, equation 7; batches of 20 and decay 0.95: Zoph et al., 2017, appendix B.
    """

    rate: float = 1.0
    batch: int = 20
    epochs: int = 5
    clip: float = 0.2
    decay: float = 0.95
    entropy: float = 0.0
    failure: float = 0.0

    def __post_init__(self):
        _check.real("rate", self.rate, 0.0, above=True)
        _check.whole("batch", self.batch, 1)
        _check.whole("epochs", self.epochs, 1)
        _check.real("clip", self.clip, 0.0, 1.0, above=True, below=True)
        _check.real("decay", self.decay, 0.0, 1.0, below=True)
        _check.real("entropy", self.entropy, 0.0)
        _check.real("failure", self.failure)

    def start(self) -> None:
        """Begins with all candidates alike."""
        super().start()
        self.policy = Policy(self.space.sizes)

    def climb(self, candidates: Sequence[Tokens], advantages: np.ndarray, logs: Sequence[float]) -> None:
        """Takes several steps on a batch."""
        for _ in range(self.epochs):
            gradient = ppo_gradient(self.policy, candidates, advantages, logs, self.clip)
            self.policy.logits += self.rate * (gradient + self.entropy * self.policy.entropy_gradient())
