"""A network stage by stage: what is computed at each resolution, and what share of the costs it has."""

import collections
import dataclasses
import re
from collections.abc import Sequence

import keras

from kerascnn.analysis.cost import count
from kerascnn.analysis.formulas import FREE
from kerascnn.surgery.graph import walk
from kerascnn.surgery.replace import check

# "stage2_block3_conv1" is in block "stage2_block3"; names of networks that call their blocks otherwise fit too.
_BLOCK = re.compile(r"^(?:.*_)?(?:block|unit|cell|module|fire|inception|mixed)_?\d*[a-z]?\d*(?=_|$)")


@dataclasses.dataclass(frozen=True)
class Stage:
    """Everything between two stage outputs, or after the last."""

    name: str  # stage1, stage2, ..., head
    output_shape: tuple[int, ...]  # of one example
    blocks: int  # repeated units, as far as the layers' names tell; else 0
    layers: int  # convolutions and dense layers
    windows: tuple[tuple[str, int], ...]  # what these are and how many, most frequent first: ("3x3", 6), ("dense", 1)
    params: int  # trainable
    macs: int  # for one example
    activations: int  # likewise


def stages(model: keras.Model, backbone: keras.Model, input_shape: Sequence[int] | None = None) -> list[Stage]:
    """Splits a network at its stage outputs.

    Args:
        model: the whole network.
        backbone: the same network up to its last stage, with the stage outputs as outputs and layers of the same names;
            `kerascnn.create_model(name, features_only=True)`.
        input_shape: `(height, width, channels)`, where `model` leaves a size open.

    Returns:
        The stages in order; the head last, where `model` has one.

    Raises:
        InputError: as `count`.
    """
    check(model)
    check(backbone)
    if input_shape is None and len(model.inputs) == 1 and None not in model.inputs[0].shape[1:]:
        input_shape = tuple(model.inputs[0].shape[1:])  # a network without its head usually takes any size
    graph = walk(backbone, input_shape)
    place = {}  # name of a layer -> number of its stage: the first that needs it
    for number, output in enumerate(graph.outputs):
        needed = {output.number}
        for call in reversed(graph.calls):
            if any(value.number in needed for value in call.outputs):
                needed.update(value.number for value in call.inputs)
                place.setdefault(call.name, number)
    cost = count(model, input_shape)
    kinds = {call.name: call.operation for call in walk(model, input_shape).calls}
    rows = collections.defaultdict(list)
    for row in cost.layers:
        rows[place.get(row.name, len(graph.outputs))].append(row)
    shapes = [value.shape[1:] for value in graph.outputs] + [model.output_shape[1:]]
    names = [f"stage{number + 1}" for number in range(len(graph.outputs))] + ["head"]
    found = []
    for number in sorted(rows):
        windows = collections.Counter()
        for row in rows[number]:
            windows.update(_window(kinds.get(row.name)))
        found.append(
            Stage(
                name=names[number],
                output_shape=tuple(shapes[number]),
                blocks=len({match[0] for row in rows[number] if (match := _BLOCK.match(row.name))}),
                layers=sum(windows.values()),
                windows=tuple(windows.most_common()),
                params=sum(row.params_trainable for row in rows[number]),
                macs=sum(row.macs or 0 for row in rows[number]),
                activations=sum(row.activations for row in rows[number]),
            )
        )
    return found


def _window(layer) -> list[str]:
    """What kind of convolution or dense layer this is; nothing for other layers."""
    if not getattr(layer, "weights", None) or not FREE.isdisjoint(type(layer).__mro__):
        return []
    size = getattr(layer, "kernel_size", None)
    if size is None:
        return ["dense" if isinstance(layer, keras.layers.Dense) else type(layer).__name__]
    sides = size if isinstance(size, list | tuple) else (size, size)
    depthwise = isinstance(layer, keras.layers.DepthwiseConv1D | keras.layers.DepthwiseConv2D)
    kind = "depthwise " if depthwise else "grouped " if getattr(layer, "groups", 1) > 1 else ""
    return [kind + "x".join(map(str, sides))]
