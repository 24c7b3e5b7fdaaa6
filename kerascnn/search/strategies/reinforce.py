"""REINFORCE: a distribution over candidates moves toward those that did better than others before them.

Williams: Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning, 1992, Machine
Learning 8, doi.org/10.1007/BF00992696; for architectures Zoph, Le: Neural Architecture Search with Reinforcement
Learning, 2016, arXiv:1611.01578.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn.search.records import Tokens
from kerascnn.search.strategies.policy import Policy
from kerascnn.search.strategies.policy_gradient import PolicyGradient


def reinforce_gradient(policy: Policy, candidates: Sequence[Tokens], advantages: npt.ArrayLike) -> np.ndarray:
    """The mean of advantage times the gradient of the log-probability.

    Args:
        policy: that drew the candidates.
        candidates: what was drawn.
        advantages: of each its reward, less a baseline that does not depend on it.

    Returns:
        float64 [sum of sizes]: an unbiased estimate of the gradient of the expected reward.
    """
    scores = np.array([policy.score(tokens) for tokens in candidates])
    return np.asarray(advantages, "float64") @ scores / len(scores)


@dataclasses.dataclass(eq=False)
class Reinforce(PolicyGradient):
    """Draws from a softmax for each token, and climbs the gradient of the expected reward.

    Departures: the tokens are independent, where the papers' LSTM makes each depend on those before it.

    Args:
        rate: step size.
        batch: results that one step is made of.
        decay: the baseline is the moving average of earlier rewards with this decay.
        leave_one_out: the baseline is the mean of the other rewards of the batch instead.
        entropy: weight of the entropy, which keeps the distribution wide.
        failure: reward of a candidate that failed.

    Raises:
        InputError: an argument is out of range, or `leave_one_out` with a batch of one.

    Source:
        Williams, 1992; Zoph, Le, 2016, section 3.2.
    """

    rate: float = 0.3
    batch: int = 1
    decay: float = 0.9
    leave_one_out: bool = False
    entropy: float = 0.0
    failure: float = 0.0

    def __post_init__(self):
        _check.real("rate", self.rate, 0.0, above=True)
        _check.whole("batch", self.batch, 2 if _check.flag("leave_one_out", self.leave_one_out) else 1)
        _check.real("decay", self.decay, 0.0, 1.0, below=True)
        _check.real("entropy", self.entropy, 0.0)
        _check.real("failure", self.failure)

    def start(self) -> None:
        """Begins with all candidates alike."""
        super().start()
        self.policy = Policy(self.space.sizes)

    def climb(self, candidates: Sequence[Tokens], advantages: np.ndarray, logs: Sequence[float]) -> None:
        """Takes a step."""
        gradient = reinforce_gradient(self.policy, candidates, advantages)
        self.policy.logits += self.rate * (gradient + self.entropy * self.policy.entropy_gradient())
