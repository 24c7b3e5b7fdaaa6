"""REINFORCE and PPO on a space that can be gone through: estimates against the exact gradient."""

import collections
import itertools

import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.search import Result
from kerascnn.search.spaces import Choices
from kerascnn.search.strategies import (
    PPO,
    Policy,
    RandomSearch,
    Reinforce,
    exact_gradient,
    leave_one_out,
    ppo_gradient,
    reinforce_gradient,
)

SIZES = (3, 2, 4)
ALL = list(itertools.product(*map(range, SIZES)))
REWARD = dict(zip(ALL, np.random.default_rng(5).normal(0.7, 0.2, len(ALL)), strict=True))


@pytest.fixture
def policy():
    policy = Policy(SIZES)
    policy.logits[:] = np.random.default_rng(4).normal(size=sum(SIZES))
    return policy


def probability(policy, tokens):
    return np.exp(policy.log_probability(tokens))


def numeric(policy, function, step=1e-6):
    """Central differences with respect to the logits."""
    gradient, logits = np.zeros_like(policy.logits), policy.logits
    for i in range(len(gradient)):
        values = []
        for sign in (1, -1):
            policy.logits = logits + sign * step * (np.arange(len(logits)) == i)
            values.append(function())
        gradient[i] = (values[0] - values[1]) / (2 * step)
    policy.logits = logits
    return gradient


def test_probabilities_add_up_and_draws_follow_them(policy):
    assert sum(probability(policy, tokens) for tokens in ALL) == pytest.approx(1, abs=1e-12)
    tables = np.split(policy.probabilities(), np.cumsum(SIZES)[:-1])
    for tokens in ALL:
        steps = sum(np.log(table[token]) for table, token in zip(tables, tokens, strict=True))
        assert policy.log_probability(tokens) == pytest.approx(steps, abs=1e-12)
    rng, count = np.random.default_rng(0), 20_000
    drawn = collections.Counter(policy.sample(rng) for _ in range(count))
    expected = {tokens: count * probability(policy, tokens) for tokens in ALL}
    assert sum((drawn[tokens] - mean) ** 2 / mean for tokens, mean in expected.items()) < 49.7  # 23 degrees, .001


def test_derivatives_are_those_of_finite_differences(policy):
    for tokens in ((0, 0, 0), (2, 1, 3)):
        assert np.allclose(policy.score(tokens), numeric(policy, lambda t=tokens: policy.log_probability(t)), atol=1e-8)
    assert np.allclose(policy.entropy_gradient(), numeric(policy, policy.entropy), atol=1e-8)
    expected = numeric(policy, lambda: sum(probability(policy, tokens) * REWARD[tokens] for tokens in ALL))
    assert np.allclose(exact_gradient(policy, ALL, REWARD.get), expected, atol=1e-8)
    assert Policy(SIZES).entropy() == pytest.approx(np.log(len(ALL)))


@pytest.mark.parametrize("baseline", [0.0, 0.7, -3.0])
def test_reinforce_is_unbiased_for_any_constant_baseline(policy, baseline):
    exact = exact_gradient(policy, ALL, REWARD.get)
    mean = sum(
        probability(policy, tokens) * reinforce_gradient(policy, [tokens], [REWARD[tokens] - baseline])
        for tokens in ALL
    )
    assert np.abs(mean - exact).max() < 1e-12


def test_leave_one_out_is_unbiased_and_the_mean_of_the_batch_is_not(policy):
    """Over all pairs that can be drawn, exactly."""
    exact = exact_gradient(policy, ALL, REWARD.get)
    loo, own = np.zeros_like(exact), np.zeros_like(exact)
    for pair in itertools.product(ALL, repeat=2):
        rewards, weight = (
            np.array([REWARD[t] for t in pair]),
            probability(policy, pair[0]) * probability(policy, pair[1]),
        )
        loo += weight * reinforce_gradient(policy, pair, rewards - leave_one_out(rewards))
        own += weight * reinforce_gradient(policy, pair, rewards - rewards.mean())
    assert np.abs(loo - exact).max() < 1e-12
    assert np.abs(own - exact / 2).max() < 1e-12  # of a batch of n, 1 - 1/n of the gradient is left


def test_sampled_means_and_variances(policy):
    rng = np.random.default_rng(0)
    draws = [policy.sample(rng) for _ in range(4000)]
    rewards = np.array([REWARD[tokens] for tokens in draws])
    expected = sum(probability(policy, tokens) * REWARD[tokens] for tokens in ALL)
    scores = np.array([policy.score(tokens) for tokens in draws])
    plain, centered = rewards[:, None] * scores, (rewards - expected)[:, None] * scores
    assert np.allclose(plain.mean(0), reinforce_gradient(policy, draws, rewards))
    errors = plain.std(0) / len(draws) ** 0.5
    assert (np.abs(plain.mean(0) - exact_gradient(policy, ALL, REWARD.get)) < 4 * errors).all()
    assert centered.var(0).sum() < plain.var(0).sum() / 2


def test_ppos_first_step_is_reinforces(policy):
    rng = np.random.default_rng(0)
    draws = [policy.sample(rng) for _ in range(20)]
    advantages = np.array([REWARD[tokens] - 0.7 for tokens in draws])
    logs = np.array([policy.log_probability(tokens) for tokens in draws])
    first = ppo_gradient(policy, draws, advantages, logs)
    assert np.abs(first - reinforce_gradient(policy, draws, advantages)).max() < 1e-14


@pytest.mark.parametrize("clip", [0.05, 0.2])
def test_ppos_later_steps_are_the_clipped_objectives(policy, clip):
    rng = np.random.default_rng(0)
    draws = [policy.sample(rng) for _ in range(40)]
    advantages = np.array([REWARD[tokens] - 0.7 for tokens in draws])
    logs = np.array([policy.log_probability(tokens) for tokens in draws])
    policy.logits = policy.logits + 0.2 * rng.normal(size=len(policy.logits))

    def objective():
        ratios = np.exp(np.array([policy.log_probability(tokens) for tokens in draws]) - logs)
        return np.minimum(ratios * advantages, np.clip(ratios, 1 - clip, 1 + clip) * advantages).mean()

    gradient = ppo_gradient(policy, draws, advantages, logs, clip)
    assert np.allclose(gradient, numeric(policy, objective), atol=1e-7)
    assert not np.allclose(gradient, reinforce_gradient(policy, draws, advantages), atol=1e-4)


@pytest.mark.parametrize(
    ("advantage", "moved", "flat"), [(1, 0.5, True), (1, -0.5, False), (-1, 0.5, False), (-1, -0.5, True)]
)
def test_ppo_stops_on_the_side_that_improves(advantage, moved, flat):
    policy = Policy(SIZES)
    log = policy.log_probability((0, 0, 0))
    policy.logits[0] += moved  # makes the candidate more, or less probable, by more than the clip
    gradient = ppo_gradient(policy, [(0, 0, 0)], [advantage], [log], 0.1)
    assert (not gradient.any()) == flat


@pytest.mark.parametrize(
    "make",
    [Reinforce, lambda: Reinforce(rate=1.0, batch=4, leave_one_out=True), lambda: PPO(batch=10)],
    ids=["ema", "loo", "ppo"],
)
def test_they_learn(make):
    space = Choices({f"a{i}": (0, 1, 2) for i in range(8)})

    def mean_of_the_last(strategy):
        strategy.begin(space, 0)
        found = []
        for _ in range(300):
            (proposal,) = strategy.propose(1)
            found.append(sum(proposal.tokens) / 16)
            strategy.report(proposal.id, Result(found[-1]))
        return np.mean(found[-50:])

    assert mean_of_the_last(RandomSearch()) == pytest.approx(0.5, abs=0.05) and mean_of_the_last(make()) > 0.75


def test_entropy_keeps_the_policy_wide():
    def entropy(weight):
        strategy = Reinforce(rate=1.0, entropy=weight)
        strategy.begin(Choices({"a": (0, 1, 2, 3)}), 0)
        for _ in range(200):
            (proposal,) = strategy.propose(1)
            strategy.report(proposal.id, Result(float(proposal.tokens[0])))
        return strategy.policy.entropy()

    assert entropy(0.0) < 0.1 < 0.8 < entropy(10.0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Reinforce(rate=0), "rate must be a finite number in .0"),
        (lambda: Reinforce(leave_one_out=True), "batch must be a whole number, at least 2"),
        (lambda: Reinforce(decay=1.0), "decay must be"),
        (lambda: PPO(epochs=0), "epochs must be"),
        (lambda: PPO(clip=1), "clip must be"),
        (lambda: leave_one_out([1.0]), "rewards must be at least two"),
        (lambda: Policy([3, 0]), "a size must be"),
    ],
)
def test_bad_arguments(make, words):
    with pytest.raises(InputError, match=words):
        make()
