"""What one forward pass of any `keras.Model` costs, layer by layer, by a formula per layer class.

Nothing is run. A layer whose class is neither in the formulas nor known to be free of multiply-adds is reported, never
skipped in silence; `kerascnn.analysis.FORMULAS` takes classes of your own.
"""

import dataclasses
import math
from collections.abc import Sequence

import keras
from rich.table import Table
from rich.text import Text

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.analysis import formulas
from kerascnn.surgery.graph import Call, Graph, walk


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """One call of one layer; a layer that is called twice has two."""

    name: str  # after the names of the models around it: "encoder/conv1"
    kind: str  # its class
    output_shape: tuple[int, ...]  # of one example, without the batch; of the first output where there are several
    params_trainable: int  # 0 where an earlier call has counted them
    params_other: int  # likewise
    macs: int | None  # for one example; None: not known
    activations: int  # elements of the outputs for one example; 0 where the output is the input, unchanged


@dataclasses.dataclass(frozen=True)
class Cost:
    """What one forward pass costs."""

    params_trainable: int  # weights, biases, scales and shifts that training moves
    params_other: int  # moving statistics and whatever else is stored or frozen
    macs: int  # multiply-adds for one example
    activations: int  # elements of all layers' outputs for one example, the input not counted
    peak_bytes: int  # of inputs, activations and outputs alive at once, for the whole batch; no weights
    unknown: tuple[str, ...]  # layers without a formula, as "name (Class)": `macs` lacks them
    layers: tuple[LayerCost, ...]  # in the order in which Keras runs them


def count(
    model: keras.Model, input_shape: Sequence | None = None, *, batch_size: int = 1, dtype: str | None = None
) -> Cost:
    """Counts parameters, multiply-adds, activations and peak memory without running the model.

    Peak memory is that of inference which frees a tensor after the last layer that reads it, in the order in which
    Keras runs the graph: while a layer runs, its inputs, its outputs and whatever later layers read are alive. No layer
    overwrites its input, except those that only hand it on (`formulas.VIEWS`: dropout, reshaping). What a layer needs
    while it computes, such as attention's scores, and the weights are not in it.

    Args:
        model: a functional or built sequential `keras.Model`; models inside it, and layers called more than once, are
            followed.
        input_shape: shape of one example, such as `(height, width, channels)`, or a list of shapes for several inputs;
            needed where the model leaves a size open.
        batch_size: examples at a time, for `peak_bytes`.
        dtype: of all floating-point tensors, for `peak_bytes`; None: as the model computes.

    Returns:
        A `Cost`.

    Raises:
        InputError: the model is not functional, or a size is open.
    """
    batch_size = _check.whole("batch_size", batch_size, 1)
    if dtype is not None:
        _item_size(dtype)
    graph = walk(model, input_shape)
    rows, unknown, counted = [], [], set()
    movable = {id(weight) for weight in model.trainable_weights}
    for call in graph.calls:
        for value in call.inputs + call.outputs:
            if None in value.shape:
                raise InputError(
                    f"The cost of {call.name} needs fixed sizes; pass input_shape. Received: {value.shape}"
                )
        try:
            macs = formulas.macs(call)
        except formulas.Unknown as error:
            macs = None
            unknown.append(str(error))
        trainable, other = _parameters(call.operation, movable, counted)
        activations = 0 if is_view(call) else sum(math.prod(value.shape) for value in call.outputs)
        shape = call.y[1:] if call.outputs else ()
        kind = type(call.operation).__name__
        rows.append(LayerCost(call.name, kind, shape, trainable, other, macs, activations))
    trainable, other = _parameters(model, movable, counted)
    if trainable + other:
        rows.append(LayerCost("(weights that no layer of the graph holds)", "", (), trainable, other, 0, 0))
    return Cost(
        params_trainable=sum(row.params_trainable for row in rows),
        params_other=sum(row.params_other for row in rows),
        macs=sum(row.macs or 0 for row in rows),
        activations=sum(row.activations for row in rows),
        peak_bytes=batch_size * _peak(graph, dtype),
        unknown=tuple(dict.fromkeys(unknown)),
        layers=tuple(rows),
    )


def is_view(call: Call) -> bool:
    """Whether the output of a call is its input: not another tensor in memory."""
    kind = type(call.operation)
    if isinstance(call.operation, keras.layers.Layer):
        known = not formulas.VIEWS.isdisjoint(kind.__mro__)
    else:
        known = kind.__module__.startswith("keras.") and kind.__name__ in formulas.VIEW_OPERATIONS
    if not known or len(call.outputs) != 1 or not call.inputs:
        return False
    before, after = call.inputs[0], call.outputs[0]
    return math.prod(before.shape) == math.prod(after.shape) and before.dtype == after.dtype


def _parameters(operation, movable: set[int], counted: set[int]) -> tuple[int, int]:
    """Trainable and other parameters that are not counted yet; marks them as counted."""
    found = [0, 0]
    for weight in getattr(operation, "weights", ()):  # operations of keras.ops have none
        if id(weight) not in counted:
            counted.add(id(weight))
            found[id(weight) not in movable] += math.prod(weight.shape)
    return found[0], found[1]


def _peak(graph: Graph, dtype: str | None) -> int:
    """Bytes for a batch of one."""
    buffer = {}  # number of a value -> number of the value whose memory it shares
    size = {}  # bytes by buffer
    last = {}  # the last call that reads a buffer

    def own(value):
        floating = value.dtype.startswith(("float", "bfloat"))
        buffer[value.number] = value.number
        size[value.number] = math.prod(value.shape) * _item_size(dtype if dtype and floating else value.dtype)

    for value in graph.inputs:
        own(value)
    for index, call in enumerate(graph.calls):
        for value in call.outputs:
            if value.number in buffer:
                continue
            if is_view(call):
                buffer[value.number] = buffer[call.inputs[0].number]
            else:
                own(value)
        for value in call.inputs + call.outputs:
            last[buffer[value.number]] = index
    for value in graph.outputs:
        last[buffer[value.number]] = len(graph.calls)
    alive = {buffer[value.number] for value in graph.inputs}
    peak = current = sum(size[number] for number in alive)
    ending: dict[int, list[int]] = {}
    for number, index in last.items():
        ending.setdefault(index, []).append(number)
    for index, call in enumerate(graph.calls):
        new = {buffer[value.number] for value in call.outputs} - alive
        alive |= new
        current += sum(size[number] for number in new)
        peak = max(peak, current)
        freed = ending.get(index, [])
        alive.difference_update(freed)
        current -= sum(size[number] for number in freed)
    return peak


def _item_size(dtype: str) -> int:
    """Bytes of an element; text counts as a pointer."""
    sizes = {"bool": 1, "string": 8, "complex64": 8, "complex128": 16, "float8_e4m3fn": 1, "float8_e5m2": 1}
    if isinstance(dtype, str) and dtype in sizes:
        return sizes[dtype]
    digits = dtype.lstrip("abcdefghijklmnopqrstuvwxyz") if isinstance(dtype, str) else ""
    if digits not in ("4", "8", "16", "32", "64", "128"):
        raise InputError(f'dtype must be one of Keras\' names, such as "float16". Received: {dtype!r}')
    return -(-int(digits) // 8)


def table(cost: Cost, title: str | None = None) -> Table:
    """The layers of a `Cost` as a table for the terminal, totals in the last row.

    Args:
        cost: of `count`.
        title: above it.

    Returns:
        The table; "?" stands for what is not known.

    Raises:
        InputError: `cost` is something else.
    """
    if not isinstance(cost, Cost):
        raise _check.refuse("cost", "what count returns", cost)
    shown = Table(title=title, show_footer=True, caption=f"alive at once: {_memory(cost.peak_bytes)}")
    shown.add_column("layer", "total", no_wrap=True)
    shown.add_column("class", overflow="fold")
    shown.add_column("output", no_wrap=True)
    macs = f"{cost.macs:,}{' + ?' if cost.unknown else ''}"
    totals = (f"{cost.params_trainable + cost.params_other:,}", macs, f"{cost.activations:,}")
    for name, total in zip(("params", "MACs", "activations"), totals, strict=True):
        shown.add_column(name, total, justify="right", no_wrap=True)
    for row in cost.layers:
        numbers = (row.params_trainable + row.params_other, row.macs, row.activations)
        cells = ("?" if number is None else f"{number:,}" if number else "" for number in numbers)
        shown.add_row(Text(row.name), row.kind, " x ".join(map(str, row.output_shape)), *cells)
    return shown


def _memory(number: int) -> str:
    unit, suffix = next(((u, s) for u, s in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if number >= u), (1, "bytes"))
    return f"{number / unit:.3g} {suffix}"
