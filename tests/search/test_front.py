"""MnasNet's reward and the Pareto front."""

import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.search import HARD, SOFT, mnasnet_reward, pareto_front


def test_the_rewards_identities():
    for cost in (10, 75, 300):
        assert mnasnet_reward(0.7, cost, 75, (0, 0)) == 0.7
    for exponents in (SOFT, HARD):
        assert mnasnet_reward(0.7, 75, 75, exponents) == 0.7
    assert mnasnet_reward(0.7, 20, 75, HARD) == 0.7 and mnasnet_reward(0.7, 150, 75, HARD) == 0.35
    assert mnasnet_reward(1.0, 150, 75) == pytest.approx(0.953, abs=5e-4)  # 5 % for twice the latency
    assert mnasnet_reward(1.0, 150, 75) * mnasnet_reward(1.0, 37.5, 75) == pytest.approx(1)


@pytest.mark.parametrize("arguments", [(-0.1, 1, 1), (0.5, 0, 1), (0.5, 1, 0), (float("nan"), 1, 1),
                                       (0.5, 1, 1, (0.1, 0)), (0.5, 1, 1, (0,)), (0.5, 1, 1, None)])  # fmt: skip
def test_bad_rewards(arguments):
    with pytest.raises(InputError, match="must be .* Received: "):
        mnasnet_reward(*arguments)


@pytest.mark.parametrize("maximize", [(True, False), (False, False, True), (True,)])
def test_the_front_is_that_of_brute_force(maximize):
    points = np.random.default_rng(0).integers(0, 8, (60, len(maximize))).astype(float)
    points = np.vstack([points, points[:5]])
    signed = np.where(maximize, points, -points)
    expected = [i for i, p in enumerate(signed) if not any((q >= p).all() and (q > p).any() for q in signed)]
    front = pareto_front(points, maximize)
    assert sorted(front.tolist()) == expected and (np.diff(signed[front, 0]) <= 0).all()


def test_the_fronts_edges():
    assert pareto_front([[0.9, 300], [0.8, 400], [0.7, 100]], (True, False)).tolist() == [0, 2]
    assert pareto_front(np.empty((0, 2)), (True, True)).tolist() == []
    for points in ([1, 2], [[1, 2, 3]], "ab", [[np.nan, 1]]):
        with pytest.raises(InputError, match="points must be .* Received: "):
            pareto_front(points, (True, False))
