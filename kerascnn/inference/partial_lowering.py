"""A network of which some layers cannot be lowered: programs, and those layers between them.

The graph is cut where one map alone goes on. What lies between two such places becomes a program where every layer of
it has its instructions, together with its neighbors that do; the rest stays Keras layers. A connection that skips a
layer without instructions keeps all that it spans as layers.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from absl import logging

from kerascnn import ops
from kerascnn._errors import InputError
from kerascnn.inference.lowering import check_quantized, lower, program_of
from kerascnn.inference.program_builder import Builder, Node
from kerascnn.ops.inference_program import Program
from kerascnn.surgery.folding import fold_batch_norm
from kerascnn.surgery.graph import Call, Graph, Value, walk
from kerascnn.surgery.replace import called

_WORTH_IT = ("conv", "conv_int8", "attention")  # without one of them a program has nothing to save


@dataclasses.dataclass(frozen=True)
class Part:
    """Calls that read one value and make one."""

    calls: tuple[Call, ...]
    source: Value
    result: Value
    program: Program | None = None  # None: they stay layers


def parts_of(model: keras.Model, quantize: str | None = None) -> list[Part]:
    """A network as parts in their order, as many of them programs as can be.

    Args:
        model: functional or built sequential, with one input, images [batch, height, width, channels], and one output.
        quantize: of programs, as `kerascnn.inference.lowered` takes it, whose first and last convolutions stay float32.

    Returns:
        The parts, of a copy with batch norms folded.

    Raises:
        InputError: the model has no graph, another number of inputs or outputs, or no part that can be lowered.
    """
    folded, _ = fold_batch_norm(model)
    graph = walk(folded)
    if len(graph.inputs) != 1 or len(graph.outputs) != 1 or len(graph.inputs[0].shape) != 4:
        raise InputError(
            "A network must take one list of images and give one result to be lowered in parts. "
            f"Received: inputs {[x.shape for x in graph.inputs]}, outputs {[x.shape for x in graph.outputs]}"
        )
    lowerable = _lowerable(graph)

    def can(part: Part) -> bool:
        return all(lowerable[id(call)] for call in part.calls) and len(part.result.shape) in (2, 4)

    parts = [_lowered(part, quantize) if can(part) else part for part in _joined(_pieces(graph), can)]
    parts = _joined(parts, lambda part: part.program is not None)
    check_quantized(quantize, [part.program for part in parts if part.program], model)
    if not any(part.program for part in parts):
        raise InputError(f"A network must have a part that an inference program can stand for. Received: {model.name}")
    for call in (call for part in parts if part.program is None for call in part.calls):
        if not call.arguments:
            raise InputError(
                "A layer that is not lowered must take its inputs by the names that its `call` has. "
                f"Received: {call.name}, {called(call.operation)}"
            )
    return parts


def as_parts(model: keras.Model, quantize: str | None = None) -> Callable[[tf.Tensor], tf.Tensor]:
    """A network as a function for graphs: programs, each with one variable for its constants, and layers.

    Takes, returns and raises what `kerascnn.inference.compiled.as_program` does; refused is only what has no part that
    can be lowered.
    """
    parts = parts_of(model, quantize)
    layers = [call.name for part in parts if part.program is None for call in part.calls]
    programs = sum(part.program is not None for part in parts)
    logging.info("%s: %d programs; these stay layers: %s", model.name, programs, ", ".join(layers))
    steps = [_runner(part) for part in parts]

    def compute(images):
        for step in steps:
            images = step(images)
        return images

    return compute


def _lowerable(graph: Graph) -> dict[int, bool]:
    """By the id of a call: whether there are instructions for it, given maps and vectors of any origin."""
    builder, found = Builder(graph), {}
    for call in graph.calls:
        for value in call.inputs:
            builder.made.setdefault(value.number, Node("images"))
        found[id(call)] = lower(builder, call)
        if not found[id(call)]:
            builder.made |= {value.number: Node("images") for value in call.outputs}
    return found


def _pieces(graph: Graph) -> list[Part]:
    """The graph cut wherever one value alone is still read; it is a map, or the result."""
    end = len(graph.calls)
    last = {value.number: i for i, call in enumerate(graph.calls) for value in call.inputs}
    last |= {value.number: end for value in graph.outputs}
    live, pieces, calls, source = {graph.inputs[0].number: graph.inputs[0]}, [], [], graph.inputs[0]
    for i, call in enumerate(graph.calls):
        calls.append(call)
        live |= {value.number: value for value in call.outputs}
        live = {number: value for number, value in live.items() if last.get(number, -1) > i}
        result = next(iter(live.values()))
        if len(live) == 1 and (len(result.shape) == 4 or i == end - 1):
            pieces.append(Part(tuple(calls), source, result))
            calls, source = [], result
    return pieces


def _joined(parts: list[Part], kind: Callable[[Part], bool]) -> list[Part]:
    """Neighbors of one kind are one."""
    joined: list[Part] = []
    for part in parts:
        if joined and kind(joined[-1]) == kind(part):
            before = joined.pop()
            part = dataclasses.replace(before, calls=before.calls + part.calls, result=part.result)
        joined.append(part)
    return joined


def _lowered(part: Part, quantize: str | None) -> Part:
    program = program_of(Graph(part.calls, (part.source,), (part.result,)), quantize)
    worth = any(step.kind in _WORTH_IT for step in program.instructions)
    return dataclasses.replace(part, program=program) if worth else part


def _runner(part: Part) -> Callable[[Any], Any]:
    if part.program is None:
        return lambda x: _called(part, x)
    program, constants = part.program, tf.Variable(part.program.joined(), trainable=False, name="constants")
    return lambda x: ops.inference_program(x, program, constants)


def _called(part: Part, x: Any) -> Any:
    """The layers of a part, one by one."""
    values = {part.source.number: x}

    def given(entry):
        return values[entry.number] if isinstance(entry, Value) else entry

    for call in part.calls:
        arguments = keras.tree.map_structure(given, call.arguments)
        first, *others = arguments
        made = call.operation(arguments[first], **{name: arguments[name] for name in others})
        values |= {value.number: y for value, y in zip(call.outputs, keras.tree.flatten(made), strict=True)}
    return values[part.result.number]
