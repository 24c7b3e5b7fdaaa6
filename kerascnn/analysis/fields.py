"""How much of the image one position of the last feature map sees, in pixels, for any `keras.Model`.

Araujo, Norris, Sim: Computing receptive fields of convolutional neural networks, Distill 2019,
doi.org/10.23915/distill.00021. Instead of their formulas the intervals of pixels are followed back through the graph,
which also is right where branches are not aligned.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import keras

from kerascnn import layers
from kerascnn._errors import InputError
from kerascnn.analysis.graph import Call, Graph, Value, walk

# (first, last) position in the output along one axis -> (first, last) that they need of the input
Axis = Callable[[int, int], tuple[int, int]]


@dataclasses.dataclass(frozen=True)
class ReceptiveField:
    """What one position of a feature map sees of the input, per spatial axis."""

    size: tuple[int, ...]  # pixels from the first to the last that count, over all paths; may exceed the image
    stride: tuple[float, ...]  # pixels between the fields of neighbouring positions
    origin: tuple[float, ...]  # the pixel in the middle of the field of position 0, counted from 0
    layer: str  # whose output the feature map is
    left_out: tuple[str, ...]  # layers that merge a branch which has seen the whole image, and so is not counted
    unknown: tuple[str, ...]  # layers whose windows are not known, as "name (Class)"; counted as one pixel


def receptive_field(model: keras.Model, input_shape: Sequence | None = None) -> ReceptiveField:
    """The receptive field of the last feature map: what the last output is, or is made of by pooling or flattening all.

    It is the hull of all pixels that can change the centre of the map, over all paths. Statistics of normalisation and
    the learnt offsets of deformable convolutions are taken as fixed. Branches that pool the whole image, the gates of
    squeeze-and-excitation, are left out and named.

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
    index, target, unknown = _last_map(graph, axes)
    centre = [(size or 1) // 2 for size in target.shape[1 : 1 + axes[target.number]]]
    found = _trace(graph, axes, index, target, centre)
    far = _trace(graph, axes, index, target, [position + _FAR for position in centre])
    steps = [Fraction(b[0] - a[0], _FAR) for a, b in zip(found.hull, far.hull, strict=True)]
    middles = [Fraction(first + last, 2) for first, last in found.hull]
    return ReceptiveField(
        size=tuple(last - first + 1 for first, last in found.hull),
        stride=_numbers(steps),
        origin=_numbers(middle - step * place for middle, step, place in zip(middles, steps, centre, strict=True)),
        layer=graph.calls[index].name,
        left_out=found.left_out,
        unknown=tuple(dict.fromkeys(found.unknown + unknown)),
    )


def _numbers(fractions) -> tuple[float, ...]:
    return tuple(int(x) if x.denominator == 1 else float(x) for x in fractions)


_FAR = 64  # positions, over which up-sampling by powers of two averages out


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


def _trace(graph: Graph, axes: dict[int, int], index: int, target: Value, centre: list[int]) -> _Found:
    """Follows the pixels that one position needs back to the input."""
    need = {target.number: [(position, position) for position in centre]}
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
        if any(kind in _GLOBAL for kind in bases):
            return "global"
        known = any(kind in POINTWISE for kind in bases)
    else:
        name = type(operation).__name__
        known = type(operation).__module__.startswith("keras.") and name in _POINTWISE_OPERATIONS
    if isinstance(operation, keras.layers.Concatenate):
        known = operation.axis % len(call.y) > spatial
    if not kept:
        return "lost"
    return "pointwise" if known else "unknown"


def _base(call: Call) -> type | None:
    return next((kind for kind in type(call.operation).__mro__ if kind in WINDOWS), None)


def _per_axis(value, spatial):
    return tuple(value) if isinstance(value, list | tuple) else (value,) * spatial


def _window(taps: int, stride: int = 1, before: int = 0) -> Axis:
    return lambda first, last: (first * stride - before, last * stride - before + taps - 1)


def _windows(call: Call, spatial: int) -> list[Axis]:
    """Convolutions and pools, by the attributes that they share."""
    layer = call.operation
    taps = _per_axis(getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", 1), spatial)
    default = taps if hasattr(layer, "pool_size") else 1
    strides = _per_axis(getattr(layer, "strides", default), spatial)
    dilations = _per_axis(getattr(layer, "dilation_rate", 1), spatial)
    padding = getattr(layer, "padding", "valid")
    sides = (padding,) * spatial if isinstance(padding, str) else padding
    found = []
    for axis in range(spatial):
        extent = (taps[axis] - 1) * dilations[axis] + 1
        before = _before(call, axis, extent, strides[axis], sides[axis])
        found.append(_window(extent, strides[axis], before))
    return found


def _before(call: Call, axis: int, extent: int, stride: int, padding) -> int:
    """Positions that padding adds before the first."""
    if padding == "valid":
        return 0
    if padding == "causal":
        return extent - 1
    if padding != "same":
        return padding[0]
    size, made = call.x[1 + axis], call.y[1 + axis]
    if stride == 1:
        return (extent - 1) // 2
    if size is None:
        raise InputError(f"Padding of {call.name} depends on the size; pass input_shape. Received: {call.x}")
    return max((made - 1) * stride + extent - size, 0) // 2


def _transposed(call: Call, spatial: int) -> list[Axis]:
    layer = call.operation
    found = []
    for taps, stride, dilation in zip(layer.kernel_size, layer.strides, layer.dilation_rate, strict=True):
        extent = (taps - 1) * dilation + 1
        cut = max(extent - stride, 0) // 2 if layer.padding == "same" else 0
        found.append(_scatter(extent, stride, cut))
    return found


def _scatter(extent: int, stride: int, cut: int) -> Axis:
    return lambda first, last: (-((extent - 1 - cut - first) // stride), (last + cut) // stride)


def _enlarged(call: Call, spatial: int) -> list[Axis]:
    layer = call.operation
    nearest = getattr(layer, "interpolation", "nearest") == "nearest"
    return [_nearest(f) if nearest else _between(f) for f in _per_axis(layer.size, spatial)]


def _nearest(factor: int) -> Axis:
    return lambda first, last: (first // factor, last // factor)


def _between(factor: int) -> Axis:
    """Linear interpolation between the centres of pixels."""
    return lambda a, b: ((2 * a + 1 - factor) // (2 * factor), (2 * b + 1 - factor) // (2 * factor) + 1)


def _resized(call: Call, spatial: int) -> list[Axis]:
    sizes = list(zip(call.x[1 : 1 + spatial], call.y[1 : 1 + spatial], strict=True))
    if any(None in pair for pair in sizes):
        raise InputError(f"What {call.name} sees depends on the size; pass input_shape. Received: {call.x}")
    return [_interpolated(Fraction(given, made)) for given, made in sizes]


def _interpolated(step: Fraction) -> Axis:
    """Linear interpolation between the centres of pixels, `step` apart."""

    def needed(first, last):
        half = Fraction(1, 2)
        return math.floor((first + half) * step - half), math.ceil((last + half) * step - half)

    return needed


def _cut(call: Call, spatial: int) -> list[Axis]:
    return [_window(1, 1, -call.operation.offset)] * spatial


def _shifted(sign: int):
    def steps(call, spatial):
        sides = getattr(call.operation, "padding" if sign > 0 else "cropping")
        sides = (sides,) if spatial == 1 else sides
        return [_window(1, 1, sign * before) for before, _ in sides]

    return steps


def _strided(call, spatial):
    return [_window(1, stride) for stride in _per_axis(call.operation.strides, spatial)]


def _classes(names: str) -> tuple[type, ...]:
    return tuple(getattr(keras.layers, name) for name in names.split() if hasattr(keras.layers, name))


# Layer class (or a base of it) -> f(call, number of spatial axes) -> one `Axis` per axis.
WINDOWS: dict[type, Callable[[Call, int], list[Axis]]] = {
    **dict.fromkeys(
        _classes(
            "Conv1D Conv2D Conv3D DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D AveragePooling1D "
            "AveragePooling2D AveragePooling3D MaxPooling1D MaxPooling2D MaxPooling3D"
        ),
        _windows,
    ),
    **dict.fromkeys(_classes("Conv1DTranspose Conv2DTranspose Conv3DTranspose"), _transposed),
    **dict.fromkeys(_classes("UpSampling1D UpSampling2D UpSampling3D"), _enlarged),
    **dict.fromkeys(_classes("ZeroPadding1D ZeroPadding2D ZeroPadding3D"), _shifted(1)),
    **dict.fromkeys(_classes("Cropping1D Cropping2D Cropping3D"), _shifted(-1)),
    layers.ConnectionTableConv2D: _windows,
    layers.CropLike: _cut,
    layers.ResizeLike: _resized,
    layers.SAFPooling2D: _windows,
    layers.Subsampling2D: _windows,
    layers.ZeroPadShortcut: _strided,
}

_GLOBAL = frozenset(
    _classes(
        "Flatten GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D "
        "GlobalMaxPooling2D GlobalMaxPooling3D AdaptiveAveragePooling1D AdaptiveAveragePooling2D "
        "AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D"
    )
)

# Layers whose output at a place depends on their inputs at that place alone; or, as said above, is taken to.
POINTWISE: frozenset[type] = frozenset(
    _classes(
        "Activation ReLU LeakyReLU PReLU ELU Softmax BatchNormalization GroupNormalization LayerNormalization "
        "RMSNormalization UnitNormalization Add Subtract Multiply Average Maximum Minimum Identity Dropout "
        "AlphaDropout GaussianDropout GaussianNoise SpatialDropout1D SpatialDropout2D SpatialDropout3D "
        "ActivityRegularization Dense Masking Normalization Rescaling"
    )
    + (
        layers.BatchNormalization,
        layers.ChannelPool,
        layers.ChannelSlice,
        layers.DropPath,
        layers.FractalJoin,
        layers.FractalPath,  # not a map, but one number for all joins
        layers.LocalResponseNormalization,
        layers.RBFCodes,
        layers.ShakeShake,
    )
)

_POINTWISE_OPERATIONS = frozenset(
    """
    Absolute Add Cast Celu Clip Divide Elu Exp Gelu Glu HardSigmoid HardSilu HardTanh LeakyRelu Log LogSigmoid
    LogSoftmax Maximum Minimum Multiply Negative Power Reciprocal Relu Relu6 Rsqrt Selu Sigmoid Sign Silu Softmax
    Softplus Softsign Sqrt Square Subtract Tanh TrueDivide Where StopGradient
    """.split()
)
