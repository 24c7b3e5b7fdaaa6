"""Cells of one block, two, and so on, in one space."""

import collections

import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.search import Space
from kerascnn.search.spaces import Growing, pnas, pnas_growing

SPACE = pnas_growing(3)


def test_the_levels_are_pnas_spaces():
    assert isinstance(SPACE, Space) and SPACE.size() == 256 + 256 * 576 + 256 * 576 * 1024
    for blocks in (1, 2, 3):
        level = pnas(blocks)
        cell = level.sample(np.random.default_rng(blocks))
        tokens = SPACE.whole(cell)
        assert SPACE.wrong(tokens) is None and SPACE.blocks(tokens) == blocks and SPACE.cell(tokens) == cell
        assert SPACE.decode(tokens) == level.decode(cell) and SPACE.encode(SPACE.decode(tokens)) == tokens
        assert SPACE.canonical(tokens) == level.canonical(cell) if blocks == 1 else SPACE.canonical(tokens)
        assert SPACE.from_json(SPACE.to_json(tokens)) == tokens


def test_moves():
    rng, drawn = np.random.default_rng(0), collections.Counter()
    for _ in range(300):
        first, second = SPACE.sample(rng), SPACE.sample(rng)
        changed, crossed = SPACE.mutate(first, rng), SPACE.cross(first, second, rng)
        assert SPACE.wrong(changed) is None and SPACE.wrong(crossed) is None
        assert changed[0] == first[0] and sum(a != b for a, b in zip(first, changed, strict=True)) == 1
        assert crossed[0] in (first[0], second[0])
        assert all(c in pair for c, *pair in zip(crossed[1:5], first[1:5], second[1:5], strict=True))
        drawn[first[0]] += 1
    assert min(drawn.values()) > 70 and len(drawn) == 3


def test_tokens_of_blocks_that_are_not_there():
    assert SPACE.wrong((0, 0, 0, 0, 0, 1) + (0,) * 7) == "tokens after the first 5 must be 0"
    with pytest.raises(InputError, match="description must be a genotype of 1 to 3 sums"):
        SPACE.encode(pnas(4).decode(pnas(4).sample(np.random.default_rng(0))))
    with pytest.raises(InputError, match="nodes must be"):
        Growing(("identity",), 0)
