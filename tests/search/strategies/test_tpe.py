"""Optuna's TPE behind our protocol; and what is said where Optuna is not there."""

import sys

import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.search import Result
from kerascnn.search.spaces import Choices
from kerascnn.search.strategies.tpe import TPE

SPACE = Choices({f"a{i}": tuple(range(5)) for i in range(6)})


def searched(strategy, count, space=SPACE, seed=0, fail=()):
    strategy.begin(space, seed)
    found = []
    for number in range(count):
        proposal = strategy.propose(1)[0]
        found.append(float(sum(proposal.tokens)))
        status = "crashed" if number in fail else "ok"
        strategy.report(proposal.id, Result(found[-1], status=status))
    return found


def test_without_optuna_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"pip install 'kerascnn\[search\]'"):
        TPE().begin(SPACE, 0)


@pytest.mark.parametrize("wrong", [{"initial": 0}, {"candidates": 0.5}])
def test_what_is_out_of_range_is_refused(wrong):
    with pytest.raises(InputError, match="must be a whole number"):
        TPE(**wrong)


def test_it_learns():
    pytest.importorskip("optuna")
    found = searched(TPE(), 80)
    assert np.mean(found[-20:]) > np.mean(found[:10]) + 4  # at random the mean is 12, with a deviation of 3.5


def test_it_continues_from_its_state():
    pytest.importorskip("optuna")
    one, other = TPE(initial=3), TPE(initial=3)
    searched(one, 12, seed=4, fail=(2, 5))
    waiting = one.propose(2)
    other.restore(SPACE, one.state())
    assert other.under_way() == waiting and one.propose(3) == other.propose(3)


def test_candidates_that_are_refused_are_not_proposed():
    pytest.importorskip("optuna")
    few = SPACE.where(lambda row: None if row["a0"] == row["a1"] == row["a2"] == 0 else "not so")
    strategy = TPE(initial=5)
    searched(strategy, 15, few)
    assert all(each.tokens[:3] == (0, 0, 0) for _, each, _ in strategy._history)
