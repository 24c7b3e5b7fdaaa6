"""Aging and tournament evolution."""

import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.search import Result
from kerascnn.search.spaces import Choices, TokenSpace, hierarchical
from kerascnn.search.strategies import Evolution, RandomSearch, Tournament

BITS = TokenSpace([2] * 100)


def best(strategy, seed, count=1000):
    """The toy of the authors' code, the share of ones, measured with noise: that share of the one that seems best."""
    strategy.begin(BITS, seed)
    noise, found = np.random.default_rng(1000 + seed), []
    for _ in range(count):
        (proposal,) = strategy.propose(1)
        share = sum(proposal.tokens) / 100
        found.append((float(np.clip(share + noise.normal(0, 0.01), 0, 1)), share))
        strategy.report(proposal.id, Result(found[-1][0]))
    return max(found)[1]


def test_bit_strings_as_in_the_authors_toy():
    """Best of 1,000, ten seeds: .885 and .651 were measured with code written apart from this one."""
    aging = [best(Evolution(population=100, sample=10), seed) for seed in range(10)]
    random = [best(RandomSearch(), seed) for seed in range(10)]
    assert np.mean(aging) == pytest.approx(0.885, abs=0.015) and np.mean(random) == pytest.approx(0.651, abs=0.015)


def history(strategy, values, count=300, space=None):
    """(proposals, and after each report who lives)."""
    strategy.begin(space or BITS, 0)
    proposals, lives = [], []
    for i in range(count):
        proposals += strategy.propose(1)
        strategy.report(i, values(proposals[-1], i))
        lives.append([p.id for p in strategy.alive])
    return proposals, lives


def test_the_oldest_dies_whoever_is_best():
    proposals, lives = history(Evolution(population=20, sample=5), lambda p, i: Result(-float(i)))
    for i, alive in enumerate(lives):
        assert alive == list(range(max(0, i - 19), i + 1))
    assert all(p.parent is None for p in proposals[:20])
    for p in proposals[20:]:
        assert 1 <= p.id - p.parent <= 20
        assert sum(a != b for a, b in zip(p.tokens, proposals[p.parent].tokens, strict=True)) == 1


def test_a_sample_of_one_is_a_random_walk():
    """What is found out does not matter."""
    good, _ = history(Evolution(population=10, sample=1), lambda p, i: Result(sum(p.tokens)))
    bad, _ = history(Evolution(population=10, sample=1), lambda p, i: Result(-sum(p.tokens)))
    chosen, _ = history(Evolution(population=10, sample=5), lambda p, i: Result(sum(p.tokens)))
    assert good == bad != chosen


def test_a_sample_of_the_whole_population_climbs():
    """Drawn with replacement, the best of P is among P draws with probability 1 - (1 - 1/P)^P."""
    size, values = 10, {}

    def value(p, i):
        values[i] = float(np.random.default_rng(i).random())
        return Result(values[i])

    proposals, lives = history(Evolution(population=size, sample=size), value, 2000)
    climbs = [p.parent == max(lives[p.id - 1], key=values.get) for p in proposals[size:]]
    share = 1 - (1 - 1 / size) ** size
    assert abs(np.mean(climbs) - share) < 4 * (share * (1 - share) / len(climbs)) ** 0.5


def test_a_failed_child_is_a_cycle():
    fails = Result(0.0, status="timeout")
    _, lives = history(Evolution(population=5, sample=2), lambda p, i: fails if i % 2 else Result(1.0), 50)
    assert lives[-1] == [45, 46, 47, 48, 49]
    proposals, _ = history(Evolution(population=5, sample=50), lambda p, i: fails if i % 2 else Result(1.0), 50)
    assert all(p.parent % 2 == 0 for p in proposals[5:])  # no failed candidate has children where a sound one is drawn


def test_crossing_and_identity():
    strategy = Evolution(population=5, sample=2, crossing=1.0, identity=1.0)
    proposals, lives = history(strategy, lambda p, i: Result(float(i)), 60)
    for p in proposals[5:]:
        parents = [np.array(proposals[i].tokens) for i in lives[p.id - 1]]
        assert any(all((np.array(p.tokens) == a) | (np.array(p.tokens) == b)) for a in parents for b in parents)
    same, _ = history(Evolution(population=5, sample=2, identity=1.0), lambda p, i: Result(float(i)), 60)
    assert all(p.tokens == same[p.parent].tokens for p in same[5:])


def test_children_come_before_all_of_the_first_are_reported():
    strategy = Evolution(population=4, sample=2)
    strategy.begin(BITS, 0)
    first = strategy.propose(6)
    assert len(first) == 6 and all(p.parent is None for p in first)  # nobody lives yet
    strategy.report(2, Result(0.5))
    assert strategy.propose(1)[0].parent == 2


def test_a_tournament_forgets_nobody():
    strategy, space = Tournament(initial=10, share=1.0), Choices({f"a{i}": range(5) for i in range(8)})
    strategy.begin(space, 0)
    for i in range(200):
        (proposal,) = strategy.propose(1)
        assert (proposal.parent is None) == (i < 10) and (i < 10 or proposal.parent == 3)
        strategy.report(i, Result(1.0 if i == 3 else 0.0))


def test_a_tournament_begins_with_the_trivial_candidate():
    space = hierarchical()
    strategy = Tournament(initial=3, mutations=0)
    strategy.begin(space, 0)
    assert [p.tokens for p in strategy.propose(3)] == [space.trivial()] * 3
    strategy = Tournament(initial=3, mutations=40)
    strategy.begin(space, 0)
    mutated = {p.tokens for p in strategy.propose(3)}
    assert len(mutated) == 3 and space.trivial() not in mutated


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Evolution(population=0), "population must be a whole number, at least 1"),
        (lambda: Evolution(sample=0), "sample must be a whole number, at least 1"),
        (lambda: Evolution(crossing=2), "crossing must be a finite number in .0, 1."),
        (lambda: Tournament(share=0), "share must be a finite number"),
        (lambda: Tournament(initial=0), "initial must be a whole number, at least 1"),
    ],
)
def test_bad_arguments(make, words):
    with pytest.raises(InputError, match=words):
        make()
