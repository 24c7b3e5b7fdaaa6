"""Which operations a supernet computes: edges in order, architecture weights, and the cell that they amount to."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from kerascnn import _check
from kerascnn.cells import Cell, Genotype
from kerascnn.search.spaces import Edges

KINDS = ("normal", "reduce")


def source_names(node: int) -> list[str]:
    """What a node can read: the cell before the last, the last one, and the nodes before it.

    Args:
        node: its number, from 1.

    Returns:
        "c2", "c1", "n1", ...
    """
    return ["c2", "c1", *(f"n{earlier}" for earlier in range(1, node))]


def edges(nodes: int) -> list[tuple[int, str]]:
    """All edges of a cell, in the order of the rows of architecture weights.

    Args:
        nodes: of the cell.

    Returns:
        Pairs (number of the node from 1, what it reads).

    Example:

        from kerascnn.search.one_shot.choice import edges

        edges(2)  # [(1, "c2"), (1, "c1"), (2, "c2"), (2, "c1"), (2, "n1")]
    """
    return [(node, source) for node in range(1, nodes + 1) for source in source_names(node)]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Of the last axis.

    Args:
        logits: any numbers.

    Returns:
        float64 of the same shape.
    """
    grown = np.exp(np.asarray(logits, "float64") - np.max(logits, axis=-1, keepdims=True))
    return grown / grown.sum(axis=-1, keepdims=True)


def entropy(logits: np.ndarray) -> float:
    """The mean over the edges of the entropy of the softmax over operations, in nats.

    Args:
        logits: [edges, operations].

    Returns:
        0 where every edge has decided.
    """
    weights = softmax(logits)
    return float(-(weights * np.log(np.maximum(weights, 1e-300))).sum(-1).mean())


def derive_cell(
    weights: np.ndarray, operations: Sequence[str], nodes: int, *, never: Collection[str] = ("zero",)
) -> Cell:
    """The cell that architecture weights amount to: of each node the two strongest edges, of each its best operation.

    The strength of an edge is the largest weight of an operation that may be chosen, so that the two edges of a node
    come from different predecessors. Of equals the first counts.

    Args:
        weights: [edges, operations], those of an edge comparable with another's: after the softmax.
        operations: names of the columns.
        nodes: of the cell.
        never: operations that are not chosen.

    Returns:
        A cell that puts out all nodes; a node's operands are in the order of their sources.

    Raises:
        InputError: the shape is another, or no operation can be chosen.

    Source:
        Liu, Simonyan, Yang: DARTS: Differentiable Architecture Search, 2018, arXiv:1806.09055, section 2.4.

    Example:

        from kerascnn.search.one_shot.choice import derive_cell

        derive_cell([[0.9, 0.1], [0.4, 0.6]], ["sep_3x3", "identity"], 1).nodes[0]  # sep_3x3(c2) + identity(c1)
    """
    weights, order = np.asarray(weights, "float64"), edges(nodes)
    real = [column for column, operation in enumerate(operations) if operation not in never]
    if not real:
        raise _check.refuse("operations", f"such that one is not {' or '.join(sorted(never))}", operations)
    if weights.shape != (len(order), len(operations)):
        raise _check.refuse("weights", f"an array {[len(order), len(operations)]}", weights.shape)
    strength, best = weights[:, real].max(-1), np.array(real)[weights[:, real].argmax(-1)]
    found = []
    for node in range(1, nodes + 1):
        rows = [row for row, (number, _) in enumerate(order) if number == node]
        kept = sorted(sorted(rows, key=lambda row: -strength[row])[:2])
        found.append([(operations[best[row]], order[row][1]) for row in kept])
    return Cell(found, [f"n{number}" for number in range(1, nodes + 1)])


def derive(alphas: Mapping[str, np.ndarray], operations: Sequence[str], nodes: int, name: str = "derived") -> Genotype:
    """The genotype of architecture parameters.

    Args:
        alphas: "normal" and "reduce" -> [edges, operations], before the softmax.
        operations: names of the columns.
        nodes: of a cell.
        name: of the genotype.

    Returns:
        Its cells, by `derive_cell`.

    Raises:
        InputError: as `derive_cell`.
    """
    return Genotype(name, *(derive_cell(softmax(alphas[kind]), operations, nodes) for kind in KINDS))


def skips(cell: Cell) -> int:
    """How many operands of a cell's nodes are identities: many of them are how DARTS fails.

    Args:
        cell: any.

    Returns:
        The number.
    """
    return sum(term.operation == "identity" for node in cell.nodes for term in node)


def edges_of(space: Edges) -> tuple[str, ...]:
    """The operations of a space of edges.

    Args:
        space: what DARTS searches.

    Returns:
        Their names.

    Raises:
        InputError: it is another kind of space, or its cells do not put out all nodes.
    """
    if not isinstance(space, Edges) or not space.concat_all:
        raise _check.refuse("space", "an Edges space with concat_all, such as spaces.darts()", space)
    return space.operations
