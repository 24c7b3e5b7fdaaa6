"""A program in the making: instructions that still know one another, and what is joined as more are added.

In one pass over the graph:

* padding goes into the window that reads it;
* a sum goes into the convolution, or the pass over a map, that made one of its terms and nothing else reads;
* an activation goes into what made its input and nothing else reads;
* a gate, or a batch norm with ReLU, goes into the 1x1 convolution that alone reads it;
* tokens that are cut off are not computed, where they depend on none but themselves (`program_crops`).
"""

import dataclasses
from collections import Counter
from typing import Any

import numpy as np

from kerascnn.inference.program_crops import cut_early
from kerascnn.ops.inference_program import NONE, SAME, Instruction, Program
from kerascnn.surgery.graph import Call, Graph

NO_PADDING = ((0, 0), (0, 0))
LEAST_FILTERS, LEAST_FILTERS_3X3 = 16, 64  # of a convolution in 8 bits


@dataclasses.dataclass(eq=False)
class Node:
    """An instruction that is being put together; values are nodes, constants arrays."""

    kind: str
    x: "Node | None" = None
    filter: np.ndarray | None = None
    bias: np.ndarray | None = None
    residual: "Node | None" = None
    gate: "Node | None" = None
    scale: np.ndarray | None = None
    shift: np.ndarray | None = None
    activation: str = "linear"
    window: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    padding: Any = NO_PADDING
    mean: bool = False
    zeros: bool = False
    parts: tuple["Node", ...] = ()
    number: float = 0.0
    heads: int = 1
    side: int = 0
    roll: int = 0
    extents: tuple[int, int, int] = (1, 1, 1)
    cut: tuple[tuple[int, int], ...] = ((0, 0),) * 3
    token: np.ndarray | None = None
    position: np.ndarray | None = None
    order: str = "rows"
    whole: bool = False  # conv: one group

    def reads(self) -> list["Node"]:
        return [x for x in (self.x, self.residual, self.gate, *self.parts) if x is not None]

    @property
    def pointwise(self) -> bool:
        """A convolution with all channels, 1x1 and without strides, to which a gate or a scale may be given."""
        plain = self.kind == "conv" and self.filter.shape[:2] == (1, 1) and self.strides == (1, 1)
        return plain and self.padding in (SAME, NO_PADDING) and self.gate is None and self.scale is None

    @property
    def open(self) -> bool:
        """Whether something may be added, and an activation follow."""
        return self.kind in ("conv", "pass") and self.activation == "linear"

    @property
    def addable(self) -> bool:
        """Whether a sum with another value may be part of it."""
        return self.residual is None and (self.open or self.kind == "transpose")


class Builder:
    """The instructions for the calls of a graph, given in its order."""

    def __init__(self, graph: Graph):
        self.made: dict[int, Node] = {}  # by the number of a value
        self.nodes: list[Node] = []
        self.inputs, self.outputs = graph.inputs, graph.outputs
        self.images = self.made[graph.inputs[0].number] = Node("images")
        # How often a value is read; values that are the same node count together.
        self.reads = Counter(x.number for call in graph.calls for x in call.inputs)
        self.reads.update(x.number for x in graph.outputs)
        self.readers: Counter[int] = Counter({id(self.images): self.reads[graph.inputs[0].number]})

    def source(self, call: Call, number: int = 0) -> Node:
        return self.made[call.inputs[number].number]

    def alone(self, node: Node) -> bool:
        """Whether nothing reads the node but what is being lowered."""
        return self.readers[id(node)] == 1

    def name(self, call: Call, node: Node) -> None:
        """The call's value is what the node makes."""
        number = call.outputs[0].number
        self.made[number] = node
        self.readers[id(node)] += self.reads[number]

    def skip(self, call: Call) -> None:
        """The call's value is its input's."""
        node = self.source(call)
        self.readers[id(node)] -= 1
        self.name(call, node)

    def add(self, call: Call, node: Node) -> None:
        self.nodes.append(node)
        self.name(call, node)

    def between(self, node: Node) -> Node:
        """A node whose value has no number: the next one alone reads it."""
        self.nodes.append(node)
        self.readers[id(node)] = 1
        return node

    def instead(self, call: Call, old: Node, **changes: Any) -> None:
        """The call's value is what `old`, which nothing else reads, makes with these changes, here and not before."""
        self.nodes.remove(old)
        self.add(call, dataclasses.replace(old, **changes))

    def activate(self, call: Call, activation: str) -> None:
        node = self.source(call)
        if activation == "linear":
            self.skip(call)
        elif activation == "softmax":
            self.add(call, Node("softmax", node))
        elif node.open and self.alone(node):
            self.instead(call, node, activation=activation)
        else:
            self.add(call, Node("pass", node, activation=activation))

    def window(self, call: Call, node: Node) -> None:
        """Adds a convolution or pool as `with_source` makes it."""
        self.add(call, self.with_source(call, node))

    def with_source(self, call: Call, node: Node) -> Node:
        """A convolution or pool with the padding, gate or scale before it where it alone reads that."""
        source = node.x
        if source.kind == "pad" and node.padding == NO_PADDING and self.alone(source):
            self.nodes.remove(source)
            zeros = node.kind == "pool"
            node = dataclasses.replace(node, x=source.x, padding=source.padding, zeros=zeros)
        elif node.pointwise and source.kind == "pass" and self.alone(source) and source.residual is None:
            whole = node.filter.shape[2] == call.inputs[0].shape[-1]
            gated = source.gate is not None and source.activation == "linear" and source.scale is None
            normed = source.gate is None and source.scale is not None and source.activation == "relu"
            if whole and (gated or normed):
                self.nodes.remove(source)
                node = dataclasses.replace(node, x=source.x, gate=source.gate, scale=source.scale, shift=source.shift)
        return node

    def program(self, quantize: str | None = None) -> Program:
        """What is needed for the result; quantize "int8": products of 8 bits, see `_in_8_bits`."""
        output = self.made[self.outputs[0].number]
        needed, waiting = set(), [output]
        while waiting:
            node = waiting.pop()
            if id(node) not in needed:
                needed.add(id(node))
                waiting += node.reads()
        nodes = cut_early([node for node in self.nodes if id(node) in needed], output)
        if output is not (nodes[-1] if nodes else None):  # the images, or what something else was made after
            output = Node("pass", output)
            nodes.append(output)
        if quantize is not None:
            for node in nodes:
                node.kind = "conv_int8" if self._in_8_bits(node, output) else node.kind
        numbers = {id(self.images): 0} | {id(node): i + 1 for i, node in enumerate(nodes)}
        constants: list[np.ndarray] = []
        steps = tuple(_instruction(node, numbers, constants) for node in nodes)
        return Program(steps, tuple(constants), flat=len(self.outputs[0].shape) == 2)

    def _in_8_bits(self, node: Node, output: Node) -> bool:
        """Convolutions of one group but the first, which reads the images, and the last, whose result is the network's.

        Of few filters, rounding their sources would cost more than the products save; so it would where Winograd's
        algorithm needs fewer (3x3 without strides).
        """
        if node.kind != "conv" or not node.whole or node.x is self.images:
            return False
        last = node is output or (output.kind == "softmax" and output.x is node)
        winograd = node.filter.shape[:2] == (3, 3) and node.strides == node.dilations == (1, 1)
        return not last and node.filter.shape[3] >= (LEAST_FILTERS_3X3 if winograd else LEAST_FILTERS)


def _instruction(node: Node, numbers: dict[int, int], constants: list[np.ndarray]) -> Instruction:
    fields = {field.name: getattr(node, field.name) for field in dataclasses.fields(node) if field.name != "whole"}
    for name in ("x", "residual", "gate"):
        fields[name] = NONE if fields[name] is None else numbers[id(fields[name])]
    for name in ("filter", "bias", "scale", "shift", "token", "position"):
        if fields[name] is None:
            fields[name] = NONE
        else:
            constants.append(np.asarray(fields[name], np.float32))
            fields[name] = len(constants) - 1
    fields["parts"] = tuple(numbers[id(part)] for part in node.parts)
    if node.kind == "pad":  # a window of one pixel over it
        fields |= {"kind": "pool", "mean": True, "zeros": True}
    return Instruction(**fields)
