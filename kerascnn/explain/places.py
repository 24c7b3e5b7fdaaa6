"""The layers that a method may look at: maps, and tokens that are maps."""

import dataclasses

import keras
import numpy as np

from kerascnn._errors import InputError
from kerascnn.explain.explanation import Question
from kerascnn.explain.inner import name_of
from kerascnn.explain.token_grids import Grid, grids, takes_some
from kerascnn.layers import PerformerAttention, SelfAttention
from kerascnn.surgery.cut import output_in
from kerascnn.surgery.graph import Call, Graph, walk
from kerascnn.surgery.inline import bare
from kerascnn.surgery.replace import over

L = keras.layers
ATTENTION = (SelfAttention, PerformerAttention, L.MultiHeadAttention, L.GroupQueryAttention, L.Attention)


@dataclasses.dataclass(frozen=True)
class Place:
    """What an operation gives in a network, as a map."""

    operation: keras.Operation
    name: str  # what a user calls it: "conv1", or "encoder/conv1" inside a model
    grid: Grid | None = None  # of tokens [n, tokens, channels]; None: it is a map [n, rows, columns, channels]

    def map(self, values: np.ndarray) -> np.ndarray:
        """What the operation gives, or its gradient -> [n, rows, columns, channels]."""
        return values if self.grid is None else self.grid.map(values)


def find_place(question: Question, layer: str | None) -> Place | None:
    """The layer of that name, which gives maps [n, height, width, channels] or the tokens of one.

    Args:
        question: of `ask`.
        layer: its name; inside a model "model/name", or the name alone where it is the only one.

    Returns:
        The place; None for None.

    Raises:
        InputError: there is no such layer, or its output is no map.
    """
    if layer is None:
        return None
    model, layers = question.model, question.layers
    path = name_of(model, layers, layer)
    operation = layers[path]
    shape = () if isinstance(operation, L.InputLayer) else getattr(output_in(model, operation), "shape", ())
    if len(shape) == 4:
        return Place(operation, path)
    if len(shape) == 3:
        graph = _graph(question)
        grid = grids(graph).get(_last_call(graph, operation).outputs[0].number)
        if grid is not None:
            return Place(operation, path, grid)
    raise InputError(
        f"layer must give a map [n, height, width, channels], or the tokens of one. Received: layer={layer!r}"
    )


def last_place(question: Question) -> Place:
    """What the head of a network reads, as a map.

    It is the last map of more than one position, or, where tokens are pooled, the last tokens. Where the head reads a
    class token, on which the other tokens of the last block have no effect any more, it is what the last attention
    reads: the norm before it.

    Raises:
        InputError: there is none.
    """
    model = question.model
    for layer in reversed(model.layers):
        if isinstance(layer, L.InputLayer):
            continue
        shape = getattr(output_in(model, layer), "shape", ())
        if len(shape) == 4 and not all(size == 1 for size in shape[1:3]):
            return Place(layer, path_of(question, layer))
        if len(shape) == 3:
            place = _last_tokens(question)
            if place is not None:
                return place
            break
    raise InputError(
        f"The network must have maps [n, height, width, channels] or tokens of one before its head; layer names "
        f"another. Received: {model.name}, with vectors or other tokens alone"
    )


def _last_tokens(question: Question) -> Place | None:
    graph = _graph(question)
    known = grids(graph)
    last = next((call for call in reversed(graph.calls) if call.outputs[0].number in known), None)
    if last is None:
        return None
    if not takes_class_token(graph, last):
        return _place(question, last, known)
    maker = {value.number: call for call in graph.calls for value in call.outputs}
    attention = next((call for call in reversed(graph.calls) if isinstance(bare(call.operation), ATTENTION)), None)
    value = attention.inputs[0] if attention else None
    # The dense layer for queries, keys and values is a part of the attention.
    while value is not None and isinstance(bare(maker[value.number].operation), L.Dense | L.EinsumDense):
        value = maker[value.number].inputs[0]
    return None if value is None or value.number not in known else _place(question, maker[value.number], known)


def takes_class_token(graph: Graph, last: Call) -> bool:
    """Whether all that is read of the last tokens are a few, which stand for classes."""
    number = last.outputs[0].number
    readers = [call for call in graph.calls if any(value.number == number for value in call.inputs)]
    return bool(readers) and all(map(takes_some, readers))


def _place(question: Question, call: Call, known: dict[int, Grid]) -> Place:
    return Place(call.operation, path_of(question, call.operation), known[call.outputs[0].number])


def path_of(question: Question, operation: keras.Operation) -> str:
    """What a user calls an operation of the question's network."""
    return next((path for path, layer in question.layers.items() if layer is operation), operation.name)


def _graph(question: Question) -> Graph:
    return walk(question.model, question.images.shape[1:])


def _last_call(graph: Graph, operation) -> Call:
    return next(call for call in reversed(graph.calls) if call.operation is operation)


def with_output(question: Question, operation: keras.Operation) -> keras.Model:
    """The network of a question with one more output: what an operation gives, then the scores."""
    model = question.model
    return question.prepared.once(
        ("with_output", id(operation)), lambda: over(model, [output_in(model, operation), model.outputs[0]])
    )
