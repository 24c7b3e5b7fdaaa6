"""How much of the image one position of the last feature map sees, in pixels, for any `keras.Model`.

Araujo, Norris, Sim: Computing receptive fields of convolutional neural networks, Distill 2019,
doi.org/10.23915/distill.00021. Instead of their formulas the intervals of pixels are followed back through the graph,
which also is right where branches are not aligned.
"""

import dataclasses
from collections.abc import Sequence
from fractions import Fraction

import keras

from kerascnn import layers
from kerascnn._errors import InputError
from kerascnn.surgery.graph import Call, Graph, Value, walk
from kerascnn.surgery.windows import GLOBAL, MIXING, POINTWISE, POINTWISE_OPERATIONS, WINDOWS


@dataclasses.dataclass(frozen=True)
class ReceptiveField:
    """What one position of a feature map sees of the input, per spatial axis."""

    size: tuple[int, ...]  # pixels from the first to the last that count, over all paths; may exceed the image
    stride: tuple[float, ...]  # pixels between the fields of neighboring positions; 0 where each sees all
    origin: tuple[float, ...]  # the pixel in the middle of the field of position 0, counted from 0
    layer: str  # whose output the feature map is
    left_out: tuple[str, ...]  # layers that merge a branch which has seen the whole image, and so is not counted
    unknown: tuple[str, ...]  # layers whose windows are not known, as "name (Class)"; counted as one pixel


def receptive_field(model: keras.Model, input_shape: Sequence | None = None) -> ReceptiveField:
    """The receptive field of the last feature map: what the last output is, or is made of by pooling or flattening all.

    It is the hull of all pixels that can change the center of the map, over all paths. Statistics of normalization and
    the learned offsets of deformable convolutions are taken as fixed. Branches that pool the whole image, the gates of
    squeeze-and-excitation, are left out and named. Attention sees all tokens, and so the whole image; a map that was
    flattened or pooled and became a map again is taken to, as the tokens of an MLP mixer do.

    Args:
        model: a functional or built sequential `keras.Model` of images [batch, height, width, channels], or of other
            channels_last data with any number of spatial axes.
        input_shape: shape of one example, where the model leaves a size open.

    Returns:
        A `ReceptiveField`.

    Raises:
        InputError: the model is not functional, has no feature map, or a size that matters is open.
    """
    graph = walk(model, input_shape)
    axes = _maps(graph)
    whole = _whole_image(graph, axes)
    if whole:
        size = graph.inputs[0].shape[1:-1]
        if None in size:
            raise InputError(f"{whole} sees the whole image, whose size is open; pass input_shape. Received: {size}")
        middles = _numbers(Fraction(length - 1, 2) for length in size)
        return ReceptiveField(size, (0,) * len(size), middles, layer=whole, left_out=(), unknown=())
    index, target, unknown = _last_map(graph, axes)
    center = [(size or 1) // 2 for size in target.shape[1 : 1 + axes[target.number]]]
    found = _trace(graph, axes, index, target, center)
    far = _trace(graph, axes, index, target, [position + _FAR for position in center])
    steps = [Fraction(b[0] - a[0], _FAR) for a, b in zip(found.hull, far.hull, strict=True)]
    middles = [Fraction(first + last, 2) for first, last in found.hull]
    return ReceptiveField(
        size=tuple(last - first + 1 for first, last in found.hull),
        stride=_numbers(steps),
        origin=_numbers(middle - step * place for middle, step, place in zip(middles, steps, center, strict=True)),
        layer=graph.calls[index].name,
        left_out=found.left_out,
        unknown=tuple(dict.fromkeys(found.unknown + unknown)),
    )


def fields_at(
    model: keras.Model, positions: Sequence[Sequence[int]], input_shape: Sequence | None = None
) -> list[tuple[tuple[int, int], ...]]:
    """What single positions of the map that a model ends in see of the image: exact at borders, for padding of all
    kinds and for maps that were enlarged.

    Args:
        model: as for `receptive_field`; its last output is a map.
        positions: (row, column) and so on, one number a spatial axis, within the map.
        input_shape: shape of one example, where the model leaves a size open.

    Returns:
        For each position and axis the first and the last pixel; where padding is seen they lie outside of the image.
        The whole image, from 0 to its last pixel, where the map is made of what has seen it all, or has a single place.

    Raises:
        InputError: as `receptive_field`, or the output is no map.
    """
    graph = walk(model, input_shape)
    axes, output, shape = _maps(graph), graph.outputs[-1], graph.inputs[0].shape[1:-1]
    if len(output.shape) != len(shape) + 2:
        raise InputError(f"The model must end in a map. Received: an output of shape {output.shape}")
    if output.number not in axes or all(size == 1 for size in output.shape[1:-1]):
        if None in shape:
            raise InputError(f"The whole image is seen, whose size is open; pass input_shape. Received: {shape}")
        return [tuple((0, size - 1) for size in shape)] * len(positions)
    index = next(i for i, call in enumerate(graph.calls) if output.number in [x.number for x in call.outputs])
    return [tuple(_trace(graph, axes, index, output, list(position)).hull) for position in positions]


def _numbers(fractions) -> tuple[float, ...]:
    return tuple(int(x) if x.denominator == 1 else float(x) for x in fractions)


_FAR = 64 * 21  # positions, over which up-sampling by powers of two and windows of 7 and 12 average out


@dataclasses.dataclass(frozen=True)
class _Found:
    hull: list[tuple[int, int]]
    left_out: tuple[str, ...]
    unknown: tuple[str, ...]


def _maps(graph: Graph) -> dict[int, int]:
    """Number of spatial axes of each value that has a place in the image; what has seen all of it is missing."""
    axes = {value.number: len(value.shape) - 2 for value in graph.inputs if len(value.shape) > 2}
    for call in graph.calls:
        counts = [axes[value.number] for value in _read(call) if value.number in axes]
        if counts and _kind(call, counts[0]) not in ("global", "lost"):
            axes |= {value.number: counts[0] for value in call.outputs}
    return axes


def _whole_image(graph: Graph, axes: dict[int, int]) -> str | None:
    """The layer nearest to the last output that mixes all places, if one lies between the last map and the output."""
    producer = {value.number: call for call in graph.calls for value in call.outputs}
    rank = len(graph.inputs[0].shape)
    waiting, seen = [graph.outputs[-1]], set()
    while waiting:
        value = waiting.pop(0)
        if value.number in seen or value.number not in producer or value.number in axes:
            continue
        seen.add(value.number)
        call = producer[value.number]
        if not MIXING.isdisjoint(type(call.operation).__mro__):
            return call.name
        if len(value.shape) == rank and any(size != 1 for size in value.shape[1:-1]):
            return call.name
        waiting += call.inputs
    return None


def _last_map(graph: Graph, axes: dict[int, int]) -> tuple[int, Value, tuple[str, ...]]:
    """The last call, in order of execution, whose map the last output is made of; unknown classes on the way to it."""
    producer = {value.number: index for index, call in enumerate(graph.calls) for value in call.outputs}
    waiting, seen, unknown = [graph.outputs[-1]], set(), []
    last, target = -1, None
    while waiting:
        value = waiting.pop()
        if value.number in seen or value.number not in producer:
            continue
        seen.add(value.number)
        index = producer[value.number]
        call = graph.calls[index]
        if value.number in axes:
            if index > last:
                last, target = index, value
            continue
        spatial = [axes[x.number] for x in _read(call) if x.number in axes]
        if spatial and _kind(call, spatial[0]) == "lost":
            unknown.append(f"{call.name} ({type(call.operation).__name__})")
        waiting += _read(call)
    if target is None:
        raise InputError(f"The model must make a feature map of an image. Received: outputs {graph.outputs}")
    return last, target, tuple(unknown)


def _trace(graph: Graph, axes: dict[int, int], index: int, target: Value, center: list[int]) -> _Found:
    """Follows the pixels that one position needs back to the input."""
    need = {target.number: [(position, position) for position in center]}
    left_out, unknown = [], []
    for call in reversed(graph.calls[: index + 1]):
        wanted = [need[value.number] for value in call.outputs if value.number in need]
        if not wanted:
            continue
        hull = _union(wanted)
        spatial = axes[next(value.number for value in call.outputs if value.number in need)]
        kind = _kind(call, spatial)
        if kind == "unknown":
            unknown.append(f"{call.name} ({type(call.operation).__name__})")
        steps = WINDOWS[_base(call)](call, spatial) if kind == "window" else None
        for value in _read(call):
            if value.number not in axes or _is_gate(value, call.outputs[0], spatial):
                left_out.append(call.name)
                continue
            moved = [step(*ends) for step, ends in zip(steps, hull, strict=True)] if steps else hull
            known = need.get(value.number)
            need[value.number] = _union([known, moved]) if known else moved
    reached = [need[value.number] for value in graph.inputs if value.number in need]
    return _Found(_union(reached), tuple(dict.fromkeys(reversed(left_out))), tuple(reversed(unknown)))


def _read(call: Call) -> tuple[Value, ...]:
    """The inputs whose values count, not only their sizes."""
    return call.inputs[:1] if isinstance(call.operation, layers.CropLike | layers.ResizeLike) else call.inputs


def _union(intervals):
    return [(min(a for a, _ in ends), max(b for _, b in ends)) for ends in zip(*intervals, strict=True)]


def _is_gate(value: Value, output: Value, spatial: int) -> bool:
    pairs = zip(value.shape[1 : 1 + spatial], output.shape[1 : 1 + spatial], strict=False)
    return len(value.shape) == len(output.shape) and any(a == 1 and b not in (1, None) for a, b in pairs)


def _kind(call: Call, spatial: int) -> str:
    """window | pointwise | global: known, and its output has no place in the image | unknown | lost: unknown and so."""
    operation = call.operation
    if _base(call) in WINDOWS:
        return "global" if getattr(operation, "pool_size", 1) is None else "window"
    kept = any(value.shape[1 : 1 + spatial] == call.y[1 : 1 + spatial] for value in call.inputs)
    kept = kept and len(call.y) > spatial + 1
    if isinstance(operation, keras.layers.Permute):
        kept = operation.dims[:spatial] == tuple(range(1, spatial + 1))
    if isinstance(operation, keras.layers.Reshape | keras.layers.Permute):
        return "pointwise" if kept else "global"
    if isinstance(operation, keras.layers.Layer):
        bases = type(operation).__mro__
        if any(kind in GLOBAL or kind in MIXING for kind in bases):
            return "global"
        known = any(kind in POINTWISE for kind in bases)
    else:
        name = type(operation).__name__
        known = type(operation).__module__.startswith("keras.") and name in POINTWISE_OPERATIONS
    if isinstance(operation, keras.layers.Concatenate):
        known = operation.axis % len(call.y) > spatial
    if not kept:
        return "lost"
    return "pointwise" if known else "unknown"


def _base(call: Call) -> type | None:
    return next((kind for kind in type(call.operation).__mro__ if kind in WINDOWS), None)
