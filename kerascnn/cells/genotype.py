"""Cells as data: what a searched network repeats, written down, checked, printed, compared and kept in a file.

    Genotype(
        "mine",
        normal=Cell(["sep_3x3(c1) + identity(c2)", "max_3x3(c1) + sep_5x5(n1)"]),
        reduce=Cell(["max_3x3(c1) + sep_3x3(c2)"]),
    )

`c1` is the output of the cell before, one cell back, and `c2` that of the cell before it, two cells back, each matched
to the cell's channels; `n1`, `n2`, ... are the cell's nodes. A node is the sum of its terms, each an operation on an
earlier value. The cell's output are the values in `concat`, side by side; by default the nodes that no node reads.

This module needs the standard library alone.
"""

import dataclasses
import difflib
import json
import os
import re
from collections.abc import Iterable, Sequence

from kerascnn._errors import InputError
from kerascnn._files import atomic_write

OPERATIONS = (
    "identity", "zero", "conv_1x1", "conv_3x3", "conv_1x3_3x1", "conv_1x7_7x1", "sep_3x3", "sep_5x5", "sep_7x7",
    "dil_sep_3x3", "dil_sep_5x5", "avg_2x2", "avg_3x3", "avg_5x5", "avg_7x7", "max_2x2", "max_3x3", "max_5x5",
    "max_7x7", "factorized_reduction",
)  # fmt: skip
INPUTS = ("c1", "c2")  # outputs of the last cell and of the one before
_FORMAT, _VERSION = "kerascnn genotype", 1
_TERM = re.compile(r"\s*(\w+)\s*\(\s*(\w+)\s*\)\s*")
_LARGEST = 10_000_000  # bytes of a file that is read


@dataclasses.dataclass(frozen=True)
class Term:
    """An operation on an earlier value of the cell."""

    operation: str  # one of OPERATIONS
    source: str  # c1, c2, n1, n2, ...

    def __post_init__(self):
        if self.operation not in OPERATIONS:
            near = difflib.get_close_matches(str(self.operation), OPERATIONS, n=3, cutoff=0.4) or OPERATIONS
            raise InputError(f"There is no operation of that name; nearest: {', '.join(near)}. "
                             f"Received: {self.operation!r}")  # fmt: skip
        if not isinstance(self.source, str):
            raise InputError(f"The input of an operation must be c1, c2 or a node: n1, n2, ... "
                             f"Received: {self.source!r}")  # fmt: skip

    def __str__(self) -> str:
        return f"{self.operation}({self.source})"


Node = tuple[Term, ...]


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell: sums of operations, and which values it puts out.

    Args:
        nodes: a sum each, as text, "sep_3x3(c1) + identity(n1)", or as a sequence of terms or of pairs (operation,
            input). Node number i, from 1, is called n`i`.
        concat: names of the values that are the output, in order, as a sequence or as text, "c2 n1 n3"; None: the nodes
            that no node reads.

    Raises:
        InputError: there is no such operation or value, a node reads one that does not exist yet or is not read by
            any, is zero, or nothing is put out.
    """

    nodes: tuple[Node, ...]
    concat: tuple[str, ...] = None

    def __post_init__(self):
        if isinstance(self.nodes, str) or not isinstance(self.nodes, Iterable):
            raise InputError(f"The nodes of a cell must be a sequence of sums. Received: {self.nodes!r}")
        nodes = tuple(_node(node, number) for number, node in enumerate(self.nodes, 1))
        if not nodes:
            raise InputError("A cell must have at least one node. Received: none")
        read = {term.source for node in nodes for term in node}
        names = tuple(f"n{number}" for number in range(1, len(nodes) + 1))
        concat = tuple(name for name in names if name not in read) if self.concat is None else self.concat
        concat = _concat(concat, (*INPUTS, *names))
        lost = [name for name in names if name not in read and name not in concat]
        if lost:
            raise InputError(f"Each node must be read by another or be in concat. Received: {', '.join(lost)} are not")
        object.__setattr__(self, "nodes", nodes)
        object.__setattr__(self, "concat", concat)

    def __str__(self) -> str:
        lines = [f"n{number} = {' + '.join(map(str, node))}" for number, node in enumerate(self.nodes, 1)]
        return "\n".join([*lines, f"concat {' '.join(self.concat)}"])


@dataclasses.dataclass(frozen=True)
class Genotype:
    """The two cells of a searched network.

    Args:
        name: how the paper calls them.
        normal: the cell that keeps the size.
        reduce: the cell whose operations on c1 and c2 have stride 2.

    Raises:
        InputError: an argument is something else.
    """

    name: str
    normal: Cell
    reduce: Cell

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name.strip() or not self.name.isprintable():
            raise InputError(f"The name must be one line of text. Received: {self.name!r}")
        for cell in (self.normal, self.reduce):
            if not isinstance(cell, Cell):
                raise InputError(f"normal and reduce must each be a Cell. Received: {cell!r}")

    def __str__(self) -> str:
        parts = (("normal", self.normal), ("reduce", self.reduce))
        if self.normal == self.reduce:
            parts = (("normal and reduce", self.normal),)
        lines = [self.name]
        for title, cell in parts:
            lines += [f"  {title}", *(f"    {line}" for line in str(cell).splitlines())]
        return "\n".join(lines)

    def to_json(self) -> str:
        """The genotype as JSON, which `from_json` reads."""
        cells = {}
        for key in ("normal", "reduce"):
            cell = getattr(self, key)
            nodes = [[[term.operation, term.source] for term in node] for node in cell.nodes]
            cells[key] = {"nodes": nodes, "concat": list(cell.concat)}
        return json.dumps({"format": _FORMAT, "version": _VERSION, "name": self.name, **cells})

    @classmethod
    def from_json(cls, text: str) -> "Genotype":
        """Reads what `to_json` gave.

        Args:
            text: JSON.

        Returns:
            An equal genotype.

        Raises:
            InputError: it is damaged, of another kind or of a later version, or describes no genotype.
        """
        try:
            record = json.loads(text)
        except (ValueError, TypeError, RecursionError) as error:
            reason = " ".join(str(error).split())[:100]
            raise InputError(f"A genotype must be whole JSON ({reason}). Received: {str(text)[:60]!r}") from error
        if not isinstance(record, dict) or record.get("format") != _FORMAT:
            raise InputError(f'A genotype must be a JSON object with "format": "{_FORMAT}". Received: {text[:60]!r}')
        if record.get("version") != _VERSION:
            raise InputError(f"The version of a genotype must be {_VERSION}. Received: {record.get('version')!r}")
        keys = {"format", "version", "name", "normal", "reduce"}
        if record.keys() != keys:
            raise InputError(f"The keys of a genotype must be {sorted(keys)}. Received: {sorted(record)}")
        return cls(record["name"], _cell(record["normal"]), _cell(record["reduce"]))

    def save(self, path: str | os.PathLike) -> None:
        """Writes a JSON file, whole or not at all.

        Args:
            path: the file.

        Raises:
            OSError: it cannot be written.
        """
        with atomic_write(path) as file:
            file.write(self.to_json() + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Genotype":
        """Reads a file that `save` wrote.

        Args:
            path: the file.

        Returns:
            An equal genotype.

        Raises:
            InputError: there is no such file, or it holds no genotype.
        """
        try:
            with open(path, encoding="utf-8") as file:
                return cls.from_json(file.read(_LARGEST))
        except OSError as error:
            raise InputError(f"The genotype cannot be read ({error.strerror}). Received: {path}") from error
        except UnicodeDecodeError as error:
            raise InputError(f"A genotype must be a text file in UTF-8. Received: {path}") from error
        except InputError as error:
            raise InputError(f"{error} (in {path})") from error


def _node(node, number: int) -> Node:
    """The terms of node `number`, checked."""
    if isinstance(node, str):
        matches = [_TERM.fullmatch(part) for part in node.split("+")]
        if not all(matches):
            raise InputError(f'A sum must read like "sep_3x3(c1) + identity(c2)". Received: {node!r}')
        node = [match.groups() for match in matches]
    if not isinstance(node, Sequence) or not node:
        raise InputError(f"A node must be the sum of at least one operation. Received: {node!r}")
    terms = []
    for term in node:
        if not isinstance(term, Term):
            if not isinstance(term, list | tuple) or len(term) != 2:
                raise InputError(f"A term must be a pair (operation, input). Received: {term!r}")
            term = Term(*term)
        known = (*INPUTS, *(f"n{earlier}" for earlier in range(1, number)))
        if term.source not in known:
            raise InputError(f"Node n{number} can read {', '.join(known)}. Received: {term}")
        terms.append(term)
    if all(term.operation == "zero" for term in terms):
        raise InputError(f"A node must have an operation other than zero. Received: n{number}")
    return tuple(terms)


def _concat(concat, known: tuple[str, ...]) -> tuple[str, ...]:
    """The names of the output, checked."""
    concat = concat.split() if isinstance(concat, str) else concat
    if not isinstance(concat, list | tuple) or not concat:
        raise InputError(f"concat must name at least one value. Received: {concat!r}")
    for name in concat:
        if name not in known:
            raise InputError(f"concat can have {', '.join(known)}. Received: {name!r}")
    if len(set(concat)) < len(concat):
        raise InputError(f"concat must name a value once. Received: {' '.join(concat)}")
    return tuple(concat)


def _cell(record) -> Cell:
    """A cell from its part of the JSON."""
    if not isinstance(record, dict) or record.keys() != {"nodes", "concat"}:
        raise InputError(f'A cell must be a JSON object with "nodes" and "concat". Received: {str(record)[:60]}')
    nodes, concat = record["nodes"], record["concat"]
    if not (isinstance(nodes, list) and all(isinstance(node, list) for node in nodes) and isinstance(concat, list)):
        raise InputError(f"The nodes and concat of a cell must be lists. Received: {str(record)[:60]}")
    return Cell(nodes, concat)
