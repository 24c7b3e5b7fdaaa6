"""Local search."""

from kerascnn.search import Result
from kerascnn.search.spaces import Choices
from kerascnn.search.strategies import LocalSearch

SPACE = Choices({f"a{i}": (0, 1, 2, 3) for i in range(5)})


def climb(value, count, seed=0):
    strategy, proposals = LocalSearch(), []
    strategy.begin(SPACE, seed)
    for i in range(count):
        proposals += strategy.propose(1)
        strategy.report(i, value(proposals[-1].tokens))
    return proposals


def test_it_goes_to_whatever_neighbor_is_better():
    proposals = climb(lambda tokens: Result(sum(tokens)), 120)
    best = proposals[0]
    for proposal in proposals[1:]:
        if proposal.parent is None:
            break
        assert proposal.parent == best.id and proposal.tokens in set(SPACE.neighbors(best.tokens))
        best = max(best, proposal, key=lambda p: sum(p.tokens))
    assert best.tokens == (3,) * 5  # a hill without other tops is climbed before anything begins anew


def test_where_no_neighbor_is_better_it_begins_elsewhere():
    flat = climb(lambda tokens: Result(1.0), 48)
    assert [p.id for p in flat if p.parent is None] == [0, 16, 32]  # 15 neighbors each
    for first in (0, 16):
        assert {p.tokens for p in flat[first + 1 : first + 16]} == set(SPACE.neighbors(flat[first].tokens))


def test_late_results_of_an_earlier_climb_move_nothing():
    strategy = LocalSearch()
    strategy.begin(SPACE, 0)
    first, late = strategy.propose(2)
    strategy.report(first.id, Result(1.0))
    for proposal in strategy.propose(15):
        strategy.report(proposal.id, Result(0.0))
    (still,) = strategy.propose(1)  # `late` may yet be better, so the climb has not ended
    strategy.report(late.id, Result(2.0))
    (neighbor,) = strategy.propose(1)
    assert still.parent is None and neighbor.parent == late.id


def test_a_failed_beginning_is_left():
    proposals = climb(lambda tokens: Result(0.0, status="crashed"), 10)
    assert all(p.parent is None for p in proposals)
