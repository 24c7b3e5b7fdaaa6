"""Forms of small directed graphs: equal for two graphs exactly where one is the other with its nodes renamed."""

import itertools
from collections.abc import Collection, Hashable, Sequence
from typing import Any

from kerascnn._errors import InputError
from kerascnn.search.spaces.coded import digest

MOST = 40_320  # orders of alike nodes that are compared

Edge = tuple[Hashable, "int | str"]  # what is done, and to which node, by its number, or to which input, by its name


def graph_form(nodes: Sequence[Sequence[Edge]], outputs: Collection["int | str"]) -> Any:
    """The form of a graph whose nodes add up what is done to earlier nodes and to named inputs.

    The order of a node's terms, of nodes and of outputs does not count; nodes that no output needs are left out.

    Args:
        nodes: of each node, from 0, its terms, none of which reads a later node.
        outputs: the nodes and inputs that are put out.

    Returns:
        Nested tuples, the same for graphs that are the same but for the numbers of their nodes.

    Raises:
        InputError: so many nodes look alike that not all their orders can be compared.
    """
    needed = _needed(nodes, outputs)
    looks: dict[int | str, tuple[int, str]] = {}  # how far from the inputs, and the hash of all that is above it
    for number in sorted(needed):
        above = [looks[source] if isinstance(source, int) else (0, source) for _, source in nodes[number]]
        terms = sorted((repr(done), look) for (done, _), look in zip(nodes[number], above, strict=True))
        depth = 1 + max((depth for depth, _ in above), default=0)
        looks[number] = depth, digest((terms, number in outputs))
    groups: dict[tuple[int, str], list[int]] = {}
    for number in needed:
        groups.setdefault(looks[number], []).append(number)
    alike = [groups[look] for look in sorted(groups)]
    orders = 1
    for group in alike:
        for factor in range(2, len(group) + 1):
            orders *= factor
    if orders > MOST:
        raise InputError(
            f"A graph must have fewer nodes that look alike, at most {MOST:,} orders. Received: {orders:,}"
        )
    ordered = (
        [number for group in choice for number in group]
        for choice in itertools.product(*map(itertools.permutations, alike))
    )
    return min(_written(nodes, outputs, order) for order in ordered)


def _needed(nodes, outputs) -> set[int]:
    """The nodes from which an output is reached."""
    needed = {output for output in outputs if isinstance(output, int)}
    for number in reversed(range(len(nodes))):
        if number in needed:
            needed |= {source for _, source in nodes[number] if isinstance(source, int)}
    return needed


def _written(nodes, outputs, order) -> tuple:
    """The graph with its nodes in this order, as text and numbers that can be compared."""
    new = {old: f"n{number}" for number, old in enumerate(order)}
    rows = tuple(
        tuple(sorted((repr(done), new.get(source, f"={source}")) for done, source in nodes[old])) for old in order
    )
    return rows, tuple(sorted(new.get(output, f"={output}") for output in outputs))
