"""Tables that fit the reader: one where there is room, else several, and never a cell that is cut or wrapped."""

import io

import pytest
from rich.text import Text

from kerascnn.benchmark import Case, columns, report, timing
from kerascnn.benchmark.machine import Machine
from kerascnn.cli.console import PlainConsole

HEADS = ["name", "pass", "first", "second", "third"]
ROWS = [["a long name of something", "both", "1.25", "12345.67", "memory"], ["b", "forward", "-", "2", "arithmetic"]]


def printed(made, **options):
    text = io.StringIO()
    console = PlainConsole(file=text, width=200, **options)
    columns.show(console, "head", made)
    return text.getvalue().splitlines()


def made(width):
    return columns.tables(
        HEADS, ROWS, keys=2, blocks=[["first", "second"], ["third"]], width=width, title="title", left=("name", "pass")
    )


def test_one_table_where_it_fits():
    (table,) = made(200)
    lines = printed([table])
    assert "title" in lines[2] and lines[3].split() == HEADS
    assert lines[5].split() == "a long name of something both 1.25 12345.67 memory".split()
    narrowest = max(len(line.rstrip()) for line in lines)
    assert len(made(narrowest)) == 1 and len(made(narrowest - 1)) == 2


@pytest.mark.parametrize("width", [46, 50, 56])
def test_several_tables_where_it_does_not(width):
    tables = made(width)
    lines = printed(tables)
    assert len(tables) > 1 and all(len(line.rstrip()) <= width for line in lines)
    cells = " ".join(lines).split()
    for row in ROWS:
        assert all(cell in cells for text in row for cell in text.split())
    assert sum("a long name of something" in line for line in lines) == len(tables)  # each table says whose row it is


def test_the_table_of_ops_is_readable_in_a_pipe(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    case = Case("deform_conv2d", (8, 28, 28, 256), 512, kernel=5, stride=2, targets=(("torch", 0.25, 0.2),))
    peers = {"kerascnn": 0.0123, "tensorflow": 0.4, "keras": 1.5, "torch": 2.5}
    found = report.rows([timing.Result(case, which, peers) for which in ("forward", "both")],
                        Machine("a processor", 2, ((1000, 4e9),), gemm=1e11), 4)  # fmt: skip
    text = io.StringIO()
    console = PlainConsole(file=text)
    assert not console.is_terminal and columns.room(console) == 80
    made = report.as_tables(found, "title", columns.room(console))
    columns.show(console, "word " * 40, made)
    lines = text.getvalue().splitlines()
    assert max(map(len, map(str.rstrip, lines))) <= 80
    assert sum(case.name in line for line in lines) == 2 * len(made) and any("0.00 (<=0.25)" in line for line in lines)
    assert "bound by" in text.getvalue()  # nothing is left out
    monkeypatch.setenv("COLUMNS", "180")
    console = PlainConsole(file=io.StringIO())
    assert columns.room(console) == 180 and len(report.as_tables(found, "title", 180)) == 1


def test_plain_text_is_aligned():
    lines = columns.aligned(HEADS, [[Text("x"), "y", "1", "22", "z"]], left=("name", "third"))
    assert lines == ["name  pass  first  second  third", "x        y      1      22  z"]


def test_csv_leaves_empty_what_is_not_there():
    assert columns.as_csv([{"a": 1.23456789, "b": None, "c": "x, y"}]) == 'a,b,c\n1.23457,,"x, y"\n'
