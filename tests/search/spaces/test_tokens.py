"""What all spaces share, on rows small enough to be gone through."""

import collections
import copy

import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.search import Space
from kerascnn.search.spaces import Choices, TokenSpace, enas_macro, hierarchical, nasnet

SPACE = Choices({"depth": (1, 2, 3), "width": (8, 16), "gate": (False, True)})


@pytest.mark.parametrize("space", [SPACE, nasnet(2), enas_macro(3), hierarchical()])
def test_it_is_a_space_and_its_moves_stay_in_it(space):
    rng = np.random.default_rng(0)
    assert isinstance(space, Space)
    for _ in range(50):
        first, second = space.sample(rng), space.sample(rng)
        changed, crossed = space.mutate(first, rng), space.cross(first, second, rng)
        for tokens in (first, changed, crossed):
            assert space.wrong(tokens) is None and all(type(token) is int for token in tokens)
            assert space.from_json(space.to_json(tokens)) == tokens
        assert sum(a != b for a, b in zip(first, changed, strict=True)) == 1
        assert all(c in pair for c, pair in zip(crossed, zip(first, second, strict=True), strict=True))


def test_all_candidates_are_drawn_alike():
    rng, drawn = np.random.default_rng(0), collections.Counter()
    for _ in range(6000):
        drawn[SPACE.sample(rng)] += 1
    assert set(drawn) == set(SPACE.enumerate()) and SPACE.size() == 12
    chi_squared = sum((count - 500) ** 2 / 500 for count in drawn.values())
    assert chi_squared < 31.3  # 11 degrees of freedom, one in a thousand


def test_neighbors_are_what_mutation_can_give():
    rng, here = np.random.default_rng(0), (1, 0, 1)
    reached = {SPACE.mutate(here, rng) for _ in range(300)}
    assert reached == set(SPACE.neighbors(here)) and len(reached) == 2 + 1 + 1


def test_kinds_are_drawn_before_places():
    space = TokenSpace([2, 2, 2, 2, 2], groups=[[0], [1, 2, 3, 4]])
    rng = np.random.default_rng(0)
    first = sum(space.mutate((0,) * 5, rng)[0] for _ in range(2000))
    assert abs(first - 1000) < 4 * 500**0.5


def test_rules_restrict_everything_and_build_nothing():
    asked = []

    def cheap(row):
        asked.append(row)
        cost = row["depth"] * row["width"]
        return f"{cost} is more than 16" if cost > 16 else None

    space, rng = SPACE.where(cheap), np.random.default_rng(0)
    assert space.size() == 6 and SPACE.size() == 12
    assert space.wrong((2, 0, 0)) == "24 is more than 16" and space.wrong((1, 0, 0)) is None
    assert {space.sample(rng) for _ in range(200)} == set(space.enumerate())
    assert all(space.wrong(space.mutate((1, 0, 0), rng)) is None for _ in range(50))
    assert all(space.wrong(space.cross((1, 0, 0), (0, 1, 1), rng)) is None for _ in range(50))
    assert set(space.neighbors((1, 0, 0))) == {(0, 0, 0), (1, 0, 1)}
    twice = space.where(lambda row: None if row["gate"] else "it has no gate")
    assert twice.size() == 3 and space.size() == 6
    assert twice.wrong((2, 0, 1)) == "24 is more than 16" and twice.wrong((0, 0, 0)) == "it has no gate"
    assert space.settings() != SPACE.settings() and asked
    assert copy.deepcopy(space).wrong((2, 0, 0)) is None  # what is sent to workers only decodes


def test_what_cannot_be_found_is_said():
    impossible = SPACE.where(lambda row: "it is ugly")
    with pytest.raises(InputError, match="must leave candidates .* 10,000 .* Received: .* because it is ugly"):
        impossible.sample(np.random.default_rng(0))
    with pytest.raises(InputError, match="two candidates or more"):
        Choices({"a": (1,)}).mutate((0,), np.random.default_rng(0))
    with pytest.raises(InputError, match="at most 1,000,000 candidates. Received: one of 5.11e"):
        next(nasnet().enumerate())
    assert Choices({"a": (1, 2)}).where(lambda row: None).size() == 2


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        ("012", "no sequence of whole numbers"),
        ((0, 0), "2 tokens instead of 3"),
        ((0, 0, 0.0), "no sequence of whole numbers"),
        ((0, True, 0), "no sequence of whole numbers"),
        ((3, 0, 0), "token 0 is 3, not from 0 to 2"),
        ((0, -1, 0), "token 1 is -1, not from 0 to 1"),
        (None, "no sequence of whole numbers"),
    ],
)
def test_what_is_no_candidate(tokens, words):
    assert words in SPACE.wrong(tokens)
    for use in (SPACE.decode, SPACE.canonical, SPACE.to_json, lambda t: SPACE.mutate(t, np.random.default_rng(0))):
        with pytest.raises(InputError, match=f"tokens must be a candidate of the space .*{words}.*Received: tokens="):
            use(tokens)


def test_bad_arguments():
    for sizes in ([], [0], [2, -1], "22"):
        with pytest.raises(InputError, match="must be"):
            TokenSpace(sizes)
    with pytest.raises(InputError, match="a place in groups must be a whole number from 0 to 1"):
        TokenSpace([2, 2], groups=[[2]])
    with pytest.raises(InputError, match="rng must be a numpy.random.Generator. Received: rng=0"):
        SPACE.sample(0)
    with pytest.raises(InputError, match="rule must be a function"):
        SPACE.where("cheap")
