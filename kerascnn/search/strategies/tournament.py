"""Tournament evolution, as it searched the hierarchical space: from something trivial, and nobody dies.

Liu, Simonyan, Vinyals, Fernando, Kavukcuoglu: Hierarchical Representations for Efficient Architecture Search, 2017,
arXiv:1711.00436.
"""

import dataclasses

from kerascnn import _check
from kerascnn.search.records import Proposal, Result
from kerascnn.search.strategies.searcher import Searcher


@dataclasses.dataclass(eq=False)
class Tournament(Searcher):
    """Begins with the trivial candidate, mutated many times; then draws a share of all that were evaluated, without
    replacement, and proposes a mutation of the best of them.

    A space without a method `trivial` begins with random candidates.

    Args:
        initial: how many there are before the first tournament.
        share: of all that were evaluated, in a tournament, at least one.
        mutations: of the trivial candidate, for each of the first ones.

    Raises:
        InputError: an argument is out of range.

    Source:
        Liu et al., 2017, section 3; 200 at first, tournaments of 5 %.
    """

    initial: int = 200
    share: float = 0.05
    mutations: int = 1000

    def __post_init__(self):
        _check.whole("initial", self.initial, 1)
        _check.real("share", self.share, 0.0, 1.0, above=True)
        _check.whole("mutations", self.mutations, 0)

    def start(self) -> None:
        """Begins with nobody."""
        self._members: list[tuple[Proposal, float]] = []
        self._first = 0

    def draw(self) -> Proposal:
        """One of the first, then the winners' children."""
        if self._first < self.initial or not self._members:
            self._first += 1
            return self.proposal(self._beginning())
        count = max(1, round(self.share * len(self._members)))
        drawn = [self._members[i] for i in self.rng.choice(len(self._members), count, replace=False)]
        parent = max(drawn, key=lambda each: each[1])[0]
        return self.proposal(self.space.mutate(parent.tokens, self.rng), parent=parent.id)

    def _beginning(self):
        trivial = getattr(self.space, "trivial", None)
        if trivial is None:
            return self.space.sample(self.rng)
        tokens = trivial()
        for _ in range(self.mutations):
            tokens = self.space.mutate(tokens, self.rng)
        return tokens

    def learn(self, proposal: Proposal, result: Result) -> None:
        """One more takes part."""
        self._members.append((proposal, result.value))
