"""A distribution over candidates that can be learned: a softmax for each token, independent of the others."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn.search.records import Tokens


class Policy:
    """Logits of all values of all tokens, one after the other, zero at first: all candidates alike.

    Args:
        sizes: how many values each token has.

    Raises:
        InputError: a size is less than 1.
    """

    def __init__(self, sizes: Sequence[int]):
        self.sizes = tuple(_check.whole("a size", size, 1) for size in sizes)
        self.starts = np.cumsum((0, *self.sizes))
        self.logits = np.zeros(self.starts[-1])
        self._of = np.repeat(np.arange(len(self.sizes)), self.sizes)  # the token that each logit belongs to

    def probabilities(self) -> np.ndarray:
        """Of all values of all tokens.

        Returns:
            float64 [sum of sizes]; those of a token add up to 1.
        """
        grown = np.exp(self.logits - np.maximum.reduceat(self.logits, self.starts[:-1])[self._of])
        return grown / np.add.reduceat(grown, self.starts[:-1])[self._of]

    def sample(self, rng: np.random.Generator) -> Tokens:
        """Draws a candidate.

        Args:
            rng: draws.

        Returns:
            The tokens.
        """
        total, drawn = np.cumsum(self.probabilities()), rng.random(len(self.sizes))
        ends = np.searchsorted(total, np.arange(len(self.sizes)) + drawn, side="right")
        return tuple(np.clip(ends - self.starts[:-1], 0, np.array(self.sizes) - 1).tolist())

    def log_probability(self, tokens: Tokens) -> float:
        """Of a candidate: the sum of those of its tokens.

        Args:
            tokens: a candidate.

        Returns:
            The natural logarithm of its probability.
        """
        return float(np.log(self.probabilities()[self._places(tokens)]).sum())

    def score(self, tokens: Tokens) -> np.ndarray:
        """The gradient of a candidate's log-probability with respect to the logits: one where it has the value, minus
        the probabilities.

        Args:
            tokens: a candidate.

        Returns:
            float64 [sum of sizes].
        """
        gradient = -self.probabilities()
        gradient[self._places(tokens)] += 1.0
        return gradient

    def entropy(self) -> float:
        """The entropy of the distribution, in nats.

        Returns:
            The sum of those of its tokens.
        """
        probabilities = self.probabilities()
        return float(-(probabilities * np.log(np.maximum(probabilities, 1e-300))).sum())

    def entropy_gradient(self) -> np.ndarray:
        """The gradient of the entropy with respect to the logits.

        Returns:
            float64 [sum of sizes].
        """
        probabilities = self.probabilities()
        logs = np.log(np.maximum(probabilities, 1e-300))
        entropies = -np.add.reduceat(probabilities * logs, self.starts[:-1])
        return -probabilities * (logs + entropies[self._of])

    def _places(self, tokens: Tokens) -> np.ndarray:
        return self.starts[:-1] + np.asarray(tokens)


def exact_gradient(policy: Policy, candidates: Sequence[Tokens], reward: Callable[[Tokens], float]) -> np.ndarray:
    """The gradient of the expected reward, by going through all candidates: what an estimate must have as its mean.

    Args:
        policy: whose expectation it is.
        candidates: all that it can draw.
        reward: of a candidate.

    Returns:
        float64 [sum of sizes].
    """
    total = np.zeros_like(policy.logits)
    for tokens in candidates:
        total += np.exp(policy.log_probability(tokens)) * reward(tokens) * policy.score(tokens)
    return total


def leave_one_out(rewards: npt.ArrayLike) -> np.ndarray:
    """For each reward the mean of the others: a baseline that does not depend on what it is subtracted from.

    Args:
        rewards: [n], at least two.

    Returns:
        float64 [n].

    Raises:
        InputError: there are fewer than two.
    """
    rewards = np.asarray(rewards, "float64")
    if rewards.ndim != 1 or len(rewards) < 2:
        raise _check.refuse("rewards", "at least two", rewards.tolist())
    return (rewards.sum() - rewards) / (len(rewards) - 1)
