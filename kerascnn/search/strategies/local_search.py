"""Local search: to a better neighbor, and where there is none, from elsewhere.

White, Nolen, Savani: Exploring the Loss Landscape in Neural Architecture Search, 2020, arXiv:2005.02960.
"""

import dataclasses

from kerascnn.search.records import Proposal, Result, Tokens
from kerascnn.search.strategies.searcher import Searcher


@dataclasses.dataclass(eq=False)
class LocalSearch(Searcher):
    """Goes to the first neighbor that is better, in random order; where no neighbor is, begins at a random candidate.

    Departures: the paper's goes to the best of all neighbors; the first better one takes fewer evaluations.

    Source:
        White, Nolen, Savani, 2020, section 3.
    """

    def start(self) -> None:
        """Begins nowhere."""
        self._here: tuple[Proposal, float] | None = None  # where it is, and how good that is
        self._round = 0  # of the climb; what was proposed in an earlier one no longer counts
        self._neighbors: list[Tokens] = []
        self._rounds: dict[int, int] = {}

    def draw(self) -> Proposal:
        """A neighbor of where it is; where all are proposed, a random candidate."""
        if self._here is not None and not self._neighbors and self._round not in self._rounds.values():
            self._here = None  # all neighbors are worse
            self._round += 1
        if self._here is None or not self._neighbors:
            proposal = self.proposal(self.space.sample(self.rng))
        else:
            proposal = self.proposal(self._neighbors.pop(), parent=self._here[0].id)
        self._rounds[proposal.id] = self._round
        return proposal

    def learn(self, proposal: Proposal, result: Result) -> None:
        """Goes there where it is better than here."""
        of_this_climb = self._rounds.pop(proposal.id) == self._round
        if not result.ok or not of_this_climb:
            return
        if self._here is None or result.value > self._here[1]:
            self._here = proposal, result.value
            neighbors = list(self.space.neighbors(proposal.tokens))
            self._neighbors = [neighbors[i] for i in self.rng.permutation(len(neighbors))]
