"""Successive halving and Hyperband."""

import pytest

from kerascnn._errors import InputError
from kerascnn.search import Result
from kerascnn.search.spaces import Choices
from kerascnn.search.strategies import Evolution, Hyperband, RandomSearch, Reinforce, Searcher, SuccessiveHalving

SPACE = Choices({f"a{i}": (0, 1, 2, 3) for i in range(6)})


def play(strategy, count, value):
    strategy.begin(SPACE, 0)
    proposals = []
    while len(proposals) < count:
        (proposal,) = strategy.propose(1)
        proposals.append(proposal)
        strategy.report(proposal.id, value(proposal))
    return proposals


def test_the_brackets_of_the_papers_table():
    brackets = Hyperband(RandomSearch(), largest=81).brackets()
    assert [next(brackets) for _ in range(5)] == [
        [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
        [(27, 3), (9, 9), (3, 27), (1, 81)],
        [(9, 9), (3, 27), (1, 81)],
        [(6, 27), (2, 81)],
        [(5, 81)],
    ]
    assert next(brackets)[0] == (81, 1)
    assert next(SuccessiveHalving(RandomSearch(), candidates=10, largest=100).brackets()) == [(10, 1), (3, 3), (1, 9)]


def test_the_best_third_goes_on():
    strategy = SuccessiveHalving(RandomSearch(), candidates=9, smallest=2, largest=18)
    proposals = play(strategy, 26, lambda p: Result(sum(p.tokens) + p.budget / 1000))
    assert [p.budget for p in proposals] == [2] * 9 + [6] * 3 + [18] + [2] * 9 + [6] * 3 + [18]
    first = sorted(proposals[:9], key=lambda p: (-sum(p.tokens), p.id))[:3]
    assert [p.tokens for p in proposals[9:12]] == [p.tokens for p in first]
    assert [p.parent for p in proposals[9:12]] == [p.id for p in first]
    assert proposals[12].tokens == first[0].tokens and proposals[13].parent is None


class Told(Searcher):
    """Draws at random, and keeps what it is told."""

    def start(self):
        self.told = []

    def draw(self):
        return self.proposal(self.space.sample(self.rng))

    def learn(self, proposal, result):
        self.told.append((proposal.tokens, result.value))


def test_the_other_strategy_is_told_each_candidates_last_result():
    inner = Told()
    proposals = play(SuccessiveHalving(inner, candidates=9, largest=9), 13, lambda p: Result(sum(p.tokens) + p.budget))
    last = {p.tokens: sum(p.tokens) + p.budget for p in proposals}
    assert len(last) == 9 and dict(inner.told) == last and len(inner.told) == 9


def test_a_rung_waits_for_the_one_before():
    strategy = SuccessiveHalving(RandomSearch(), candidates=4, largest=2, factor=2)
    strategy.begin(SPACE, 0)
    assert len(strategy.propose(10)) == 4 and strategy.propose(1) == []
    for id in (3, 1, 0):
        strategy.report(id, Result(float(id)))
    assert strategy.propose(1) == []
    strategy.report(2, Result(2.0))
    assert [p.parent for p in strategy.propose(10)] == [3, 2]


def test_failed_candidates_do_not_go_on():
    fails = Result(0.0, status="crashed")
    proposals = play(SuccessiveHalving(RandomSearch(), candidates=9, largest=9), 40, lambda p: fails)
    assert {p.budget for p in proposals} == {1}
    one = play(
        SuccessiveHalving(RandomSearch(), candidates=9, largest=9), 11, lambda p: Result(1.0) if p.id == 4 else fails
    )
    assert one[9].parent == 4 and one[10].budget == 1


def test_a_strategy_that_waits_or_ends_ends_the_rung():
    class Three(Told):
        def draw(self):
            return super().draw() if self._count < 3 + 3 * (len(self.told) // 3) and self._count < 6 else None

    strategy = SuccessiveHalving(Three(), candidates=9, largest=3)
    strategy.begin(SPACE, 0)
    found = []
    while new := strategy.propose(1):
        found += new
        strategy.report(new[0].id, Result(float(new[0].id)))
    assert [p.budget for p in found] == [1, 1, 1, 3, 3, 3, 1, 1, 1, 3, 3, 3]


def test_it_wraps_what_learns():
    for inner in (Evolution(population=5, sample=2), Reinforce()):
        proposals = play(Hyperband(inner, largest=9), 60, lambda p: Result(sum(p.tokens) / 18))
        assert {p.budget for p in proposals} == {1, 3, 9}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SuccessiveHalving(RandomSearch), "strategy must be a strategy"),
        (lambda: Hyperband(RandomSearch(), smallest=0), "smallest must be"),
        (lambda: Hyperband(RandomSearch(), smallest=3, largest=1), "largest must be a finite number in .3"),
        (lambda: Hyperband(RandomSearch(), factor=1), "factor must be a whole number, at least 2"),
        (lambda: SuccessiveHalving(RandomSearch(), candidates=0), "candidates must be"),
    ],
)
def test_bad_arguments(make, words):
    with pytest.raises(InputError, match=words):
        make()
