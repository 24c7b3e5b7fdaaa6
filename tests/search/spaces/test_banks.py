"""The space of memory banks: what it refuses, how many there are, which are the same network."""

import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.search import Space
from kerascnn.search.spaces import BankLayer, Banks, Row

SPACE = Banks(blocks=2, layers=2, banks=3)
PLAIN = {"kernel": (3,)}


def layer(reads, writes, kernel=3, dilation=1):
    return BankLayer(Row({"kernel": kernel, "dilation": dilation}), tuple(reads), tuple(writes))


def test_what_is_decoded_is_encoded_again():
    rng = np.random.default_rng(0)
    assert isinstance(SPACE, Space)
    for _ in range(30):
        tokens = SPACE.sample(rng)
        blocks = SPACE.decode(tokens)
        assert SPACE.encode(blocks) == tokens == SPACE.from_json(SPACE.to_json(tokens))
        for block in blocks:
            filled = {0}
            for each in block:
                assert filled & set(each.reads) and each.writes and each.values["kernel"] in (3, 5, 7)
                filled |= set(each.writes)
        assert SPACE.wrong(SPACE.mutate(tokens, rng)) is None
        assert SPACE.wrong(SPACE.cross(tokens, SPACE.sample(rng), rng)) is None


def test_counts():
    """A first layer of two banks reads 0 or both, and writes 0, 1 or both."""
    assert Banks(1, 1, 1, PLAIN).size() == 1
    assert Banks(1, 1, 2, PLAIN).size() == 2 * 3
    # After a write to bank 0 alone the second layer has 2 sets to read from, else all 3.
    assert Banks(1, 2, 2, PLAIN).size() == 2 * (1 * 2 + 2 * 3) * 3
    assert Banks(2, 1, 2, PLAIN).size() == 6**2
    assert Banks(1, 1, 2).size() == 6 * 9
    for space in (Banks(1, 2, 2, PLAIN), Banks(1, 2, 3, PLAIN), Banks(2, 1, 2, {"kernel": (3, 5)})):
        assert space.size() == sum(1 for _ in space.enumerate())
        assert space.where(lambda blocks: None).size() == space.size()


def test_banks_but_the_first_have_no_order_and_empty_ones_are_nothing():
    def key(*blocks):
        return SPACE.canonical(SPACE.encode(blocks))

    other = (layer([0], [0]), layer([0], [1]))
    assert key((layer([0], [1]), layer([1], [2])), other) == key((layer([0], [2]), layer([2], [1])), other)
    assert key((layer([0], [1]), layer([1], [2])), other) == key((layer([0, 2], [1]), layer([1], [2])), other)
    assert key((layer([0], [1]), layer([1], [2])), other) != key((layer([0], [1]), layer([0], [2])), other)
    assert key((layer([0], [1]), layer([1], [2])), other) != key((layer([0], [1]), layer([1], [0])), other)
    assert key((layer([0], [1]), layer([1], [2])), other) != key((layer([0], [1], 5), layer([1], [2])), other)
    few = Banks(1, 2, 2, PLAIN)
    assert len({few.canonical(tokens) for tokens in few.enumerate()}) < few.size()


def test_what_cannot_be_used_is_refused():
    empty = SPACE.encode(((layer([0], [1]), layer([1], [2])),) * 2)
    reads = 2  # the place of the first layer's reads
    wrong = (*empty[:reads], 1, *empty[reads + 1 :])  # bank 1 alone
    assert SPACE.wrong(wrong) == "layer 1 of block 1 reads nothing that was written"
    with pytest.raises(InputError, match="reads nothing that was written"):
        SPACE.decode(wrong)
    for blocks in ([], [[layer([0], [1])]] * 2, [[layer([0], []), layer([0], [1])]] * 2, [[layer([0], [3])] * 2] * 2):
        with pytest.raises(InputError, match="description must be 2 blocks of 2 layers with banks from 0 to 2"):
            SPACE.encode(blocks)
    for options in ({"blocks": 0}, {"layers": 0}, {"banks": 7}):
        with pytest.raises(InputError, match="must be a whole number"):
            Banks(**options)
    assert Banks(2, 2, 3).settings() == SPACE.settings() != Banks(2, 2, 3, PLAIN).settings()
