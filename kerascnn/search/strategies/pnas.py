"""Progressive search: small cells first; a surrogate learns from them which larger ones to evaluate.

Liu et al.: Progressive Neural Architecture Search, 2017, arXiv:1712.00559.
"""

import dataclasses
import itertools

import numpy as np

from kerascnn import _check
from kerascnn.search.records import Proposal, Result, Tokens
from kerascnn.search.spaces.growing import Growing
from kerascnn.search.strategies.searcher import Searcher
from kerascnn.search.strategies.surrogate import Ensemble


def features(space: Growing, cells: np.ndarray) -> np.ndarray:
    """Of a cell, what its blocks do to what: the mean over blocks of the pairs (source, operation) of their two halves,
    so that to exchange the halves changes nothing.

    Args:
        space: of the cells.
        cells: tokens [n, 4 blocks], without the first.

    Returns:
        float64 [n, sources of the largest cell x operations].
    """
    operations = len(space.levels[0].operations)
    pairs = np.asarray(cells).reshape(len(cells), -1, 2)
    places = pairs[..., 0] * operations + pairs[..., 1]
    found = np.zeros((len(cells), (len(space.levels) + 1) * operations))
    np.add.at(found, (np.arange(len(cells))[:, None], places), 1 / (pairs.shape[1] // 2))
    return found


@dataclasses.dataclass(eq=False)
class PNAS(Searcher):
    """Evaluates all cells of one block (at most `kept`, drawn at random); then, of all cells with one block more than
    those, the `kept` of which an ensemble of surrogates expects most; and so on. After the largest it has ended.

    Departures: the surrogate is the paper's without recurrence; its features count pairs of source and operation; it
    takes steps on all examples at once.

    Args:
        kept: cells of each number of blocks that are evaluated.
        members: networks of the ensemble.
        hidden: width of their layers.
        steps: of Adam after each number of blocks.

    Raises:
        InputError: an argument is out of range.

    Source:
        Liu et al., 2017, algorithm 1; 256 kept, ensembles of 5, rate 0.01 at first and 0.002 later.
    """

    kept: int = 256
    members: int = 5
    hidden: int = 100
    steps: int = 200

    def __post_init__(self):
        _check.whole("members", self.members, 2)
        _check.whole("kept", self.kept, self.members)
        _check.whole("hidden", self.hidden, 1)
        _check.whole("steps", self.steps, 1)

    def start(self) -> None:
        """Begins with the cells of one block."""
        if not isinstance(self.space, Growing):
            raise _check.refuse("space", "a Growing space, whose cells have one block or more", self.space)
        self.surrogate = Ensemble((len(self.space.levels) + 1) * len(self.space.levels[0].operations), self.rng,
                                  self.members, self.hidden)  # fmt: skip
        self._level = 0
        self._seen: list[tuple[Proposal, float]] = []
        distinct: dict[str, Tokens] = {}
        for cell in self.space.levels[0].enumerate():
            tokens = self.space.whole(cell)
            if self.space.wrong(tokens) is None:
                distinct.setdefault(self.space.canonical(tokens), tokens)
        order = self.rng.permutation(len(distinct))[: self.kept]
        self._queue: list[tuple[Tokens, int | None]] = [(list(distinct.values())[i], None) for i in order[::-1]]

    def draw(self) -> Proposal | None:
        """The next of this number of blocks; None while the last of them are evaluated, and at the end."""
        if not self._queue:
            last = self._level + 1 == len(self.space.levels)
            if self._open or last or not self._here() or len(self._seen) < self.members:
                return None
            self._learn_and_grow()
            if not self._queue:
                return None
        tokens, parent = self._queue.pop()
        return self.proposal(tokens, parent=parent)

    def learn(self, proposal: Proposal, result: Result) -> None:
        """Keeps the result for the surrogate; those of failed candidates are not learned from."""
        if result.ok:
            self._seen.append((proposal, result.value))

    def _here(self) -> list[Proposal]:
        """The cells of this number of blocks that did not fail."""
        return [proposal for proposal, _ in self._seen if proposal.tokens[0] == self._level]

    def _learn_and_grow(self):
        known = [features(self.space, np.array([self.space.cell(proposal.tokens)])) for proposal, _ in self._seen]
        rate = 0.002 if self._level else 0.01
        self.surrogate.fit(np.concatenate(known), [value for _, value in self._seen], self.steps, rate)
        blocks = np.array(list(itertools.product(*map(range, self.space.levels[self._level + 1].sizes[-4:]))))
        cells, parents, expected = [], [], []
        for proposal in self._here():
            grown = np.hstack([np.tile(self.space.cell(proposal.tokens), (len(blocks), 1)), blocks])
            cells.append(grown)
            parents += [proposal.id] * len(grown)
            expected.append(self.surrogate.predict(features(self.space, grown)))
        self._level += 1
        every, chosen = np.concatenate(cells), {}
        for i in np.argsort(-np.concatenate(expected), kind="stable"):
            tokens = self.space.whole(tuple(every[i].tolist()))
            if self.space.wrong(tokens) is None:
                chosen.setdefault(self.space.canonical(tokens), (tokens, parents[i]))
            if len(chosen) == self.kept:
                break
        self._queue = list(chosen.values())[::-1]
