"""What all strategies keep to: the same seed gives the same search, and a state continues it."""

import json

import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.search import Proposal, Result, Strategy
from kerascnn.search.spaces import Choices, hierarchical
from kerascnn.search.strategies import (
    NAO,
    PPO,
    Evolution,
    Hyperband,
    LocalSearch,
    RandomSearch,
    Reinforce,
    Searcher,
    SuccessiveHalving,
    Tournament,
)

SPACE = Choices({f"a{i}": (0, 1, 2, 3) for i in range(6)})
STRATEGIES = {
    "random": RandomSearch,
    "local": LocalSearch,
    "evolution": lambda: Evolution(population=10, sample=3, crossing=0.5, identity=0.1),
    "tournament": lambda: Tournament(initial=8, share=0.3),
    "reinforce": lambda: Reinforce(batch=4, leave_one_out=True, entropy=0.01),
    "ppo": lambda: PPO(batch=5),
    "nao": lambda: NAO(first=12, batch=8, seeds=6, units=8, embedding=4, hidden=8, steps=20, longest=9.0),
    "halving": lambda: SuccessiveHalving(Evolution(population=5, sample=2), candidates=9, largest=9),
    "hyperband": lambda: Hyperband(RandomSearch(), largest=9),
}


def value(tokens):
    return Result(0.0, status="crashed") if tokens[0] == 3 else Result(sum(tokens) / 18)


def steps(strategy, count, waiting, rng, found):
    """Proposes and reports, with a few under way and in no particular order."""
    for _ in range(count):
        if len(waiting) < 4:
            new = strategy.propose(1)
            found += new
            waiting += new
        if waiting and (len(waiting) == 4 or not new):
            proposal = waiting.pop(int(rng.integers(len(waiting))))
            strategy.report(proposal.id, value(proposal.tokens))
    return found


@pytest.mark.parametrize("make", STRATEGIES.values(), ids=STRATEGIES)
def test_the_same_seed_gives_the_same_search_and_a_state_continues_it(make):
    first, rng, waiting, found = make(), np.random.default_rng(1), [], []
    assert isinstance(first, Strategy)
    first.begin(SPACE, 7)
    steps(first, 90, waiting, rng, found)
    state = json.loads(json.dumps(first.state()))
    second = make()
    second.restore(SPACE, state)
    assert sorted(second.under_way(), key=lambda p: p.id) == sorted(waiting, key=lambda p: p.id) and waiting
    others, other_rng = list(waiting), np.random.default_rng(2)
    rest = steps(first, 90, waiting, np.random.default_rng(2), [])
    assert steps(second, 90, others, other_rng, []) == rest and len(rest) > 20
    assert [p.id for p in found + rest] == list(range(len(found + rest)))

    again = make()
    again.begin(SPACE, 7)
    assert steps(again, 90, [], np.random.default_rng(1), []) == found
    again.begin(SPACE, 8)
    assert steps(again, 90, [], np.random.default_rng(1), []) != found
    again.begin(SPACE, 7)  # nothing is left of what was before
    assert steps(again, 90, [], np.random.default_rng(1), []) == found


@pytest.mark.parametrize("make", STRATEGIES.values(), ids=STRATEGIES)
def test_rules_hold_and_failures_are_survived(make):
    space = SPACE.where(lambda row: "odd" if sum(row.values()) % 2 else None)
    strategy = make()
    strategy.begin(space, 0)
    for _ in range(60):
        (proposal,) = strategy.propose(1)
        assert space.wrong(proposal.tokens) is None
        strategy.report(proposal.id, Result(0.0, status="failed"))


def test_a_state_of_another_search_is_refused():
    strategy = Evolution(population=4, sample=2)
    strategy.begin(SPACE, 0)
    for proposal in strategy.propose(6):
        strategy.report(proposal.id, value(proposal.tokens))
    state = strategy.state()
    with pytest.raises(InputError, match="state must be one of .*'sample': 3"):
        Evolution(population=4, sample=3).restore(SPACE, state)
    with pytest.raises(InputError, match="of this strategy and space. Received: another proposal 0"):
        Evolution(population=4, sample=2).restore(hierarchical(), state)
    with pytest.raises(InputError, match="state must be a mapping with history, proposed, seed, settings"):
        strategy.restore(SPACE, {})


def test_settings_tell_the_arguments():
    assert Evolution(10, 3).settings()["population"] == 10
    assert SuccessiveHalving(Reinforce(rate=0.5)).settings()["strategy"] == {**Reinforce(rate=0.5).settings()}
    assert RandomSearch().settings() == {"strategy": "RandomSearch"}


def test_misuse_is_said():
    strategy = RandomSearch()
    with pytest.raises(InputError, match="begin.space, seed. must be called first"):
        strategy.propose(1)
    with pytest.raises(InputError, match="space must be a space"):
        strategy.begin("cells", 0)
    with pytest.raises(InputError, match="seed must be a whole number, at least 0"):
        strategy.begin(SPACE, -1)
    strategy.begin(SPACE, 0)
    with pytest.raises(InputError, match="n must be a whole number, at least 1"):
        strategy.propose(0)
    (proposal,) = strategy.propose(1)
    with pytest.raises(InputError, match="result must be a Result. Received: result=0.5"):
        strategy.report(proposal.id, 0.5)
    strategy.report(proposal.id, Result(0.5))
    for id in (proposal.id, 99):
        with pytest.raises(InputError, match="id must be that of a proposal whose result is still to come"):
            strategy.report(id, Result(0.5))


def test_a_strategy_of_ones_own():
    class Counting(Searcher):
        def start(self):
            self.values = []

        def draw(self):
            return self.proposal((len(self.values) % 4,) * 6) if not self._open else None

        def learn(self, proposal, result):
            self.values.append(result.value)

    strategy = Counting()
    strategy.begin(SPACE, 0)
    assert strategy.propose(5) == [Proposal(0, (0,) * 6)] and strategy.propose(1) == []
    strategy.report(0, Result(1.0))
    assert strategy.propose(2) == [Proposal(1, (1,) * 6)] and strategy.values == [1.0]
    assert strategy.settings() == {"strategy": "Counting"}
