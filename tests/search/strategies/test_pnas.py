"""Progressive search and its surrogate."""

import json

import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.search import Result
from kerascnn.search.spaces import Growing, pnas, pnas_growing
from kerascnn.search.strategies import MLP, PNAS, Ensemble, RandomSearch
from kerascnn.search.strategies.pnas import features

OPERATIONS = ("identity", "sep_3x3", "max_3x3")
SPACE = Growing(OPERATIONS, 3)
WORTH = np.random.default_rng(3).normal(size=(4, 3))  # of an operation on a source


def value(cell):
    """The sum of what the halves of all blocks are worth, and a little for how they go together."""
    pairs = np.asarray(cell).reshape(-1, 2)
    return float(sum(WORTH[source, done] for source, done in pairs) + 0.1 * len(set(pairs[:, 1].tolist())))


def spearman(first, second):
    ranks = [np.argsort(np.argsort(values)) for values in (first, second)]
    return np.corrcoef(ranks)[0, 1]


def test_gradients_are_those_of_finite_differences():
    rng = np.random.default_rng(0)
    network, x, y = MLP(4, 5, rng), rng.normal(size=(7, 4)), rng.normal(size=7)
    for weight, gradient in zip(network.weights, network.gradients(x, y), strict=True):
        assert weight.shape == gradient.shape
        for place in np.ndindex(weight.shape):
            kept, losses = weight[place], []
            for step in (1e-6, -1e-6):
                weight[place] = kept + step
                losses.append(((network.predict(x) - y) ** 2).mean())
            weight[place] = kept
            assert gradient[place] == pytest.approx((losses[0] - losses[1]) / 2e-6, abs=1e-6)


def test_an_ensemble_is_the_mean_of_networks_that_saw_different_examples():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 3))
    y = 5 + 2 * x[:, 0] - x[:, 1]
    ensemble = Ensemble(3, rng, members=5, hidden=16)
    ensemble.fit(x, y, 300)
    members = np.array([member.predict(x) for member in ensemble.members])
    assert np.allclose(ensemble.predict(x), y.mean() + y.std() * members.mean(0), atol=1e-12)
    assert members.std(0).min() > 0 and spearman(ensemble.predict(x), y) > 0.98
    with pytest.raises(InputError, match="y must be at least 5 values"):
        ensemble.fit(x[:4], y[:4])


def test_exchanging_the_halves_of_a_block_changes_no_feature():
    rng = np.random.default_rng(0)
    for _ in range(20):
        cell = np.array(SPACE.levels[2].sample(rng))
        swapped = cell.reshape(3, 2, 2)[:, ::-1].reshape(-1)
        one, other = features(SPACE, np.array([cell, swapped]))
        assert (one == other).all() and one.sum() == pytest.approx(2)


def test_features_count_pairs():
    found = features(SPACE, np.array([[0, 0, 1, 2, 2, 1, 2, 1]]))[0]
    expected = np.zeros(12)
    expected[[0 * 3 + 0, 1 * 3 + 2]] = 0.5
    expected[2 * 3 + 1] = 1
    assert found.tolist() == expected.tolist()


def test_the_surrogate_ranks_cells_as_large_as_those_it_saw_better_than_larger_ones():
    space, rng = pnas_growing(3), np.random.default_rng(0)
    worth = rng.normal(size=(4, 8))

    def some(blocks, count):
        cells = np.array([space.levels[blocks - 1].sample(rng) for _ in range(count)])
        pairs = cells.reshape(count, -1, 2)
        return features(space, cells), worth[pairs[..., 0], pairs[..., 1]].sum(1)

    def correlations():
        return [spearman(ensemble.predict(x), y) for x, y in (some(blocks, 200) for blocks in (1, 2, 3))]

    ensemble = Ensemble(32, rng)
    ensemble.fit(*some(1, 150))
    one, two, three = correlations()
    assert one > 0.9 and three < two < one - 0.05  # larger cells read nodes that those of one block do not have
    x, y = (np.concatenate(pair) for pair in zip(some(1, 150), some(2, 250), strict=True))
    ensemble.fit(x, y, rate=0.002)
    assert correlations()[1] > 0.9 and correlations()[2] > three


def search(strategy, space=SPACE, budget=10_000):
    strategy.begin(space, 0)
    proposals = []
    while len(proposals) < budget and (new := strategy.propose(1)):
        proposals += new
        strategy.report(new[0].id, Result(value(space.cell(new[0].tokens))))
    return proposals


def test_it_grows_the_cells_of_which_most_is_expected():
    proposals = search(PNAS(kept=12, steps=100))
    assert [SPACE.blocks(p.tokens) for p in proposals] == [1] * 12 + [2] * 12 + [3] * 12
    assert len({SPACE.canonical(p.tokens) for p in proposals}) == 36
    for proposal in proposals[12:]:
        parent = proposals[proposal.parent]
        assert SPACE.cell(proposal.tokens)[:-4] == SPACE.cell(parent.tokens)
    best = max(value(SPACE.cell(p.tokens)) for p in proposals)
    random = search(RandomSearch(), budget=36)
    assert best > max(value(SPACE.cell(p.tokens)) for p in random)


def test_all_cells_of_one_block_come_first():
    space = pnas_growing(2)
    strategy = PNAS(kept=256)
    strategy.begin(space, 0)
    first = strategy.propose(1000)
    assert len(first) == 136 and strategy.propose(1) == []  # each network once; then results must come


def test_failed_candidates_grow_nothing():
    strategy = PNAS(kept=12, steps=10)
    strategy.begin(SPACE, 0)
    for proposal in strategy.propose(12):
        result = Result(1.0 + proposal.id) if proposal.id < 5 else Result(0.0, status="crashed")
        strategy.report(proposal.id, result)
    assert {p.parent for p in strategy.propose(12)} <= set(range(5))
    strategy.begin(SPACE, 0)
    for proposal in strategy.propose(12):
        strategy.report(proposal.id, Result(0.0, status="crashed"))
    assert strategy.propose(1) == []


def test_a_state_continues_it():
    first = PNAS(kept=10, steps=20)
    first.begin(SPACE, 3)
    for proposal in first.propose(10) + first.propose(4):
        first.report(proposal.id, Result(value(SPACE.cell(proposal.tokens))))
    more = first.propose(4)
    second = PNAS(kept=10, steps=20)
    second.restore(SPACE, json.loads(json.dumps(first.state())))
    assert second.under_way() == more
    for strategy in (first, second):
        for proposal in more:
            strategy.report(proposal.id, Result(value(SPACE.cell(proposal.tokens))))
    assert first.propose(10) == second.propose(10)


def test_bad_arguments():
    with pytest.raises(InputError, match="space must be a Growing space"):
        PNAS().begin(pnas(), 0)
    for options in ({"kept": 4}, {"members": 1}, {"steps": 0}, {"hidden": 0}):
        with pytest.raises(InputError, match="must be a whole number"):
            PNAS(**options)
