"""What strategies that follow a gradient of a policy share: draws, rewards less a baseline, batches."""

from collections.abc import Sequence

import numpy as np

from kerascnn.search.records import Proposal, Result, Tokens
from kerascnn.search.strategies.policy import leave_one_out
from kerascnn.search.strategies.searcher import Searcher

TRIES = 1000  # draws from a policy until the space does not refuse one


class PolicyGradient(Searcher):
    """Draws candidates from `policy`, and steps after each batch of results by `climb`.

    A strategy sets `policy` in `start`, after that of this class, and has fields `batch` (results that are learned from
    together), `decay` (of the moving average of earlier rewards, which is the baseline) and `failure` (reward of a
    candidate that failed); with `leave_one_out` the baseline is the mean of the other rewards of the batch instead.
    """

    batch: int
    decay: float
    failure: float
    leave_one_out: bool = False

    def start(self) -> None:
        """Begins without results."""
        self._baseline: float | None = None
        self._drawn: dict[int, float] = {}  # the log-probabilities of what is under way
        self._results: list[tuple[Tokens, float, float, float]] = []  # candidate, reward, baseline, log-probability

    def draw(self) -> Proposal:
        """Draws from the policy what the space does not refuse; after a thousand refusals the space draws itself."""
        drawn = (self.policy.sample(self.rng) for _ in range(TRIES))
        tokens = next((tokens for tokens in drawn if self.space.wrong(tokens) is None), None)
        proposal = self.proposal(self.space.sample(self.rng) if tokens is None else tokens)
        self._drawn[proposal.id] = self.policy.log_probability(proposal.tokens)
        return proposal

    def learn(self, proposal: Proposal, result: Result) -> None:
        """Takes its steps after each whole batch."""
        reward = result.value if result.ok else self.failure
        before = reward if self._baseline is None else self._baseline  # the first one teaches nothing
        self._baseline = self.decay * before + (1 - self.decay) * reward
        self._results.append((proposal.tokens, reward, before, self._drawn.pop(proposal.id)))
        if len(self._results) == self.batch:
            candidates, rewards, baselines, logs = zip(*self._results, strict=True)
            against = leave_one_out(rewards) if self.leave_one_out else np.array(baselines)
            self.climb(candidates, np.array(rewards) - against, logs)
            self._results = []

    def climb(self, candidates: Sequence[Tokens], advantages: np.ndarray, logs: Sequence[float]) -> None:
        """Changes the policy.

        Args:
            candidates: a batch.
            advantages: reward less baseline of each.
            logs: log-probability of each when it was drawn.
        """
        raise NotImplementedError
