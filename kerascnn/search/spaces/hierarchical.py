"""Motifs of motifs: small graphs whose edges carry the graphs of the level below."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.search.records import Tokens
from kerascnn.search.spaces.choices import unique
from kerascnn.search.spaces.forms import graph_form
from kerascnn.search.spaces.tokens import TokenSpace

Motif = tuple[tuple[int, int, int], ...]  # edges: from which node, to which, what of the level below


@dataclasses.dataclass(frozen=True)
class Hierarchy:
    """A candidate. Node 0 of a motif is its input, its last node its output; a node merges what reaches it."""

    primitives: tuple[str, ...]  # operations, the lowest level
    nodes: tuple[int, ...]  # of a motif of each level above
    levels: tuple[tuple[Motif, ...], ...]  # their motifs; the last level has one, the cell

    def flat(self) -> list[tuple[int, int, str]]:
        """The cell as one graph, in which each use of a motif has nodes of its own.

        Returns:
            Edges: from which node, to which, the operation. Node 0 is the input, node 1 the output.
        """
        edges: list[tuple[int, int, str]] = []
        fresh = itertools.count(2)

        def unfold(level: int, motif: int, source: int, target: int):
            if level < 0:
                edges.append((source, target, self.primitives[motif]))
                return
            places = [source, *itertools.islice(fresh, self.nodes[level] - 2), target]
            for start, end, used in self.levels[level][motif]:
                unfold(level - 1, used, places[start], places[end])

        unfold(len(self.levels) - 1, 0, 0, 1)
        return edges


class Hierarchical(TokenSpace):
    """Levels of motifs. A token is an edge of one of them: 0 for none, k for what number k - 1 of the level below is.

    Args:
        primitives: names of operations, the lowest level.
        levels: of each level above, how many motifs it has and of how many nodes; the last has one motif.

    Raises:
        InputError: an argument is something else.

    Source:
        Liu, Simonyan, Vinyals, Fernando, Kavukcuoglu: Hierarchical Representations for Efficient Architecture Search,
        2017, arXiv:1711.00436, section 2.
    """

    def __init__(self, primitives: Sequence[str], levels: Sequence[tuple[int, int]]):
        self.primitives = unique("primitives", primitives)
        if not isinstance(levels, Sequence) or not levels:
            raise _check.refuse("levels", "pairs (motifs, nodes), the last one of one motif", levels)
        for level in levels:
            if not isinstance(level, Sequence) or len(level) != 2:
                raise _check.refuse("levels", "pairs (motifs, nodes), the last one of one motif", levels)
            _check.whole("motifs of a level", level[0], 1, 100)
            _check.whole("nodes of a motif", level[1], 2, 9)
        if levels[-1][0] != 1:
            raise _check.refuse("levels", "pairs (motifs, nodes), the last one of one motif", levels)
        self.levels = tuple((int(motifs), int(nodes)) for motifs, nodes in levels)
        below = (len(self.primitives), *(motifs for motifs, _ in self.levels))
        sizes = []
        for (motifs, nodes), operations in zip(self.levels, below, strict=False):
            sizes += [operations + 1] * (motifs * len(_edges(nodes)))
        super().__init__(sizes)

    def settings(self) -> dict[str, Any]:
        """Plain JSON values that tell one space from another."""
        return {
            **super().settings(),
            "primitives": list(self.primitives),
            "levels": [list(pair) for pair in self.levels],
        }

    def trivial(self) -> Tokens:
        """The candidate that does nothing: each motif is a chain of identities. Evolution begins here.

        Returns:
            The candidate.

        Raises:
            InputError: no primitive is called identity.
        """
        if "identity" not in self.primitives:
            raise InputError(f"One primitive must be called identity. Received: {', '.join(self.primitives)}")
        tokens, used = [], 1 + self.primitives.index("identity")
        for motifs, nodes in self.levels:
            tokens += [used if end == start + 1 else 0 for start, end in _edges(nodes)] * motifs
            used = 1
        return tuple(tokens)

    def decode(self, tokens: Tokens) -> Hierarchy:
        """The motifs of a candidate.

        Args:
            tokens: a candidate.

        Returns:
            Level for level.

        Raises:
            InputError: it is no candidate.
        """
        levels = tuple(
            tuple(tuple((i, j, used - 1) for (i, j), used in motif if used) for motif in level)
            for level in self._motifs(self.check(tokens))
        )
        return Hierarchy(self.primitives, tuple(nodes for _, nodes in self.levels), levels)

    def encode(self, description: Hierarchy) -> Tokens:
        """The tokens of motifs.

        Args:
            description: what `decode` gives.

        Returns:
            The candidate.

        Raises:
            InputError: the space has no such candidate.
        """
        shape = tuple((len(level), nodes) for level, nodes in zip(description.levels, description.nodes, strict=True))
        if description.primitives != self.primitives or shape != self.levels:
            raise _check.refuse("description", f"a hierarchy of levels {self.levels}", description)
        tokens = []
        for level, nodes in zip(description.levels, description.nodes, strict=True):
            for motif in level:
                used = {(start, end): below + 1 for start, end, below in motif}
                tokens += [used.get(edge, 0) for edge in _edges(nodes)]
        return self.check(tokens)

    def size(self) -> int:
        """How many candidates there are, counted by how many motifs of a level connect their input with their output.

        Returns:
            The count.

        Raises:
            InputError: rules refuse some, and there are too many to be counted one by one.
        """
        if self._rules:
            return super().size()
        operations, counts = len(self.primitives), {len(self.primitives): 1}  # how many connect -> in how many ways
        for motifs, nodes in self.levels:
            every = (operations + 1) ** len(_edges(nodes))
            found: dict[int, int] = {}
            for alive, ways in counts.items():
                connected = _connected(nodes, alive, operations)
                for k in range(motifs + 1):
                    more = math.comb(motifs, k) * connected**k * (every - connected) ** (motifs - k)
                    found[k] = found.get(k, 0) + ways * more
            operations, counts = motifs, found
        return counts[1]

    def _motifs(self, tokens: Tokens) -> Iterable[list[list[tuple[tuple[int, int], int]]]]:
        """Level for level, of each motif its pairs of nodes, each with its token."""
        rest = iter(tokens)
        for motifs, nodes in self.levels:
            yield [[(edge, next(rest)) for edge in _edges(nodes)] for _ in range(motifs)]

    def _mutate(self, tokens: Tokens, rng: np.random.Generator) -> Tokens:
        """Draws a level, one of its motifs, one of its nodes, an earlier one, and what is between them from now on."""
        level = int(rng.integers(len(self.levels)))
        motifs, nodes = self.levels[level]
        first = sum(count * len(_edges(size)) for count, size in self.levels[:level])
        end = int(rng.integers(1, nodes))
        edge = _edges(nodes).index((int(rng.integers(end)), end))
        place = first + int(rng.integers(motifs)) * len(_edges(nodes)) + edge
        moved = (tokens[place] + 1 + int(rng.integers(self.sizes[place] - 1))) % self.sizes[place]
        return (*tokens[:place], moved, *tokens[place + 1 :])

    def _forms(self, tokens: Tokens) -> list[Any]:
        """The forms of the highest level's motifs; None of one whose output nothing reaches."""
        forms: list[Any] = list(self.primitives)
        for (_, nodes), level in zip(self.levels, self._motifs(tokens), strict=True):
            below, forms = forms, []
            for motif in level:
                terms: list[list[tuple[Any, int | str]]] = [[] for _ in range(nodes - 1)]
                reached = {0}
                for (start, end), used in motif:  # by the node that they lead to, so that the earlier are known
                    if start in reached and used and below[used - 1] is not None:
                        terms[end - 1].append((below[used - 1], start - 1 if start else "input"))
                        reached.add(end)
                forms.append(graph_form(terms, [nodes - 2]) if nodes - 1 in reached else None)
        return forms

    def _wrong(self, tokens: Tokens) -> str | None:
        leads, place = [True] * len(self.primitives), 0  # whether each of the level below leads anywhere
        for motifs, nodes in self.levels:
            below, leads, ends = leads, [], len(_edges(nodes))
            for first in range(place, place + motifs * ends, ends):
                reached = {0}
                for (start, end), used in zip(_edges(nodes), tokens[first : first + ends], strict=True):
                    if used and start in reached and below[used - 1]:
                        reached.add(end)
                leads.append(nodes - 1 in reached)
            place += motifs * ends
        return None if leads[0] else "nothing leads from the input to the output"

    def _form(self, tokens: Tokens) -> Any:
        return self._forms(tokens)[0]


@functools.cache
def _edges(nodes: int) -> list[tuple[int, int]]:
    return [(start, end) for end in range(1, nodes) for start in range(end)]


@functools.cache
def _connected(nodes: int, alive: int, operations: int) -> int:
    """In how many ways a motif's edges can be chosen so that its output is reached, where `alive` of `operations` lead
    anywhere: node for node, by which of those before it are reached."""
    ways = {frozenset([0]): 1}
    for end in range(1, nodes):
        found: dict[frozenset, int] = {}
        for reached, count in ways.items():
            others = (operations + 1) ** (end - len(reached))
            nothing = (operations + 1 - alive) ** len(reached) * others
            every = (operations + 1) ** len(reached) * others
            found[reached] = found.get(reached, 0) + count * nothing
            found[reached | {end}] = found.get(reached | {end}, 0) + count * (every - nothing)
        ways = found
    return sum(count for reached, count in ways.items() if nodes - 1 in reached)
