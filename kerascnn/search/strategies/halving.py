"""Successive halving and Hyperband: many candidates at a small budget, the best of them at larger ones.

Jamieson, Talwalkar: Non-stochastic Best Arm Identification and Hyperparameter Optimization, 2015, arXiv:1502.07943;
Li, Jamieson, DeSalvo, Rostamizadeh, Talwalkar: Hyperband, 2016, arXiv:1603.06560.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator

from kerascnn import _check
from kerascnn.search.records import Proposal, Result
from kerascnn.search.strategies.searcher import Searcher

Rung = tuple[int, float]  # how many candidates, and the budget of each


class Brackets(Searcher):
    """What successive halving and Hyperband share. Another strategy proposes the candidates of the first rung; it is
    told the last result of each when the candidate leaves. A rung waits until the one before has ended."""

    strategy: Searcher

    def brackets(self) -> Iterator[list[Rung]]:
        """The rungs of each bracket, without an end."""
        raise NotImplementedError

    def start(self) -> None:
        """Begins the other strategy too."""
        self.strategy.begin(self.space, self._seed)
        self._brackets = self.brackets()
        self._begin_bracket()

    def _begin_bracket(self):
        self._rungs = next(self._brackets)
        self._rung = self._proposed = 0
        self._promoted: list[Proposal] = []  # whose turn comes in this rung
        self._names: dict[int, int] = {}  # what the other strategy calls a candidate, by our id
        self._ended: list[tuple[Proposal, Result]] = []  # in this rung

    def draw(self) -> Proposal | None:
        """The next of the rung; None while its results are to come."""
        count, budget = self._rungs[self._rung]
        if self._rung:
            if self._proposed == len(self._promoted):
                return None
            before = self._promoted[self._proposed]
            proposal = self.proposal(before.tokens, parent=before.id, budget=budget)
            self._names[proposal.id] = self._names.pop(before.id)
        else:
            if self._proposed == count:
                return None
            asked = self.strategy.propose(1)
            if not asked:
                if self._open or not self._ended:
                    return None
                self._end_rung()  # the other strategy waits for what it has proposed, or has ended
                return self.draw()
            proposal = self.proposal(asked[0].tokens, budget=budget)
            self._names[proposal.id] = asked[0].id
        self._proposed += 1
        return proposal

    def learn(self, proposal: Proposal, result: Result) -> None:
        """After the last result of a rung the best go on to the next one."""
        self._ended.append((proposal, result))
        size = len(self._promoted) if self._rung else self._rungs[0][0]
        if not self._open and self._proposed == size:
            self._end_rung()

    def _end_rung(self):
        ranked = sorted(self._ended, key=lambda each: (-each[1].value, each[0].id))
        last = self._rung + 1 == len(self._rungs)
        kept = [] if last else [p for p, r in ranked[: self._rungs[self._rung + 1][0]] if r.ok]
        ids = {each.id for each in kept}
        for each, found in sorted(self._ended, key=lambda pair: pair[0].id):
            if each.id not in ids:
                self.strategy.report(self._names.pop(each.id), found)
        if kept:
            self._rung, self._proposed, self._promoted, self._ended = self._rung + 1, 0, kept, []
        else:
            self._begin_bracket()


@dataclasses.dataclass(eq=False)
class SuccessiveHalving(Brackets):
    """Brackets of `candidates`, of which one in `factor` goes on to `factor` times the budget.

    Args:
        strategy: proposes the candidates.
        candidates: in the first rung.
        smallest: budget of the first rung.
        largest: no rung's budget is larger.
        factor: more than 1.

    Raises:
        InputError: an argument is out of range.

    Source:
        Jamieson, Talwalkar, 2015, figure 3.
    """

    strategy: Searcher
    candidates: int = 27
    smallest: float = 1.0
    largest: float = 27.0
    factor: int = 3

    def __post_init__(self):
        _checked(self)
        _check.whole("candidates", self.candidates, 1)

    def brackets(self) -> Iterator[list[Rung]]:
        """The same bracket again and again."""
        rungs = []
        for i in range(1 + _powers(self.largest / self.smallest, self.factor)):
            rungs.append((self.candidates // self.factor**i, self.smallest * self.factor**i))
        return itertools.repeat([rung for rung in rungs if rung[0]])


@dataclasses.dataclass(eq=False)
class Hyperband(Brackets):
    """Brackets from many candidates at the smallest budget to few at the largest, over and over.

    Args:
        strategy: proposes the candidates.
        smallest: the least budget.
        largest: the budget of the last rung of each bracket.
        factor: more than 1.

    Raises:
        InputError: an argument is out of range.

    Source:
        Li et al., 2016, table 1; the counts are that table's, floor((most + 1) / (s + 1)) factor^s in bracket s.
    """

    strategy: Searcher
    smallest: float = 1.0
    largest: float = 27.0
    factor: int = 3

    def __post_init__(self):
        _checked(self)

    def brackets(self) -> Iterator[list[Rung]]:
        """From the widest to the narrowest, and again."""
        most = _powers(self.largest / self.smallest, self.factor)
        found = []
        for s in range(most, -1, -1):
            count = (most + 1) // (s + 1) * self.factor**s
            found.append([(count // self.factor**i, self.largest / self.factor ** (s - i)) for i in range(s + 1)])
        return itertools.cycle(found)


def _checked(wrapper):
    if not isinstance(wrapper.strategy, Searcher):
        raise _check.refuse("strategy", "a strategy of kerascnn.search.strategies", wrapper.strategy)
    _check.real("smallest", wrapper.smallest, 0.0, above=True)
    _check.real("largest", wrapper.largest, wrapper.smallest)
    _check.whole("factor", wrapper.factor, 2)


def _powers(ratio: float, factor: int) -> int:
    """The largest whole number whose power of the factor is at most the ratio."""
    return math.floor(math.log(ratio) / math.log(factor) + 1e-9)
