"""A supernet of cells: every edge has all operations, and all networks of the space share their weights.

Pham, Guan, Zoph, Le, Dean: Efficient Neural Architecture Search via Parameter Sharing, 2018, arXiv:1802.03268,
section 2.4; Liu, Simonyan, Yang: DARTS: Differentiable Architecture Search, 2018, arXiv:1806.09055, section 2.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from kerascnn import _check, cells
from kerascnn.cells import Genotype, Style
from kerascnn.cells.operations import APPLY
from kerascnn.search.one_shot.choice import edges, source_names
from kerascnn.search.one_shot.network import PIECES, network
from kerascnn.search.one_shot.operation import Build
from kerascnn.search.one_shot.shared import SharedWeights, Visit, Weights
from kerascnn.search.spaces import Blocks, CellSpace

# In a search batch norm has no factors, and pools are normalized too, so that no operation is louder than the others.
DARTS_SEARCH = dataclasses.replace(cells.DARTS, affine=False, pool_norm=True)
# What a cell reads goes through one 1x1 convolution each, however many channels there are.
ENAS_SEARCH = dataclasses.replace(cells.ENAS, match_always=True, match_newest=False)

Own = Callable[..., Any]  # f(value, filters, stride, style, *, name) -> Keras tensor, as in kerascnn.cells.operations


@dataclasses.dataclass(frozen=True)
class _Place:
    """A cell of the stack."""

    name: str
    kind: str  # "normal", "reduce"
    filters: int

    @property
    def stride(self) -> int:
        return 2 if self.kind == "reduce" else 1


class Supernet(SharedWeights):
    """All networks of a space of cells, with the same weights where they do the same in the same place.

    `logits` and `activate` take a genotype, of which only the drawn operations are computed, or, where nodes have no
    `sides`, architecture weights: "normal" and "reduce" -> [edges, operations], in the order of `choice.edges`, by
    which the outputs of all operations are mixed. A cell puts out the nodes of the genotype's concat; the kernels that
    read it have rows for all nodes, of which those are used.

    Args:
        operations: names of `kerascnn.cells.OPERATIONS`, "zero" too.
        nodes: of a cell.
        stages: number of cells of each stage; the first of each but the first stage is a reduction cell.
        filters: channels of the first stage's nodes; twice as many in each further one.
        input_shape: (height, width, channels) of the images.
        classes: number of classes.
        style: conventions of the operations, with `match_always` and neither `match_newest` nor `raw_start`.
        sides: a node's two operands have weights of their own, so that they may be the same operation on the same
            value, as in a `Blocks` space; without them there is one edge from each source.
        relu: the last cell is followed by a ReLU.
        own: operations beside those of `kerascnn.cells`, by name; they can be mixed, but no genotype has them.
        seed: of the first values of the weights.

    Raises:
        InputError: an argument is something else.

    Example:

        import numpy as np
        from kerascnn.cells import Cell, Genotype
        from kerascnn.search import one_shot

        supernet = one_shot.Supernet(("sep_3x3", "identity"), 2, stages=(1, 1), filters=4, input_shape=(8, 8, 1))
        cell = Cell(["sep_3x3(c1) + identity(c2)", "sep_3x3(n1) + identity(c1)"], "n1 n2")
        genotype, images = Genotype("mine", cell, cell), np.ones([4, 8, 8, 1], "float32")
        supernet.activate(genotype)
        supernet(images)  # as supernet.cut(genotype)(images, training=True)
    """

    def __init__(
        self,
        operations: Sequence[str],
        nodes: int,
        *,
        stages: Sequence[int] = (2, 2, 2),
        filters: int = 16,
        input_shape: tuple[int, int, int] = (32, 32, 3),
        classes: int = 10,
        style: Style = DARTS_SEARCH,
        sides: bool = False,
        relu: bool = False,
        own: Mapping[str, Own] | None = None,
        seed: int = 0,
    ):
        super().__init__(seed, "supernet")
        self._apply = {**APPLY, **(own or {})}
        if isinstance(operations, str) or not operations or len(set(operations)) < len(operations):
            raise _check.refuse("operations", "different names of kerascnn.cells.OPERATIONS", operations)
        for operation in operations:
            _check.one_of("an operation", operation, ("zero", *self._apply))
        if set(operations) == {"zero"}:
            raise _check.refuse("operations", "such that one is not zero", operations)
        self.operations, self.nodes = tuple(operations), _check.whole("nodes", nodes, 1, 16)
        self.stages = tuple(_check.whole("each of stages", count, 1) for count in stages)
        _check.whole("the number of stages", len(self.stages), 1)
        self.filters, self.classes = _check.whole("filters", filters, 2), _check.whole("classes", classes, 1)
        if not style.match_always or style.match_newest or style.raw_start:
            raise _check.refuse("style", "one with match_always, without match_newest and raw_start", str(style))
        self.style, self.sides, self.relu = style, _check.flag("sides", sides), _check.flag("relu", relu)
        self.image_shape = tuple(_check.whole("each of input_shape", size, 1) for size in input_shape)
        self._stack = [
            _Place(f"stage{stage}_cell{i}", "normal" if stage == 1 or i > 1 else "reduce", filters * 2 ** (stage - 1))
            for stage, count in enumerate(self.stages, 1)
            for i in range(1, count + 1)
        ]
        self._add_weights()
        self.built = True

    @classmethod
    def of(cls, space: CellSpace, **options: Any) -> "Supernet":
        """The supernet of a space of cells.

        Args:
            space: `Blocks`, with ENAS' conventions, or `Edges`, with those of DARTS.
            **options: other arguments of `Supernet`.

        Returns:
            The supernet; with an option `operations` of more than the space has.

        Raises:
            InputError: an argument is something else.
        """
        if not isinstance(space, CellSpace):
            raise _check.refuse("space", "a space of cells, such as spaces.darts()", space)
        blocks = isinstance(space, Blocks)
        usual = {"style": ENAS_SEARCH, "sides": True, "relu": True} if blocks else {}
        return cls(**{"operations": space.operations, "nodes": space.nodes, **usual, **options})

    def _build(self, kind: str, filters: int, stride: int) -> Build:
        if kind in PIECES:
            return lambda value: PIECES[kind](value, filters, self.relu, self.style)
        return lambda value: self._apply[kind](value, filters, stride, self.style, name=value.name)

    def _add_weights(self) -> None:
        shape = self._add("stem", self._operation("stem", self.image_shape, 3 * self.filters))
        one = two = tuple(shape)
        for place in self._stack:
            stride = place.stride
            match = self._operation("match" if two[0] == one[0] else "halve", two, place.filters)
            shape = inner = self._add(f"{place.name}_c2", match)
            self._add(f"{place.name}_c1", self._operation("match", one, place.filters))
            for node, source in edges(self.nodes):
                for operation in self.operations:
                    if operation != "zero":
                        step = stride if source in ("c1", "c2") else 1
                        size = shape if source in ("c1", "c2") or stride == 1 else inner
                        made = self._operation(operation, size, place.filters, step)
                        for side in "ab" if self.sides else ("",):
                            inner = self._add(f"{place.name}_n{node}{side}_{source}_{operation}", made)
            two, one = one, (*inner[:2], self.nodes * place.filters)
        self._add("head", self._operation("head", one, self.classes))

    def _compute(self, images, choice, weights: Weights, visits: list[Visit] | None) -> tf.Tensor:
        mixed = not isinstance(choice, Genotype)
        if mixed and (self.sides or not isinstance(choice, Mapping) or set(choice) != {"normal", "reduce"}):
            raise _check.refuse("choice", "a genotype or, without sides, weights of its two cells", choice)
        stem = self._operation("stem", self.image_shape, 3 * self.filters)
        one = two = self._at_place(images, "stem", stem, weights, visits), None, 1  # map, rows, width of a node
        for place in self._stack:
            chosen = choice[place.kind] if mixed else getattr(choice, place.kind)
            read = {"c1", "c2"} if mixed else {term.source for node in chosen.nodes for term in node}
            values = {
                name: self._read(place, name, value, one, weights, visits)
                for name, value in (("c2", two), ("c1", one))
                if name in read
            }
            compute = self._mixed_nodes if mixed else self._drawn_nodes
            compute(place, chosen, values, place.stride, weights, visits)
            names = [f"n{node}" for node in range(1, self.nodes + 1)]
            kept = names if mixed else chosen.concat
            rows = None if tuple(kept) == tuple(names) else self._rows(kept, place.filters)
            x = tf.concat([values[name] for name in kept], -1) if len(kept) > 1 else values[kept[0]]
            two, one = one, (x, rows, place.filters)
        head = self._operation("head", one[0].shape[1:], self.classes)
        return self._at_place(one[0], "head", head, weights, visits, rows=one[1])

    def _rows(self, kept, width) -> list[int]:
        nodes = [int(name[1:]) - 1 for name in kept if name[0] == "n"]
        if len(nodes) < len(kept):
            raise _check.refuse("choice", "a genotype whose cells put out nodes alone", kept)
        return [node * width + channel for node in nodes for channel in range(width)]

    def _read(self, place, name, value, newest, weights, visits):
        """c1 or c2, matched."""
        x, rows, _ = value
        kind = "halve" if x.shape[1] > newest[0].shape[1] else "match"
        made = self._operation(kind, x.shape[1:], place.filters)
        return self._at_place(x, f"{place.name}_{name}", made, weights, visits, rows=rows)

    def _mixed_nodes(self, place, mix, values, stride, weights, visits) -> None:
        terms: dict[int, list[Any]] = {node: [] for node in range(1, self.nodes + 1)}
        for row, (node, source) in enumerate(edges(self.nodes)):
            for column, operation in enumerate(self.operations):
                if operation != "zero":
                    step, x = stride if source in ("c1", "c2") else 1, values[source]
                    made = self._operation(operation, x.shape[1:], place.filters, step)
                    at = f"{place.name}_n{node}_{source}_{operation}"
                    terms[node].append(mix[row][column] * self._at_place(x, at, made, weights, visits))
            if source == source_names(node)[-1]:
                values[f"n{node}"] = tf.add_n(terms[node])

    def _drawn_nodes(self, place, cell, values, stride, weights, visits) -> None:
        if len(cell.nodes) != self.nodes or any(len(node) > 2 for node in cell.nodes) and self.sides:
            raise _check.refuse("choice", f"a genotype with {self.nodes} nodes", cell)
        for number, node in enumerate(cell.nodes, 1):
            terms = []
            for side, term in zip("abcdefghijklmnop", node, strict=False):
                if term.operation == "zero":
                    continue
                _check.one_of("an operation of the genotype", term.operation, self.operations)
                step, x = stride if term.source in ("c1", "c2") else 1, values[term.source]
                made = self._operation(term.operation, x.shape[1:], place.filters, step)
                at = f"{place.name}_n{number}{side if self.sides else ''}_{term.source}_{term.operation}"
                terms.append(self._at_place(x, at, made, weights, visits, path=f"{place.name}_n{number}{side}"))
            values[f"n{number}"] = tf.add_n(terms) if len(terms) > 1 else terms[0]

    def _stand_alone(self, choice: Genotype) -> keras.Model:
        return network(
            choice, stages=self.stages, filters=self.filters, input_shape=self.image_shape, classes=self.classes,
            style=self.style, relu=self.relu,
        )  # fmt: skip
