"""Parts of a set: what was trained on is never held out, however a set grows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerascnn import data
from kerascnn._errors import InputError
from kerascnn.data import parts
from kerascnn.data.source import Source
from kerascnn.data.splits import Arrays

RECORDED = [0.3134257981633043, 0.7493912301872256, 0.9479393259895841, 0.94597837091028]


def source_of(names, **more):
    numbers = np.arange(len(names)) % 2
    split = Arrays(np.zeros([len(names), 2, 2, 1], np.uint8), numbers, list(names))
    return Source("set", ("a", "b"), (2, 2, 1), {"train": split, **more})


def test_draws_are_fixed_for_all_times():
    """Recorded when the rule was made; another value would move images between the parts of every set in use."""
    found = [parts.draw(name, part) for name in ("a/001.png", "17") for part in ("validation", "test")]
    np.testing.assert_allclose(found, RECORDED, rtol=1e-12)
    assert parts.draw("caf\u00e9.png", "test") == parts.draw("cafe\u0301.png", "test")  # as macOS spells it


def test_a_tenth_is_held_out_for_each():
    names = [f"class{number % 7}/{number:05}.jpg" for number in range(20_000)]
    sizes = source_of(names).sizes
    assert abs(sizes["test"] - 2000) < 5 * np.sqrt(1800)
    assert abs(sizes["validation"] - 1800) < 5 * np.sqrt(1638)


@settings(max_examples=200, deadline=None)
@given(names=st.lists(st.text(min_size=1, max_size=3), min_size=3, max_size=40, unique=True))
def test_what_was_trained_on_is_never_held_out(names):
    """A set grows example by example from three on; every state of it is compared with every later one."""
    trained = set()
    for count in range(3, len(names) + 1):
        try:
            source = source_of(names[:count])
        except InputError as error:  # three names of which all fall to one part
            assert "more training examples" in str(error) and count < 8
            continue
        found = {part: set(split.names) for part, split in source.splits.items()}
        assert all(found.values()) and sum(len(part) for part in found.values()) == len(set().union(*found.values()))
        assert not trained & (found["test"] | found["validation"])
        trained |= found["train"]


def test_given_parts_stay_as_they_are():
    given_part = Arrays(np.zeros([3, 2, 2, 1], np.uint8), np.zeros([3], np.int64))
    source = source_of("abcdefgh", validation=given_part, test=given_part)
    assert source.sizes == {"train": 8, "validation": 3, "test": 3} and source.split("validation") is given_part
    assert source_of("abcdefgh", validation=given_part).split("validation") is given_part
    assert source.take(2).sizes == {"train": 2, "validation": 2, "test": 2}


@pytest.mark.parametrize(("count", "more"), [(1, ()), (2, ()), (1, ("test",))])
def test_too_few_examples(count, more):
    given_part = Arrays(np.zeros([3, 2, 2, 1], np.uint8), np.zeros([3], np.int64))
    rule = f"at least {3 - len(more)} training examples, so that one can be held out for each. Received: {count} in"
    with pytest.raises(InputError, match=rule):
        source_of("abc"[:count], **dict.fromkeys(more, given_part))


def test_parts_that_are_refused():
    split = source_of("abc").split("train")
    with pytest.raises(InputError, match="train must be among those given. Received: test for 'set'"):
        Source("set", ("a", "b"), (2, 2, 1), {"test": split})
    with pytest.raises(InputError, match="The parts of a data set are train, validation, test.* Received: train, val"):
        Source("set", ("a", "b"), (2, 2, 1), {"train": split, "val": split})


def test_a_fingerprint_tells_what_changed():
    source = source_of("abcdefghijkl")
    record = source.record()
    assert (
        record["name"] == "set" and record["sizes"] == source.sizes and set(record["fingerprint"]) == set(parts.PARTS)
    )
    assert source_of("abcdefghijkl").changes(record) == []
    assert source.changes({"name": "set"}) == []  # as older releases wrote it
    more = source_of("abcdefghijklm").changes(record)
    assert len(more) == 1 and more[0].startswith("train had ")
    other = source_of("abcdefghijkl"[::-1])
    assert "train has other examples, as many as before" in other.changes(record)
    assert data.load("digits").fingerprint == data.load("digits").fingerprint
    assert data.load("digits").fingerprint != data.load("digits", limit=100).fingerprint
