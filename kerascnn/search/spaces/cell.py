"""Spaces of cells: each candidate is the `Genotype` of a network."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kerascnn import _check
from kerascnn.search.records import Tokens
from kerascnn.search.spaces.choices import unique
from kerascnn.search.spaces.forms import graph_form
from kerascnn.search.spaces.tokens import TokenSpace

if TYPE_CHECKING:
    from kerascnn.cells import Cell, Genotype

Nodes = list[list[tuple[str, str]]]  # of each node its terms: (operation, source)


class CellSpace(TokenSpace):
    """What spaces of cells share; `Blocks` and `Edges` say what a cell's tokens are. Sources are in the order c2, c1,
    n1, n2, ...; of two cells the normal one comes first.

    Args:
        operations: names of `kerascnn.cells.OPERATIONS`.
        nodes: sums of two terms in a cell.
        shared: the reduction cell is the normal one with stride 2, so that a candidate is one cell, not two.
        concat_all: a cell puts out all nodes instead of those that no node reads.
        name: of the genotypes.

    Raises:
        InputError: an argument is something else.
    """

    def __init__(
        self,
        operations: Sequence[str],
        nodes: int,
        *,
        shared: bool = False,
        concat_all: bool = False,
        name: str = "cell",
    ):
        self.operations = unique("operations", operations)
        for operation in self.operations:
            if not isinstance(operation, str):
                raise _check.refuse("operations", "names of kerascnn.cells.OPERATIONS", operations)
        self.nodes = _check.whole("nodes", nodes, 1, 16)
        self.shared, self.concat_all = _check.flag("shared", shared), _check.flag("concat_all", concat_all)
        self.name = name
        cells = 1 if shared else 2
        sizes = self._cell_sizes()
        places = [kind + len(sizes) * cell for cell in range(cells) for kind in range(len(sizes))]
        read = [place for place in places if place % len(sizes) in self._sources]
        super().__init__(sizes * cells, [read, [place for place in places if place not in read]])

    _sources: Sequence[int]  # which tokens of a cell say what is read

    def _cell_sizes(self) -> list[int]:
        raise NotImplementedError

    def _cell_nodes(self, tokens: Tokens) -> Nodes:
        raise NotImplementedError

    def _cell_tokens(self, nodes: Nodes) -> list[int]:
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """Plain JSON values that tell one space from another."""
        own = {"operations": list(self.operations), "concat_all": self.concat_all, "shared": self.shared}
        return {**super().settings(), **own}

    def graphs(self, tokens: Tokens) -> list[Nodes]:
        """The cells of a candidate without Keras: the normal one, and if it is not the same the reduction cell.

        Args:
            tokens: a candidate.

        Returns:
            Of each cell, of each node, its terms: pairs (operation, source).

        Raises:
            InputError: it is no candidate.
        """
        tokens, length = self.check(tokens), len(self.sizes) // (1 if self.shared else 2)
        return [self._cell_nodes(tokens[first : first + length]) for first in range(0, len(tokens), length)]

    def _outputs(self, nodes: Nodes) -> list[str]:
        read = {source for node in nodes for _, source in node}
        names = [f"n{number}" for number in range(1, len(nodes) + 1)]
        return names if self.concat_all else [name for name in names if name not in read]

    def decode(self, tokens: Tokens) -> "Genotype":
        """The genotype of a candidate, from which `kerascnn.cells.network` builds a network.

        Args:
            tokens: a candidate.

        Returns:
            Its two cells, which are the same where the space shares them.

        Raises:
            InputError: it is no candidate.
        """
        from kerascnn.cells import Cell, Genotype

        cells = [Cell(nodes, self._outputs(nodes)) for nodes in self.graphs(tokens)]
        return Genotype(self.name, cells[0], cells[-1])

    def encode(self, description: "Genotype") -> Tokens:
        """The tokens of a genotype.

        Args:
            description: a genotype of this space, whatever its name.

        Returns:
            A candidate whose genotype has the same cells.

        Raises:
            InputError: the space has no such genotype.
        """
        cells = [getattr(description, name, None) for name in (("normal",) if self.shared else ("normal", "reduce"))]
        same = not self.shared or cells[0] == getattr(description, "reduce", None)
        if not same or not all(self._fits(cell) for cell in cells):
            raise _check.refuse("description", f"a genotype of this space: {self._rule()}", description)
        tokens = [self._cell_tokens([[(t.operation, t.source) for t in node] for node in c.nodes]) for c in cells]
        return self.check(sum(tokens, []))

    def _fits(self, cell: "Cell | None") -> bool:
        nodes = getattr(cell, "nodes", ())
        return (
            len(nodes) == self.nodes
            and all(len(node) == 2 and all(term.operation in self.operations for term in node) for node in nodes)
            and self._reads(nodes)
            and set(cell.concat) == set(self._outputs([[(t.operation, t.source) for t in node] for node in nodes]))
        )

    def _reads(self, nodes) -> bool:
        return True

    def _rule(self) -> str:
        put_out = "all nodes" if self.concat_all else "the nodes that no node reads"
        return f"{self.nodes} sums of two of {', '.join(self.operations)}; {put_out} put out"

    def _form(self, tokens: Tokens) -> Any:
        return [
            graph_form(
                [[(done, _number(source)) for done, source in node] for node in nodes],
                [_number(output) for output in self._outputs(nodes)],
            )
            for nodes in self.graphs(tokens)
        ]


class Blocks(CellSpace):
    """Cells of sums of two operations on whatever comes before: four tokens each, source, operation, source, operation.

    The arguments are those of `CellSpace`.

    Source:
        Zoph, Vasudevan, Shlens, Le: Learning Transferable Architectures for Scalable Image Recognition, 2017,
        arXiv:1707.07012.
    """

    def _cell_sizes(self) -> list[int]:
        self._sources = range(0, 4 * self.nodes, 2)
        return [size for node in range(self.nodes) for size in (2 + node, len(self.operations)) * 2]

    def _cell_nodes(self, tokens: Tokens) -> Nodes:
        pairs = [(self.operations[tokens[i + 1]], _name(tokens[i])) for i in range(0, len(tokens), 2)]
        return [pairs[i : i + 2] for i in range(0, len(pairs), 2)]

    def _cell_tokens(self, nodes: Nodes) -> list[int]:
        terms = [term for node in nodes for term in node]
        return [token for done, source in terms for token in (_index(source), self.operations.index(done))]


class Edges(CellSpace):
    """Cells whose nodes read two different values: three tokens each, which pair of sources, and an operation on each.

    The arguments are those of `CellSpace`.

    Source:
        Liu, Simonyan, Yang: DARTS: Differentiable Architecture Search, 2018, arXiv:1806.09055.
    """

    def _cell_sizes(self) -> list[int]:
        self._sources = range(0, 3 * self.nodes, 3)
        counts = [
            ((2 + node) * (1 + node) // 2, len(self.operations), len(self.operations)) for node in range(self.nodes)
        ]
        return [size for sizes in counts for size in sizes]

    def _cell_nodes(self, tokens: Tokens) -> Nodes:
        nodes = []
        for i in range(0, len(tokens), 3):
            pair = _pairs(2 + i // 3)[tokens[i]]
            nodes.append(
                [(self.operations[done], _name(j)) for done, j in zip(tokens[i + 1 : i + 3], pair, strict=True)]
            )
        return nodes

    def _cell_tokens(self, nodes: Nodes) -> list[int]:
        tokens = []
        for number, node in enumerate(nodes):
            (first, one), (second, other) = sorted((_index(source), done) for done, source in node)
            operations = self.operations.index(one), self.operations.index(other)
            tokens += [_pairs(2 + number).index((first, second)), *operations]
        return tokens

    def _reads(self, nodes) -> bool:
        return all(node[0].source != node[1].source for node in nodes)


def _pairs(values: int) -> list[tuple[int, int]]:
    return [(i, j) for j in range(values) for i in range(j)]


def _name(index: int) -> str:
    return ("c2", "c1")[index] if index < 2 else f"n{index - 1}"


def _index(name: str) -> int:
    return {"c2": 0, "c1": 1}[name] if name[0] == "c" else int(name[1:]) + 1


def _number(name: str) -> "int | str":
    return name if name[0] == "c" else int(name[1:]) - 1
