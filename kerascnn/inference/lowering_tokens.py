"""Layers of transformers as instructions of inference programs: tokens are the rows of maps one pixel wide."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kerascnn import layers
from kerascnn.inference.program_builder import Builder, Node
from kerascnn.ops.inference_program import SAME
from kerascnn.surgery.graph import Call

L = keras.layers
_NONE = (0, 0)


def extents(shape: tuple) -> tuple:
    """Height, width and channels of a value [b, c], [b, n, c] or [b, h, w, c]; those that are open are None."""
    sizes = shape[1:]
    return {1: (1, 1, *sizes), 2: (*sizes[:1], 1, *sizes[1:]), 3: sizes}[len(sizes)]


def _norm(lowering: Builder, call: Call) -> bool:
    layer = call.operation
    axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    if [axis % len(call.x) for axis in axes] != [len(call.x) - 1] or getattr(layer, "rms_scaling", False):
        return False
    scale = np.asarray(layer.gamma) if layer.gamma is not None else None
    shift = np.asarray(layer.beta) if layer.beta is not None else None
    lowering.add(call, Node("norm", lowering.source(call), scale=scale, shift=shift, number=layer.epsilon))
    return True


def _self_attention(lowering: Builder, call: Call) -> bool:
    layer = call.operation
    size = call.x[-1] // 3 // layer.heads
    scale = size**-0.5 if layer.scale is None else layer.scale
    lowering.add(call, Node("attention", lowering.source(call), heads=layer.heads, number=scale))
    return scale >= 0


def _window_attention(lowering: Builder, call: Call) -> bool:
    layer, side = call.operation, call.operation.window
    place = np.arange(side * side)
    down, across = (
        axis[:, None] - axis[None, :] + side - 1 for axis in (place // side, place % side)
    )  # of query, of key
    table = np.asarray(layer.relative_position_bias_table)
    bias = table[(2 * side - 1) * down + across].transpose(2, 0, 1)  # [heads, tokens, tokens]
    scale = (call.x[-1] // 3 // layer.heads) ** -0.5
    node = Node("attention", lowering.source(call), bias=bias, heads=layer.heads, number=scale)
    lowering.add(call, dataclasses.replace(node, side=side, roll=layer.shift))
    return True


def _class_token(lowering: Builder, call: Call) -> bool:
    lowering.add(call, Node("stack", token=np.asarray(call.operation.token)[0], parts=(lowering.source(call),)))
    return True


def _position(lowering: Builder, call: Call) -> bool:
    layer, node = call.operation, lowering.source(call)
    positions = np.asarray(layer.positions)
    if len(call.x) == 3:
        positions = positions.reshape(-1, call.x[-1])
        if layer.first is not None:
            positions = np.concatenate([np.asarray(layer.first), positions])
    if node.kind == "stack" and node.position is None and lowering.alone(node):
        lowering.instead(call, node, position=positions)
    else:
        lowering.add(call, Node("stack", position=positions, parts=(node,)))
    return True


def _reshape(lowering: Builder, call: Call) -> bool:
    if not 2 <= len(call.y) <= 4 or None in call.y:
        return False
    if extents(call.x) == extents(call.y):
        lowering.skip(call)
    else:
        lowering.add(call, Node("reshape", lowering.source(call), extents=extents(call.y)))
    return True


def _permute(lowering: Builder, call: Call) -> bool:
    dims = tuple(call.operation.dims)
    if dims == tuple(range(1, len(dims) + 1)):
        lowering.skip(call)
    elif dims == (2, 1):
        lowering.add(call, Node("transpose", lowering.source(call)))
    else:
        return False
    return True


def _cut(lowering: Builder, call: Call, cut: tuple) -> bool:
    if cut == (_NONE, _NONE, _NONE):
        lowering.skip(call)
    else:
        lowering.add(call, Node("crop", lowering.source(call), cut=cut))
    return True


def _cropping1d(lowering: Builder, call: Call) -> bool:
    return _cut(lowering, call, (tuple(map(int, call.operation.cropping)), _NONE, _NONE))


def _cropping2d(lowering: Builder, call: Call) -> bool:
    rows, columns = (tuple(map(int, sides)) for sides in call.operation.cropping)
    return call.operation.data_format == "channels_last" and _cut(lowering, call, (rows, columns, _NONE))


def _channel_slice(lowering: Builder, call: Call) -> bool:
    layer, channels = call.operation, call.x[-1]
    stop = channels if layer.stop is None else layer.stop
    return _cut(lowering, call, (_NONE, _NONE, (layer.start, channels - stop)))


def _crop_like(lowering: Builder, call: Call) -> bool:
    given, wanted, first = call.x[1:3], call.y[1:3], call.operation.offset
    if None in (*given, *wanted):
        return False
    rows, columns = ((first, size - first - new) for size, new in zip(given, wanted, strict=True))
    return _cut(lowering, call, (rows, columns, _NONE))


def _padded(lowering: Builder, call: Call) -> bool:
    """A layer that appends zeros to a map, as many at each side as its shapes say."""
    before = [0, 0]
    if None in (*call.x[1:3], *call.y[1:3]):
        return False
    totals = [new - size for size, new in zip(call.x[1:3], call.y[1:3], strict=True)]
    if isinstance(call.operation, layers.SamePadding2D):
        before = [total // 2 for total in totals]
    padding = tuple((first, total - first) for first, total in zip(before, totals, strict=True))
    if padding == (_NONE, _NONE):
        lowering.skip(call)
    else:
        lowering.add(call, Node("pad", lowering.source(call), padding=padding))
    return True


def _patch_merging(lowering: Builder, call: Call) -> bool:
    node = Node("patches", lowering.source(call), window=(2, 2), strides=(2, 2), padding=SAME, order="columns")
    lowering.add(call, node)
    return True


def _unfold(lowering: Builder, call: Call) -> bool:
    layer = call.operation
    padding: Any = (
        {"same": SAME, "valid": (_NONE, _NONE)}.get(layer.padding) if isinstance(layer.padding, str) else None
    )
    padding = padding or tuple(tuple(map(int, sides)) for sides in layer.padding)
    node = Node("patches", lowering.source(call), window=tuple(layer.kernel_size), order="channels")
    lowering.add(call, dataclasses.replace(node, strides=(layer.strides,) * 2, padding=padding))
    return True


def _mean(lowering: Builder, call: Call) -> bool:
    if call.operation.data_format != "channels_last" or len(call.inputs) != 1:
        return False
    lowering.add(call, Node("mean", lowering.source(call)))
    return True


# Exactly these classes, as in `lowering`.
TOKEN_LAYERS: dict[type, Callable[[Builder, Call], bool]] = {
    **dict.fromkeys((L.LayerNormalization, layers.LayerNormalization), _norm),
    layers.SelfAttention: _self_attention,
    layers.WindowAttention: _window_attention,
    layers.ClassToken: _class_token,
    **dict.fromkeys((layers.PositionEmbedding, layers.SinusoidEmbedding), _position),
    L.Reshape: _reshape,
    L.Permute: _permute,
    L.Cropping1D: _cropping1d,
    L.Cropping2D: _cropping2d,
    layers.ChannelSlice: _channel_slice,
    layers.CropLike: _crop_like,
    **dict.fromkeys((layers.PadToMultiple, layers.SamePadding2D), _padded),
    layers.PatchMerging: _patch_merging,
    layers.Unfold2D: _unfold,
    L.GlobalAveragePooling1D: _mean,
}
