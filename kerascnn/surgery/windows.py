"""What a layer needs of its input to compute a position of its output: windows, tables {class: function}."""

import math
from collections.abc import Callable
from fractions import Fraction

import keras

from kerascnn import layers
from kerascnn._errors import InputError
from kerascnn.surgery.graph import Call

# (first, last) position in the output along one axis -> (first, last) that they need of the input
Axis = Callable[[int, int], tuple[int, int]]


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
    """Linear interpolation between the centers of pixels."""
    return lambda a, b: ((2 * a + 1 - factor) // (2 * factor), (2 * b + 1 - factor) // (2 * factor) + 1)


def _resized(call: Call, spatial: int) -> list[Axis]:
    sizes = list(zip(call.x[1 : 1 + spatial], call.y[1 : 1 + spatial], strict=True))
    if any(None in pair for pair in sizes):
        raise InputError(f"What {call.name} sees depends on the size; pass input_shape. Received: {call.x}")
    return [_interpolated(Fraction(given, made)) for given, made in sizes]


def _interpolated(step: Fraction) -> Axis:
    """Linear interpolation between the centers of pixels, `step` apart."""

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


def _same(call, spatial):
    if None in call.x[1 : 1 + spatial]:
        raise InputError(f"Padding of {call.name} depends on the size; pass input_shape. Received: {call.x}")
    return [_window(1, 1, (call.y[axis] - call.x[axis]) // 2) for axis in range(1, 1 + spatial)]


def _strided(call, spatial):
    return [_window(1, stride) for stride in _per_axis(call.operation.strides, spatial)]


def _attended(call, spatial):
    """All of the window that a position lies in; what it is rolled together with at the border is masked."""
    layer, sizes = call.operation, call.x[1 : 1 + spatial]
    if None in sizes:
        raise InputError(f"The shift of {call.name} depends on the size; pass input_shape. Received: {call.x}")
    return [_within(layer.window, layer.shift if size > layer.window else 0) for size in sizes]


def _within(window: int, shift: int) -> Axis:
    def whole(first, last):
        return (first - shift) // window * window + shift, (last - shift) // window * window + shift + window - 1

    return whole


def _same_places(call, spatial):
    return [_window(1)] * spatial


def _patches(call, spatial):
    return [_window(2, 2)] * spatial


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
    layers.PadToMultiple: _same_places,
    layers.PatchMerging: _patches,
    layers.ResizeLike: _resized,
    layers.SAFPooling2D: _windows,
    layers.SamePadding2D: _same,
    layers.Subsampling2D: _windows,
    layers.Unfold2D: _windows,
    layers.WindowAttention: _attended,
    layers.ZeroPadShortcut: _strided,
}

GLOBAL = frozenset(
    _classes(
        "Flatten GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D "
        "GlobalMaxPooling2D GlobalMaxPooling3D AdaptiveAveragePooling1D AdaptiveAveragePooling2D "
        "AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D"
    )
)

# Layers whose output, tokens or a map, depends everywhere on all places of their input.
MIXING: frozenset[type] = frozenset(_classes("Attention AdditiveAttention GroupQueryAttention MultiHeadAttention")) | {
    layers.PerformerAttention,
    layers.SelfAttention,
}

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
        layers.ClassToken,
        layers.DropPath,
        layers.FractalJoin,
        layers.FractalPath,  # not a map, but one number for all joins
        layers.LayerNormalization,
        layers.LocalResponseNormalization,
        layers.Progress,  # not a map, but one number for all paths
        layers.PositionEmbedding,
        layers.RBFCodes,
        layers.ScheduledDropPath,
        layers.ShakeShake,
    )
)

POINTWISE_OPERATIONS = frozenset(
    """
    Absolute Add Cast Celu Clip Divide Elu Exp Gelu Glu HardSigmoid HardSilu HardTanh LeakyRelu Log LogSigmoid
    LogSoftmax Maximum Minimum Multiply Negative Power Reciprocal Relu Relu6 Rsqrt Selu Sigmoid Sign Silu Softmax
    Softplus Softsign Sqrt Square Subtract Tanh TrueDivide Where StopGradient
    """.split()
)
