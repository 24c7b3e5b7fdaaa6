"""NAO: rounds of what is decoded, what it learns from, and that it finds more than its seeds."""

import json

import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.search import Result
from kerascnn.search.spaces import Blocks, Choices, enas_macro, hierarchical, pnas_growing
from kerascnn.search.strategies import NAO
from kerascnn.search.strategies.nao import decoded

SPACE = Choices({f"a{i}": (0, 1, 2, 3) for i in range(6)})
WORTH = np.random.default_rng(5).normal(size=(6, 4))
SMALL = {"first": 20, "batch": 10, "seeds": 8, "units": 16, "embedding": 8, "hidden": 16, "steps": 120}


def value(tokens):
    return float(sum(WORTH[place, token] for place, token in enumerate(tokens)))


def search(strategy, space, count, seed=0):
    strategy.begin(space, seed)
    found = []
    for _ in range(count):
        (proposal,) = strategy.propose(1)
        found.append(proposal)
        strategy.report(proposal.id, Result(value(proposal.tokens)))
    return found


def test_what_it_decodes_is_better_than_its_seeds_and_new():
    found = search(NAO(**SMALL), SPACE, 60)
    assert len({SPACE.canonical(each.tokens) for each in found}) == 60
    values = [value(each.tokens) for each in found]
    made = [each for each in found if each.parent is not None]
    assert made and all(each.id >= 20 and each.parent < each.id for each in made)
    seeds = {each.parent for each in made[:10]}
    assert seeds <= set(np.argsort(values[:20])[-8:].tolist())
    first = [value(each.tokens) for each in made if each.id < 30]
    assert np.mean(first) > np.mean(values[:20]) + 0.5
    assert max(values) > max(values[:20])
    mean = [np.mean([value(SPACE.sample(rng)) for _ in range(200)]) for rng in [np.random.default_rng(9)]]
    assert np.mean(values[-10:]) > mean[0] + 1.0


def test_a_round_waits_for_its_results():
    strategy = NAO(**SMALL)
    strategy.begin(SPACE, 0)
    waiting = strategy.propose(100)
    assert len(waiting) == 20 and strategy.propose(1) == []
    for proposal in waiting[:-1]:
        strategy.report(proposal.id, Result(value(proposal.tokens)))
    assert strategy.propose(1) == []
    strategy.report(waiting[-1].id, Result(0.0, status="crashed"))
    assert len(strategy.propose(100)) == 10


def test_a_state_continues_it():
    first = NAO(**SMALL)
    search(first, SPACE, 35, seed=3)
    under_way = first.propose(2)
    second = NAO(**SMALL)
    second.restore(SPACE, json.loads(json.dumps(first.state())))
    assert second.under_way() == under_way
    np.testing.assert_array_equal(first.latent.weights, second.latent.weights)
    for strategy in (first, second):
        for proposal in under_way:
            strategy.report(proposal.id, Result(value(proposal.tokens)))
    assert first.propose(3) == second.propose(3)


def test_equal_and_failed_results_do_not_end_it():
    space = Choices({"a": (0, 1, 2), "b": (0, 1)})  # six candidates: then they come again
    for result in (Result(1.0), Result(0.0, status="failed")):
        strategy = NAO(**{**SMALL, "first": 3, "steps": 5})
        strategy.begin(space, 0)
        for _ in range(40):
            (proposal,) = strategy.propose(1)
            strategy.report(proposal.id, result)


@pytest.mark.parametrize("space", [enas_macro(4), hierarchical(), pnas_growing(2), Blocks(("a", "b"), 2)],
                         ids=["chain", "motifs", "growing", "blocks"])  # fmt: skip
def test_it_searches_any_space_of_tokens(space):
    strategy = NAO(**{**SMALL, "first": 6, "batch": 4, "steps": 5})
    strategy.begin(space, 0)
    for _ in range(14):
        (proposal,) = strategy.propose(1)
        assert space.wrong(proposal.tokens) is None
        strategy.report(proposal.id, Result(float(sum(proposal.tokens))))


def test_decoding_gives_new_candidates_alone():
    strategy = NAO(**SMALL)
    found = search(strategy, SPACE, 30)
    tokens = [each.tokens for each in found]
    known = {SPACE.canonical(each) for each in tokens}
    new = decoded(SPACE, strategy.latent, tokens[:5], known, 7)
    assert 0 < len(new) <= 7 and len({each for each, _ in new}) == len(new)
    assert all(SPACE.canonical(each) not in known and 0 <= place < 5 for each, place in new)


def test_bad_arguments():
    for options in ({"first": 1}, {"batch": 0}, {"layers": -1}):
        with pytest.raises(InputError, match="must be a whole number"):
            NAO(**options)
    for options in ({"trade": 1.5}, {"stride": 0.0}, {"stride": 2.0, "longest": 1.0}, {"rate": 0.0}):
        with pytest.raises(InputError, match="must be a finite number"):
            NAO(**options)
