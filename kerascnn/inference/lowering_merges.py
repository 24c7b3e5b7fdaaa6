"""Layers with several inputs as instructions of inference programs: sums, means, products, concatenations."""

from collections.abc import Callable

import keras
import numpy as np

from kerascnn import layers
from kerascnn.inference.program_builder import Builder, Node
from kerascnn.surgery.graph import Call

L = keras.layers


def _sum(lowering: Builder, call: Call) -> bool:
    if len(call.inputs) < 2 or any(x.shape != call.x for x in call.inputs):
        return False
    terms = [lowering.source(call, i) for i in range(len(call.inputs))]
    if len(terms) > 2:
        lowering.add(call, _total(lowering, terms))
        return True
    later = sorted(terms, key=lambda node: lowering.nodes.index(node) if node in lowering.nodes else -1)
    for node, other in (later[::-1], later):
        if node.addable and lowering.alone(node) and node is not other:
            lowering.instead(call, node, residual=other)
            return True
    lowering.add(call, _total(lowering, terms))
    return True


def _total(lowering: Builder, terms: list[Node]) -> Node:
    """The last of the passes that add up the terms."""
    first, second, *others = terms
    total = Node("pass", first, residual=second)
    for term in others:
        total = Node("pass", lowering.between(total), residual=term)
    return total


def _mean(lowering: Builder, call: Call, first: int = 0) -> bool:
    """Of the inputs from `first` on."""
    values = call.inputs[first:]
    if any(x.shape != values[0].shape for x in values):
        return False
    terms = [lowering.source(call, i) for i in range(first, len(call.inputs))]
    total = lowering.between(_total(lowering, terms)) if len(terms) > 1 else terms[0]
    lowering.add(call, Node("pass", total, scale=np.full(call.y[-1], 1 / len(terms))))
    return True


def _join(lowering: Builder, call: Call) -> bool:
    return _mean(lowering, call, first=1)  # the first input says what training drops


def _first(lowering: Builder, call: Call) -> bool:
    lowering.skip(call)
    return True


def _product(lowering: Builder, call: Call) -> bool:
    if len(call.inputs) != 2 or any(len(x.shape) != 4 for x in call.inputs):
        return False
    gates = [i for i, x in enumerate(call.inputs) if x.shape[1:3] == (1, 1)]
    if not gates or call.inputs[0].shape[3] != call.inputs[1].shape[3]:
        return False
    gate = gates[-1]
    lowering.add(call, Node("pass", lowering.source(call, 1 - gate), gate=lowering.source(call, gate)))
    return True


def _concatenate(lowering: Builder, call: Call) -> bool:
    rank, axis = len(call.x), call.operation.axis % len(call.x)
    if rank not in (2, 3, 4) or axis not in (1, rank - 1):
        return False
    kind = "concat" if axis == rank - 1 else "stack"
    lowering.add(call, Node(kind, parts=tuple(lowering.source(call, i) for i in range(len(call.inputs)))))
    return True


# Exactly these classes, as in `lowering`. What says how training drops paths is tied to the network by any value of it.
MERGES: dict[type, Callable[[Builder, Call], bool]] = {
    L.Add: _sum,
    L.Multiply: _product,
    L.Concatenate: _concatenate,
    **dict.fromkeys((L.Average, layers.ShakeShake), _mean),
    layers.FractalJoin: _join,
    **dict.fromkeys((layers.FractalPath, layers.Progress, layers.ScheduledDropPath), _first),
}
OPERATIONS: dict[str | None, Callable[[Builder, Call], bool]] = {"Add": _sum, "Multiply": _product}
