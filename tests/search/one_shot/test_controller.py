"""The controllers of ENAS, and the step that teaches them."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.search import spaces
from kerascnn.search.one_shot import BlockController, ChainController, EnasConfig
from kerascnn.search.one_shot.controllers import controller_of, skip_penalty
from kerascnn.search.one_shot.reinforce import ControllerSteps

TINY = EnasConfig(units=8, tanh=1.5)
BLOCKS = spaces.Blocks(("sep_3x3", "identity"), 2, shared=True)  # 16 * 36 candidates
CHAIN = spaces.Chain(3, {"operation": ("conv_3x3", "max_3x3")})  # 2^3 * 2^3


def spread(controller):
    """Weights far from the start, so that the distribution is far from uniform."""
    rng = np.random.default_rng(4)
    for variable in controller.variables:
        variable.assign(rng.normal(0, 1, variable.shape))
    return controller


@pytest.mark.parametrize("space", [BLOCKS, CHAIN], ids=["blocks", "chain"])
def test_probabilities_add_up_to_one(space):
    controller, candidates = spread(controller_of(space, TINY, 0)), list(space.enumerate())
    logs = controller.score(candidates).log_probability.numpy().astype("float64")
    assert len(logs) == space.size()
    assert np.exp(logs).sum() == pytest.approx(1.0, abs=1e-5)
    assert np.exp(logs).max() > 1.5 / len(logs), "it is not uniform"


@pytest.mark.parametrize("space", [BLOCKS, spaces.enas_micro(2), CHAIN], ids=["one cell", "two cells", "chain"])
def test_what_is_drawn_has_the_probability_that_it_is_given(space):
    controller = spread(controller_of(space, TINY, 0))
    tokens, walk = controller.sample(50, (1, 2))
    assert all(space.wrong(candidate) is None for candidate in tokens)
    again = controller.score(tokens)
    np.testing.assert_allclose(again.log_probability, walk.log_probability, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(again.entropy, walk.entropy, rtol=1e-4, atol=1e-4)
    assert controller.sample(50, (1, 2))[0] == tokens != controller.sample(50, (1, 3))[0]


def test_candidates_are_drawn_as_often_as_they_should_be():
    space = spaces.Blocks(("sep_3x3", "identity"), 1, shared=True)
    controller, count = spread(BlockController(space, TINY, 0)), 8000
    tokens, _ = controller.sample(count, (0,))
    candidates = list(space.enumerate())
    p = np.exp(controller.score(candidates).log_probability.numpy())
    drawn = np.array([tokens.count(candidate) for candidate in candidates]) / count
    assert np.all(np.abs(drawn - p) < 4.5 * np.sqrt(p * (1 - p) / count) + 1e-4)


def test_skips_are_drawn_with_the_probability_that_is_penalized():
    """sigmoid(2 q) of the release's softmax over (-q, q), not sigmoid(q)."""
    controller, count = spread(ChainController(CHAIN, TINY, 0)), 6000
    tokens, walk = controller.sample(count, (0,))
    bits = np.array(tokens)[:, [2, 4, 5]]
    p = walk.skips.numpy()
    assert p.shape == (count, 3) and np.abs(p.mean(0) - 0.5).max() > 0.05
    error = 4.5 * np.sqrt((p * (1 - p)).sum(0)) / count
    assert np.all(np.abs(bits.mean(0) - p.mean(0)) < error)


def test_the_penalty_is_zero_at_its_target():
    assert float(skip_penalty(tf.fill([2, 3], 0.4), 0.4)) == pytest.approx(0.0, abs=1e-7)
    expected = 0.5 * np.log(0.5 / 0.4) + 0.5 * np.log(0.5 / 0.6)
    assert float(skip_penalty(tf.fill([2, 3], 0.5), 0.4)) == pytest.approx(expected, rel=1e-5)
    assert float(skip_penalty(tf.zeros([2, 0]), 0.4)) == 0.0


def test_logits_are_bounded():
    """With tanh 1.1, and 1.1 / 2.5 for operations, no operation is likelier than e^0.88 times another."""
    space = spaces.Blocks(("sep_3x3", "identity"), 1, shared=True)
    controller = BlockController(space, EnasConfig(units=8), 0)
    for variable in controller.variables:
        variable.assign(variable * 1000)
    logs = controller.score(list(space.enumerate())).log_probability.numpy()
    ratio = logs.max() - logs.min()
    assert ratio <= 2 * 2 * 1.1 + 2 * 2 * 1.1 / 2.5 + 1e-4


def test_favored_operations_begin_likelier():
    space = spaces.Blocks(("sep_3x3", "identity"), 1)
    for favored, least, most in (((), 0.4, 0.6), (("sep_3x3",), 0.65, 0.95)):
        tokens, _ = BlockController(space, EnasConfig(units=8, favored=favored), 0).sample(2000, (0,))
        share = np.mean([t[1] == 0 for t in tokens])
        assert least < share < most, favored


def test_the_expected_step_is_the_gradient_of_the_expected_reward():
    space = spaces.Blocks(("sep_3x3", "identity"), 1, shared=True)
    config = EnasConfig(units=6, entropy=0.0)
    controller = spread(BlockController(space, config, 0))
    steps, candidates = ControllerSteps(controller, config), list(space.enumerate())
    rewards = np.random.default_rng(1).random(len(candidates)).astype("float32")
    p = np.exp(controller.score(candidates).log_probability.numpy())
    with tf.GradientTape() as tape:
        expected = tf.reduce_sum(tf.exp(controller.score(candidates).log_probability) * rewards)
    exact = tape.gradient(expected, controller.variables)
    for baseline in (0.0, 0.7):
        with tf.GradientTape() as tape:
            weighted = tf.constant(len(candidates) * p * (rewards - baseline))  # mean over all = expectation
            loss = steps.loss(tf.constant(candidates, tf.int32), weighted)
        for found, wanted in zip(tape.gradient(loss, controller.variables), exact, strict=True):
            if wanted is not None:
                np.testing.assert_allclose(-tf.convert_to_tensor(found), tf.convert_to_tensor(wanted), atol=1e-5)


def test_a_controller_learns_what_is_rewarded():
    config = EnasConfig(units=16, controller_rate=0.02, baseline=0.8, tanh=2.5)
    controller = BlockController(BLOCKS, config, 0)
    steps, first = ControllerSteps(controller, config), []
    for step in range(60):
        tokens, walk = controller.sample(10, (0, step))
        rewards = [float(np.mean([t[place] == 1 for place in (1, 3, 5, 7)])) for t in tokens]
        steps.apply(tokens, rewards)
        first.append((np.mean(rewards), float(tf.reduce_mean(walk.entropy))))
    assert np.mean([r for r, _ in first[-10:]]) > 0.7 > 0.6 > np.mean([r for r, _ in first[:5]])
    assert first[-1][1] < first[0][1]


def test_the_baseline_has_not_seen_what_it_is_subtracted_from():
    controller = BlockController(BLOCKS, TINY, 0)
    steps = ControllerSteps(controller, EnasConfig(units=8, entropy=0.0, baseline=0.75))
    before = [variable.numpy() for variable in controller.variables]
    tokens, _ = controller.sample(2, (0,))
    steps.apply(tokens, [0.2, 0.6])
    assert float(steps.baseline) == pytest.approx(0.4)
    assert all(np.array_equal(a, b) for a, b in zip(before, controller.variables, strict=True)), "nothing is known yet"
    steps.apply(tokens, [1.0, 1.0])
    assert float(steps.baseline) == pytest.approx(0.75 * 0.4 + 0.25)
    assert any(not np.array_equal(a, b) for a, b in zip(before, controller.variables, strict=True))


def test_what_cannot_be_used_is_refused():
    for kind, space in itertools.product((BlockController, ChainController), (spaces.darts(),)):
        with pytest.raises(InputError, match="space must be a"):
            kind(space, TINY, 0)
    with pytest.raises(InputError, match="a Blocks or a Chain space"):
        controller_of(spaces.darts(), TINY, 0)
    with pytest.raises(InputError, match="each of favored must be one of"):
        BlockController(BLOCKS, EnasConfig(favored=("conv_3x3",)), 0)
    with pytest.raises(InputError, match="tokens must be a candidate"):
        BlockController(BLOCKS, TINY, 0).score([(9,) * 8])
