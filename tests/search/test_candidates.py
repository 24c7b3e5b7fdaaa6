"""The grid of factors."""

import pytest

from kerascnn._errors import InputError
from kerascnn.search import Candidate, candidates


def test_a_coarse_grid():
    assert candidates(0.5, 0.25) == [Candidate(1, 1, 1.5), Candidate(1, 1.5, 1), Candidate(2, 1, 1)]
    assert [candidate.cost for candidate in candidates(0.5, 0.25)] == [2.25, 2.25, 2]


def test_all_are_near_the_target_and_the_papers_is_among_them():
    found = candidates(0.05, 0.1)
    assert Candidate(1.2, 1.1, 1.15) in found and Candidate(1.2, 1.1, 1.15).cost == pytest.approx(1.92, abs=0.001)
    assert all(abs(candidate.cost - 2) <= 0.1 + 1e-9 for candidate in found)
    assert found == sorted(set(found)) and min(min(c.alpha, c.beta, c.gamma) for c in found) == 1
    assert Candidate(2.1, 1, 1) in found and Candidate(1.9, 1, 1) in found  # both ends count


def test_another_target():
    assert candidates(1, 0.5, target=4) == [Candidate(1, 1, 2), Candidate(1, 2, 1), Candidate(4, 1, 1)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"step": 0}, "step must be greater than 0. Received: 0"),
        ({"step": float("nan")}, "step must be greater than 0. Received: nan"),
        ({"step": 1e-3}, "at most 10,000 candidates. Received: 0.001"),
        ({"tolerance": 0}, "tolerance must be greater than 0 and less than 1. Received: 0"),
        ({"tolerance": 1.0}, "tolerance must be greater than 0 and less than 1"),
        ({"target": 1}, "target must be greater than 1"),
        ({"step": 0.3, "tolerance": 0.01}, "No factors on this grid .* within 0.01 of 2; make the step smaller"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(InputError, match=words):
        candidates(**arguments)
