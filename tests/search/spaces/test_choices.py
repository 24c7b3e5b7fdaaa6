"""Rows of named values."""

import dataclasses
import json

import pytest

from kerascnn._errors import InputError
from kerascnn.search.spaces import Choices, Row

MACRO = Choices({f"layer{i}": ("identity", "mb3", "mb6") for i in range(8)})


def test_the_macro_space_of_the_benchmark():
    assert MACRO.size() == 3**8 == 6561
    row = MACRO.decode((2, 2, 2, 1, 2, 2, 2, 0))
    assert row["layer0"] == "mb6" and row["layer3"] == "mb3" and row["layer7"] == "identity"
    assert MACRO.encode(row) == (2, 2, 2, 1, 2, 2, 2, 0)
    assert len({MACRO.canonical(tokens) for tokens in MACRO.enumerate()}) == 6561
    assert json.loads(json.dumps(MACRO.to_json((0,) * 8)))["layer5"] == "identity"


def test_a_row_is_the_arguments_of_a_spec():
    @dataclasses.dataclass(frozen=True)
    class Spec:
        width: float = 1.0
        depth: int = 2

    space = Choices({"width": (0.5, 1.0), "depth": (2, 4)})
    assert dataclasses.replace(Spec(), **space.decode((0, 1))) == Spec(0.5, 4)
    row = space.decode((0, 1))
    assert row == {"width": 0.5, "depth": 4} and hash(row) == hash(Row({"depth": 4, "width": 0.5}))
    assert repr(row) == "Row(width=0.5, depth=4)" and list(row) == ["width", "depth"] and len(row) == 2
    with pytest.raises(TypeError):
        row["width"] = 1.0


def test_values_of_other_types_are_others():
    space = Choices({"a": (1, True, "1", None)})
    assert [space.encode({"a": value}) for value in (1, True, "1", None)] == [(0,), (1,), (2,), (3,)]


@pytest.mark.parametrize(
    "fields", [{}, {"a": ()}, {"a": (1, 1)}, {"a": "abc"}, {"a": [[1]]}, {1: (1,)}, None, {"a": (b"x",)}]
)
def test_bad_fields(fields):
    with pytest.raises(InputError, match="must be .* Received: "):
        Choices(fields)


def test_bad_rows():
    for row in ({}, {"layer0": "mb3"}, {**MACRO.decode((0,) * 8), "layer3": "mb9"}, None):
        with pytest.raises(InputError, match="must be"):
            MACRO.encode(row)
