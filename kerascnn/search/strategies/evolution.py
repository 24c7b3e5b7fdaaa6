"""Aging evolution, also called regularized evolution: the oldest dies, not the worst.

Real, Aggarwal, Huang, Le: Regularized Evolution for Image Classifier Architecture Search, 2018, arXiv:1802.01548.
"""

import collections
import dataclasses

from kerascnn import _check
from kerascnn.search.records import Proposal, Result
from kerascnn.search.strategies.searcher import Searcher


@dataclasses.dataclass(eq=False)
class Evolution(Searcher):
    """Fills a population at random; then draws some of it with replacement, proposes a mutation of the best of them,
    and for each that is reported drops the one that was reported first. A candidate that failed ages like the others.

    Args:
        population: how many live at a time.
        sample: how many are drawn for a parent; 1 makes it a random walk.
        crossing: share of children that have two parents, drawn alike, and are then mutated.
        identity: share of children that are their parent, evaluated anew (for which the search must not answer
            duplicates from its journal).

    Raises:
        InputError: an argument is out of range.

    Source:
        Real, Aggarwal, Huang, Le, 2018, algorithm 1; population 100, sample 25, identity 0.05, no crossing.
    """

    population: int = 100
    sample: int = 25
    crossing: float = 0.0
    identity: float = 0.0

    def __post_init__(self):
        _check.whole("population", self.population, 1)
        _check.whole("sample", self.sample, 1)
        _check.real("crossing", self.crossing, 0.0, 1.0)
        _check.real("identity", self.identity, 0.0, 1.0)

    def start(self) -> None:
        """Begins without a population."""
        self._alive: collections.deque[tuple[Proposal, float]] = collections.deque(maxlen=self.population)
        self._random = 0

    @property
    def alive(self) -> list[Proposal]:
        """The population, the oldest first."""
        return [proposal for proposal, _ in self._alive]

    def draw(self) -> Proposal:
        """A random candidate until there are as many as the population; then a child."""
        if self._random < self.population or not self._alive:
            self._random += 1
            return self.proposal(self.space.sample(self.rng))
        parent = self._parent()
        tokens = parent.tokens
        if self.crossing and self.rng.random() < self.crossing:
            tokens = self.space.cross(tokens, self._parent().tokens, self.rng)
        if not self.identity or self.rng.random() >= self.identity:
            tokens = self.space.mutate(tokens, self.rng)
        return self.proposal(tokens, parent=parent.id)

    def _parent(self) -> Proposal:
        drawn = [self._alive[i] for i in self.rng.integers(len(self._alive), size=self.sample)]
        return max(drawn, key=lambda each: each[1])[0]

    def learn(self, proposal: Proposal, result: Result) -> None:
        """The child is born; where the population is full, the oldest dies."""
        self._alive.append((proposal, result.value))
