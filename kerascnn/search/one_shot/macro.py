"""A supernet of layers with skips: every layer has all operations, and all chains of the space share their weights.

Pham, Guan, Zoph, Le, Dean: Efficient Neural Architecture Search via Parameter Sharing, 2018, arXiv:1802.03268,
section 2.3.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kerascnn import _check, cells
from kerascnn.cells import Style
from kerascnn.cells.operations import APPLY, Value, batch_norm, conv_bn, convolution, factorized_reduction
from kerascnn.models.deep import DeepModel
from kerascnn.search.one_shot.operation import Build
from kerascnn.search.one_shot.shared import SharedWeights, Visit, Weights
from kerascnn.search.spaces import Chain, Layer

MACRO_SEARCH = dataclasses.replace(cells.ENAS, repeats=1)  # a separable convolution is done once


class MacroSupernet(SharedWeights):
    """All chains of a space, with the same weights where a layer does the same.

    Layer i reads the one before it: ReLU, 1x1, BN, then the operation; to its output the maps of its skips are added,
    and BN. Of the skips, 0 is the stem, and i > 0 the output of layer i, counted from 1: as in the release, and in
    `kerascnn.applications.enas`. After a third and two thirds of the layers all maps that are still read are halved.

    Args:
        space: whose layers choose an "operation" of `kerascnn.cells.OPERATIONS`, or "conv_5x5", and nothing else.
        filters: channels of all layers.
        input_shape: (height, width, channels) of the images.
        classes: number of classes.
        style: conventions of the operations.
        seed: of the first values of the weights.

    Raises:
        InputError: an argument is something else.

    Example:

        import numpy as np
        from kerascnn.search import one_shot, spaces

        space = spaces.enas_macro(6)
        supernet = one_shot.MacroSupernet(space, filters=8, input_shape=(8, 8, 1))
        supernet.activate(space.decode(space.sample(np.random.default_rng(0))))
        supernet(np.ones([4, 8, 8, 1], "float32")).shape  # (4, 10)
    """

    def __init__(
        self,
        space: Chain,
        *,
        filters: int = 36,
        input_shape: tuple[int, int, int] = (32, 32, 3),
        classes: int = 10,
        style: Style = MACRO_SEARCH,
        seed: int = 0,
    ):
        super().__init__(seed, "macro_supernet")
        if not isinstance(space, Chain) or set(space.settings()["fields"]) != {"operation"}:
            raise _check.refuse("space", "a Chain whose layers choose an operation, such as spaces.enas_macro()", space)
        self.operations = tuple(space.settings()["fields"]["operation"])
        for operation in self.operations:
            _check.one_of("an operation", operation, _APPLY)
        self.layer_count, self.style = space.layers, style
        self.filters, self.classes = _check.whole("filters", filters, 2), _check.whole("classes", classes, 1)
        self.image_shape = tuple(_check.whole("each of input_shape", size, 1) for size in input_shape)
        shape = self._add("stem", self._operation("stem", self.image_shape, filters))
        for number in range(1, self.layer_count + 1):
            for operation in self.operations:
                self._add(f"layer{number}_{operation}", self._operation(operation, shape, filters))
            if number > 1:
                self._add(f"layer{number}", self._operation("norm", shape))
            if number in self._ends:
                halve = self._operation("halve", shape, filters)
                for earlier in range(number + 1):
                    shape = self._add(self._halved(number, earlier), halve)
        self._add("head", self._operation("head", shape, self.classes))
        self.built = True

    @property
    def _ends(self) -> tuple[int, ...]:
        return ends(self.layer_count)

    def _halved(self, number: int, earlier: int) -> str:
        return f"reduction{self._ends.index(number) + 1}_layer{earlier}"

    def _build(self, kind: str, filters: int, stride: int) -> Build:
        return lambda value: _PIECES.get(kind, _layer)(value, kind, filters, self.style)

    def _compute(self, images, choice, weights: Weights, visits: list[Visit] | None) -> tf.Tensor:
        _check_layers(choice, self.layer_count, self.operations)

        def at(x, place, kind, filters=self.filters, path=None):
            made = self._operation(kind, x.shape[1:], filters)
            return self._at_place(x, place, made, weights, visits, path=path)

        live = {0: at(images, "stem", "stem")}
        for number, layer in enumerate(choice, 1):
            kind = layer.values["operation"]
            x = at(live[number - 1], f"layer{number}_{kind}", kind, path=f"layer{number}_op")
            if number > 1:
                x = tf.add_n([x, *(live[i] for i in layer.skips)]) if layer.skips else x
                x = at(x, f"layer{number}", "norm", 0)
            live[number] = x
            if number in self._ends:
                read = _read_later(choice, number)
                live = {i: at(live[i], self._halved(number, i), "halve") for i in sorted(read)}
        return at(live[self.layer_count], "head", "head", self.classes)

    def _stand_alone(self, choice) -> keras.Model:
        return macro_network(
            choice, filters=self.filters, input_shape=self.image_shape, classes=self.classes, style=self.style
        )


def macro_network(
    layers: Sequence[Layer],
    *,
    filters: int,
    input_shape: tuple[int, int, int],
    classes: int,
    style: Style = MACRO_SEARCH,
) -> keras.Model:
    """A chain by itself, as `MacroSupernet.cut` gives it with the shared weights.

    Args:
        layers: of the chain.
        filters, input_shape, classes, style: as in `MacroSupernet`.

    Returns:
        A functional model that gives logits, float32 under mixed precision.
    """
    image = keras.Input(tuple(input_shape), name="image")
    live = {0: _stem(Value(image, 0, "stem"), "stem", filters, style)}
    for number, layer in enumerate(layers, 1):
        before = Value(live[number - 1], 0, f"layer{number}_op")
        x = _layer(before, layer.values["operation"], filters, style)
        if number > 1:
            if layer.skips:
                x = keras.layers.Add(name=f"layer{number}_add")([x, *(live[i] for i in layer.skips)])
            x = _norm(Value(x, 0, f"layer{number}"), "norm", 0, style)
        live[number] = x
        if number in ends(len(layers)):
            place = ends(len(layers)).index(number) + 1
            live = {
                i: factorized_reduction(live[i], filters, style, name=f"reduction{place}_layer{i}")
                for i in sorted(_read_later(layers, number))
            }
    return DeepModel(image, _head(Value(live[len(layers)], 0, "head"), "head", classes, style), name="chain")


def ends(layers: int) -> tuple[int, ...]:
    """After which layers, counted from 1, the maps are halved.

    Args:
        layers: of the chain.

    Returns:
        A third and two thirds of them, rounded down; fewer than three layers: none.
    """
    return (layers // 3, 2 * (layers // 3)) if layers >= 3 else ()


def _read_later(layers, number: int) -> set[int]:
    """Which of the maps up to layer `number` are read after it."""
    return {number, *(i for layer in layers[number:] for i in layer.skips if i <= number)}


def _check_layers(layers, count: int, operations) -> None:
    sound = isinstance(layers, Sequence) and len(layers) == count and all(isinstance(x, Layer) for x in layers)
    sound = sound and all(set(layer.skips) <= set(range(number)) for number, layer in enumerate(layers))
    if not sound or any(layer.values.get("operation") not in operations for layer in layers):
        rule = f"{count} layers of {', '.join(operations)}, each with skips to earlier ones"
        raise _check.refuse("choice", rule, layers)


def _layer(value: Value, kind: str, filters: int, style: Style) -> Any:
    """ReLU, 1x1, BN, the operation."""
    name = f"{value.name}_in"
    return _APPLY[kind](Value(conv_bn(value.relu, filters, style, name=name), 0, name), filters, 1, style,
                       name=value.name)  # fmt: skip


def _conv_5x5(value, filters, stride, style, *, name):
    """ReLU, 5x5 convolution, BN."""
    x = convolution(value.relu, filters, (5, 5), (stride, stride), style, name=f"{name}_conv1")
    return batch_norm(x, style, name=f"{name}_bn1")


def _stem(value, kind, filters, style):
    x = convolution(value.x, filters, (3, 3), (1, 1), style, name=f"{value.name}_conv")
    return batch_norm(x, style, name=f"{value.name}_bn")


def _norm(value, kind, filters, style):
    return batch_norm(value.x, style, name=f"{value.name}_bn")


def _halve(value, kind, filters, style):
    return factorized_reduction(value.x, filters, style, name=value.name)


def _head(value, kind, filters, style):
    dtype = keras.config.dtype_policy().variable_dtype
    x = keras.layers.GlobalAveragePooling2D(dtype=dtype, name="head_pool")(value.x)
    return keras.layers.Dense(filters, dtype=dtype, name=value.name)(x)


_PIECES = {"stem": _stem, "norm": _norm, "halve": _halve, "head": _head}
_APPLY = {**APPLY, "conv_5x5": _conv_5x5}
