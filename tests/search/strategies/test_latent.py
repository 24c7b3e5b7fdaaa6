"""Encoder, predictor and decoder: their gradients, what they give back, and how they rank what they have not seen."""

import csv
from pathlib import Path

import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.search.spaces import Blocks
from kerascnn.search.strategies import Latent, Point
from kerascnn.search.strategies.nao import badness, twins_of

SIZES = (3, 2, 4)
TOKENS = np.array([(0, 1, 3), (2, 0, 1), (2, 1, 0), (1, 1, 1)])
TARGETS = np.array([0.0, 0.3, 1.0, 0.6])
CELLS = Blocks(("identity", "conv_3x3", "max_3x3"), 2, shared=True, name="pnas")


def small(layers=1, seed=0):
    made = Latent(SIZES, np.random.default_rng(seed), units=4, embedding=3, layers=layers, hidden=5)
    made.weights *= 6.0  # so that nothing is nearly linear
    return made


def differences(function, array, step):
    found = np.empty_like(array)
    for place in np.ndindex(array.shape):
        kept, values = array[place], []
        for moved in (step, -step):
            array[place] = kept + moved
            values.append(function())
        array[place] = kept
        found[place] = (values[0] - values[1]) / (2 * step)
    return found


@pytest.fixture(scope="module")
def table():
    """Tokens and mean accuracies of the recorded networks of two sums."""
    with open(Path(__file__).parents[3] / "results" / "search" / "table.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    found: dict[tuple[int, ...], list[float]] = {}
    for row in rows:
        blocks, *cell = map(int, row["network"].split("-"))
        if blocks == 1:
            found.setdefault(tuple(cell), []).append(100 * float(row["accuracy"]))
    return np.array(list(found)), np.array([np.mean(values) for values in found.values()])


def spearman(first, second):
    ranks = [np.argsort(np.argsort(values)) for values in (first, second)]
    return np.corrcoef(ranks)[0, 1]


@pytest.mark.parametrize("layers", [0, 2])
def test_the_gradient_is_that_of_finite_differences(layers):
    latent = small(layers)
    loss, found = latent.gradients(TOKENS, TARGETS, 0.7, 0.01)
    expected = differences(lambda: latent.gradients(TOKENS, TARGETS, 0.7, 0.01)[0], latent.weights, 1e-5)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    assert loss > 0 and np.abs(expected).max() > 0.01


@pytest.mark.parametrize("layers", [0, 2])
def test_the_slope_is_that_of_finite_differences(layers):
    latent = small(layers)
    outputs = latent.encode(TOKENS).outputs.copy()

    def total():
        mean = outputs.mean(1)
        return latent.predict(Point(outputs, mean / np.linalg.norm(mean, axis=-1, keepdims=True))).sum()

    expected = differences(total, outputs, 1e-6)
    np.testing.assert_allclose(latent.slope(latent.encode(TOKENS)), expected, rtol=1e-5, atol=1e-9)
    assert np.abs(expected).max() > 1e-3


def test_points_are_directions_and_small_steps_descend():
    latent = small()
    point = latent.encode(TOKENS)
    before = latent.predict(point)
    for step in (0.1, 1.0):
        moved = latent.descend(point, step)
        assert (latent.predict(moved) < before).all()
        for vectors in moved:
            np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1, atol=1e-9)
    assert latent.descend(point, 0.0).outputs == pytest.approx(point.outputs, abs=1e-9)


def test_an_untrained_decoder_stays_within_the_sizes():
    rng = np.random.default_rng(0)
    latent = small()
    outputs = rng.normal(size=(50, 3, 4))
    outputs /= np.linalg.norm(outputs, axis=-1, keepdims=True)
    code = outputs.mean(1)
    for tokens in latent.decode(Point(outputs, code / np.linalg.norm(code, axis=-1, keepdims=True))):
        assert all(0 <= token < size for token, size in zip(tokens, SIZES, strict=True))


def test_all_of_a_small_space_is_given_back_and_bad_candidates_are_known():
    rng, every = np.random.default_rng(0), np.array(list(np.ndindex(SIZES)))
    latent = Latent(SIZES, rng)
    worth = every @ [0.2, 0.3, 0.1]
    loss = latent.fit(every, badness(worth), steps=250)
    assert loss < 0.05
    assert latent.decode(latent.encode(every)) == list(map(tuple, every.tolist()))
    assert spearman(latent.predict(latent.encode(every)), -worth) > 0.95


def test_on_the_recorded_table(table):
    """Learns from 100 networks: gives them back, and ranks the other 635."""
    tokens, values = table
    rng = np.random.default_rng(0)
    latent, order = Latent(CELLS.sizes, rng), rng.permutation(len(tokens))
    known, others = order[:100], order[100:]
    assert len(others) == 635
    latent.fit(tokens[known], badness(values[known]), steps=400)
    again = latent.decode(latent.encode(tokens[known]))
    assert np.mean([a == tuple(b) for a, b in zip(again, tokens[known].tolist(), strict=True)]) > 0.95
    found = latent.predict(latent.encode(tokens[others]))
    assert spearman(-found, values[others]) > 0.7
    pairs = rng.choice(len(others), (4000, 2))
    apart = values[others[pairs[:, 0]]] != values[others[pairs[:, 1]]]
    right = (found[pairs[:, 0]] < found[pairs[:, 1]]) == (values[others[pairs[:, 0]]] > values[others[pairs[:, 1]]])
    assert right[apart].mean() > 0.75


def test_twins_are_the_same_network():
    rng = np.random.default_rng(0)
    twin = twins_of(CELLS, rng)
    tokens = np.array([CELLS.sample(rng) for _ in range(40)])
    turned = twin(tokens)
    assert (turned != tokens).any()
    for one, other in zip(tokens.tolist(), turned.tolist(), strict=True):
        assert CELLS.canonical(one) == CELLS.canonical(other)


def test_badness_is_from_zero_to_one():
    assert badness([3.0, 5.0, 4.0]).tolist() == [1.0, 0.0, 0.5]
    assert badness([2.0, 2.0]).tolist() == [0.0, 0.0]


def test_what_cannot_be_used_is_refused():
    latent = small()
    for wrong in ([(0, 1)], [], [(3, 0, 0)], [(0.5, 0, 0)], [(-1, 0, 0)]):
        with pytest.raises(InputError, match="candidates must be one or more of tokens less than"):
            latent.encode(wrong)
    with pytest.raises(InputError, match="targets must be 4 numbers"):
        latent.gradients(TOKENS, [0.0])
    with pytest.raises(InputError, match="units must be"):
        Latent(SIZES, np.random.default_rng(0), units=0)
