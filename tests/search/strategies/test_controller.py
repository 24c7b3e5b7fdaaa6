"""The LSTM controller: its probabilities, its gradient, and that it learns what independent tokens cannot."""

import itertools

import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.search import Result
from kerascnn.search.spaces import Choices
from kerascnn.search.strategies.controller import LSTMPPO, LSTMReinforce
from kerascnn.search.strategies.lstm import Controller
from kerascnn.search.strategies.policy import exact_gradient
from kerascnn.search.strategies.reinforce import reinforce_gradient

SIZES = (2, 3, 2)
EVERY = list(itertools.product(*map(range, SIZES)))


def controller(seed=0, scale=8.0):
    made = Controller(SIZES, 4, np.random.default_rng(seed))
    made.logits *= scale  # so that the tokens before do matter
    return made


def differences(function, weights, step=1e-5):
    found = np.empty_like(weights)
    for i in range(len(weights)):
        kept = weights[i]
        weights[i] = kept + step
        above = function()
        weights[i] = kept - step
        found[i] = (above - function()) / (2 * step)
        weights[i] = kept
    return found


def test_the_probabilities_of_all_candidates_add_up_to_one():
    policy = controller(scale=30.0)
    chances = np.exp([policy.log_probability(tokens) for tokens in EVERY])
    assert chances.sum() == pytest.approx(1, abs=1e-12)
    by_first = chances.reshape(SIZES).sum(2)
    by_first /= by_first.sum(1, keepdims=True)
    assert np.abs(by_first[0] - by_first[1]).max() > 0.05  # the second token depends on the first


@pytest.mark.parametrize("tokens", [(0, 0, 0), (1, 2, 1), (0, 2, 1)])
def test_the_gradient_is_that_of_finite_differences(tokens):
    policy = controller()
    expected = differences(lambda: policy.log_probability(tokens), policy.logits)
    assert np.allclose(policy.score(tokens), expected, rtol=1e-6, atol=1e-8) and np.abs(expected).max() > 0.1


def test_reinforce_is_unbiased():
    policy, reward = controller(), {tokens: float(i % 5) for i, tokens in enumerate(EVERY)}
    expected = differences(
        lambda: sum(np.exp(policy.log_probability(tokens)) * reward[tokens] for tokens in EVERY), policy.logits
    )
    assert np.allclose(exact_gradient(policy, EVERY, reward.get), expected, atol=1e-7)
    rng = np.random.default_rng(1)
    drawn = [policy.sample(rng) for _ in range(4000)]
    parts = np.array([policy.score(tokens) * (reward[tokens] - 2.0) for tokens in drawn])
    estimate = reinforce_gradient(policy, drawn, [reward[tokens] - 2.0 for tokens in drawn])
    assert np.allclose(estimate, parts.mean(0))
    error = parts.std(0) / len(parts) ** 0.5
    assert (np.abs(estimate - expected) <= 5 * error + 1e-9).all()


def test_draws_have_their_probabilities():
    policy, rng, count = controller(), np.random.default_rng(0), 6000
    drawn = [policy.sample(rng) for _ in range(count)]
    for tokens in EVERY:
        chance = np.exp(policy.log_probability(tokens))
        assert abs(drawn.count(tokens) / count - chance) < 5 * (chance * (1 - chance) / count) ** 0.5


@pytest.mark.parametrize("strategy", [LSTMReinforce(units=8), LSTMPPO(units=8)])
def test_it_learns_what_tokens_are_good_together(strategy):
    """The second token is to be the first: no independent token is better than another."""
    space = Choices({"a": (0, 1, 2, 3), "b": (0, 1, 2, 3)})
    strategy.begin(space, seed=0)
    values = []
    for _ in range(600):
        proposal = strategy.propose(1)[0]
        values.append(float(proposal.tokens[0] == proposal.tokens[1]))
        strategy.report(proposal.id, Result(values[-1]))
    assert np.mean(values[:100]) < 0.5 and np.mean(values[-100:]) > 0.8


@pytest.mark.parametrize("kind", [LSTMReinforce, LSTMPPO])
def test_it_continues_from_its_state(kind):
    space = Choices({"a": (0, 1, 2), "b": (0, 1, 2)})
    one, other = kind(units=4, batch=2), kind(units=4, batch=2)
    one.begin(space, seed=3)
    for _ in range(7):
        proposal = one.propose(1)[0]
        one.report(proposal.id, Result(float(sum(proposal.tokens))))
    other.restore(space, one.state())
    assert np.array_equal(one.policy.logits, other.policy.logits)
    assert one.propose(5) == other.propose(5)


@pytest.mark.parametrize("wrong", [{"units": 0}, {"rate": 0.0}, {"batch": 1, "leave_one_out": True}, {"decay": 1.0}])
def test_what_is_out_of_range_is_refused(wrong):
    with pytest.raises(InputError, match="must be"):
        LSTMReinforce(**wrong)
    with pytest.raises(InputError, match="clip must be"):
        LSTMPPO(clip=1.0)
