"""Genotypes: what is refused, how they print, and that JSON gives back an equal one."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerascnn._errors import InputError
from kerascnn.applications.nasnet import NASNET_A
from kerascnn.cells import OPERATIONS, Cell, Genotype, Term, operations

GOOD = Cell(["sep_3x3(c1) + identity(c2)"])


@st.composite
def cells(draw):
    nodes = []
    for number in range(draw(st.integers(1, 5))):
        known = ["c1", "c2", *(f"n{i + 1}" for i in range(number))]
        pairs = st.tuples(st.sampled_from(OPERATIONS), st.sampled_from(known))
        node = draw(st.lists(pairs, min_size=1, max_size=3).filter(lambda terms: any(t[0] != "zero" for t in terms)))
        nodes.append(node)
    read = {source for node in nodes for _, source in node}
    free = [f"n{i + 1}" for i in range(len(nodes)) if f"n{i + 1}" not in read]
    others = [name for name in ("c1", "c2", *(f"n{i + 1}" for i in range(len(nodes)))) if name not in free]
    more = draw(st.lists(st.sampled_from(others), unique=True)) if others else []
    return Cell(nodes, draw(st.permutations(free + more)))


@given(st.text(min_size=1).filter(lambda text: text.strip() and text.isprintable()), cells(), cells())
@settings(max_examples=60, deadline=None)
def test_json_gives_back_an_equal_genotype(name, normal, reduce):
    genotype = Genotype(name, normal, reduce)
    again = Genotype.from_json(genotype.to_json())
    assert again == genotype and hash(again) == hash(genotype) and str(again) == str(genotype)


@given(cells())
@settings(max_examples=30, deadline=None)
def test_the_printed_nodes_are_read_again(cell):
    *nodes, concat = str(cell).splitlines()
    again = Cell([line.partition(" = ")[2] for line in nodes], concat.removeprefix("concat "))
    assert again == cell


def test_printing():
    assert str(NASNET_A).splitlines()[:4] == [
        "NASNet-A",
        "  normal",
        "    n1 = sep_5x5(c1) + sep_3x3(c2)",
        "    n2 = sep_5x5(c2) + sep_3x3(c2)",
    ]
    assert "    concat c2 n1 n2 n3 n4 n5" in str(NASNET_A)
    assert "  normal and reduce" in str(Genotype("one", GOOD, GOOD))


def test_forms_of_a_cell_are_equal():
    pairs = Cell([[("sep_3x3", "c1"), ("identity", "c2")]], ["n1"])
    terms = Cell((Term("sep_3x3", "c1"), Term("identity", "c2")) for _ in range(1))
    assert pairs == terms == GOOD == Cell(["sep_3x3( c1 )+identity(c2)"], "n1")
    assert GOOD != Cell(["identity(c2) + sep_3x3(c1)"]) and len({pairs, terms, GOOD}) == 1


def test_unread_nodes_are_the_output_by_default():
    cell = Cell(["max_3x3(c1)", "sep_3x3(n1) + identity(c2)", "avg_3x3(c2)"])
    assert cell.concat == ("n2", "n3")


def test_every_operation_can_be_built():
    assert set(operations.APPLY) == set(OPERATIONS) - {"zero"}


@pytest.mark.parametrize(
    "nodes, concat, message",
    [
        (["sepp_3x3(c1)"], None, "no operation of that name; nearest: sep_3x3"),
        (["sep_3x3(c3)"], None, r"n1 can read c1, c2\. Received: sep_3x3\(c3\)"),
        (["sep_3x3(n1)"], None, "n1 can read c1, c2"),
        (["sep_3x3(c1)", "sep_3x3(n3)"], None, "n2 can read c1, c2, n1"),
        (["sep_3x3 c1"], None, "must read like"),
        (["sep_3x3(c1) +"], None, "must read like"),
        ([], None, "at least one node"),
        ("sep_3x3(c1)", None, "must be a sequence of sums"),
        ([[]], None, "the sum of at least one operation"),
        ([[("sep_3x3",)]], None, r"a pair \(operation, input\)"),
        ([[("sep_3x3", 1)]], None, "must be c1, c2 or a node"),
        (["zero(c1) + zero(c2)"], None, "other than zero"),
        (["sep_3x3(c1)"], [], "must name at least one value"),
        (["sep_3x3(c1)"], "n2", "concat can have c1, c2, n1. Received: 'n2'"),
        (["sep_3x3(c1)"], "n1 n1", "name a value once"),
        (["sep_3x3(c1)", "sep_3x3(c1)"], "n1", "Each node must be read by another or be in concat. Received: n2"),
    ],
)
def test_errors_of_cells(nodes, concat, message):
    with pytest.raises(InputError, match=message):
        Cell(nodes, concat)


def test_errors_of_genotypes():
    for name in ("", " ", "two\nlines", None):
        with pytest.raises(InputError, match="one line of text"):
            Genotype(name, GOOD, GOOD)
    with pytest.raises(InputError, match="must each be a Cell"):
        Genotype("name", GOOD, ["sep_3x3(c1)"])


def test_files(tmp_path):
    path = tmp_path / "mine.json"
    NASNET_A.save(path)
    assert Genotype.load(path) == NASNET_A
    whole = path.read_bytes()
    for length in range(0, len(whole) - 2, 37):  # truncated anywhere
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"must be whole JSON.*\(in .*mine.json\)"):
            Genotype.load(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="UTF-8"):
        Genotype.load(path)
    with pytest.raises(InputError, match="cannot be read"):
        Genotype.load(tmp_path / "none.json")
    with pytest.raises(InputError, match="cannot be read"):
        Genotype.load(tmp_path)


def test_damaged_json():
    record = json.loads(NASNET_A.to_json())
    cell = record["normal"]
    damaged = [
        ([], "must be a JSON object"),
        ({**record, "format": "other"}, "must be a JSON object"),
        ({**record, "version": 2}, "version of a genotype must be 1"),
        ({key: record[key] for key in record if key != "reduce"}, "keys of a genotype"),
        ({**record, "more": 1}, "keys of a genotype"),
        ({**record, "name": 3}, "one line of text"),
        ({**record, "normal": []}, '"nodes" and "concat"'),
        ({**record, "normal": {**cell, "nodes": "n1"}}, "must be lists"),
        ({**record, "normal": {**cell, "concat": None}}, "must be lists"),
        ({**record, "normal": {**cell, "nodes": [[["other", "c1"]]]}}, "no operation of that name"),
        ({**record, "normal": {**cell, "nodes": [[[[], "c1"]]]}}, "no operation of that name"),
        ({**record, "normal": {**cell, "nodes": [[["sep_3x3", {}]]]}}, "must be c1, c2 or a node"),
        ({**record, "normal": {**cell, "concat": [[]]}}, "concat can have"),
    ]
    for value, message in damaged:
        with pytest.raises(InputError, match=message):
            Genotype.from_json(json.dumps(value))
    for text in ("", "{", "[" * 100_000, "null"):
        with pytest.raises(InputError):
            Genotype.from_json(text)
