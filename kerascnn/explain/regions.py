"""What a network says of copies of one image that differ in a window: only what the window changes is computed anew."""

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerascnn.explain import locality
from kerascnn.explain.absorbing import Absorbing
from kerascnn.surgery.graph import Call, Graph

_MOST = 0.7  # of a map: where more than that is changed, all of it is computed
_EAGER = 2  # batches before the passes are traced, which takes the time of several


@dataclasses.dataclass(frozen=True)
class Boxes:
    """For each window, the box of a map outside of which it changes nothing."""

    tops: np.ndarray  # [windows]
    lefts: np.ndarray
    height: int  # of every box
    width: int


@dataclasses.dataclass(frozen=True)
class Base:
    """What all covered copies of an image have in common."""

    maps: list[tf.Tensor]  # that boxes are completed from
    weights: list[tuple[tf.Tensor, tf.Tensor]]  # of the layers that absorb batch norms, at this moment


@dataclasses.dataclass(frozen=True)
class _Gather:
    """Pixels of a map on other boxes than its own, from its own and, around them, from the image without windows."""

    value: int  # number of the map
    rows: np.ndarray  # [windows, height]: which rows; outside of the map there is padding
    columns: np.ndarray  # [windows, width]
    padding: float


@dataclasses.dataclass(frozen=True)
class _Step:
    """A call that is made on boxes alone; `gathers` are its inputs, None: as they are."""

    call: Call
    gathers: tuple[_Gather | None, ...]


class Regions:
    """A network's passes over one image's covered copies.

    A map's box is what the window can change of it: it grows by each kernel and shrinks by each stride. Convolutions,
    pools and what acts on pixels one by one are computed on boxes, with what is around them taken from one pass over
    the image as it is. From the first layer on that mixes all pixels, or where a box is most of its map, maps are
    computed whole.

    Args:
        graph: of a network with one input and one output, for images of a known size.
        tops: first rows of the windows, [windows].
        lefts: first columns.
        window: side of a window, which may reach beyond the image.
    """

    def __init__(self, graph: Graph, tops: np.ndarray, lefts: np.ndarray, window: int):
        self._input, self._output = graph.inputs[0].number, graph.outputs[0].number
        _, height, width, _ = graph.inputs[0].shape
        box = min(window, height), min(window, width)
        start = Boxes(np.minimum(tops, height - box[0]), np.minimum(lefts, width - box[1]), *box)
        self.boxes, self._shapes = {self._input: start}, {self._input: graph.inputs[0].shape}
        self._steps: list[_Step] = []
        self._whole: list[Call] = []
        for call in graph.calls:
            self._shapes.update((value.number, value.shape) for value in call.outputs)
            step = self._step(call)
            if step is None:
                self._whole.append(call)
            else:
                self._steps.append(step)
        used = {value.number for call in self._whole for value in call.inputs} | {self._output}
        self._completed = [self._all_of(number) for number in self.boxes if number in used]
        self._gathers = [gather for step in self._steps for gather in step.gathers if gather] + self._completed
        operations = {id(call.operation): call.operation for call in graph.calls}
        self._absorbing = [one for one in operations.values() if type(one) is Absorbing]
        self._compiled = tf.function(self._pass, autograph=False, reduce_retracing=True)
        self._calls = 0

    @property
    def saves(self) -> bool:
        """Whether there is a kernel that is spared most of its map."""
        return any(locality.window(step.call.operation, step.call.x) is not None for step in self._steps)

    def base(self, image: np.ndarray) -> Base:
        """What is computed once for an image [height, width, channels]."""
        values: dict[int, Any] = {self._input: tf.constant(image[None])}
        weights = [operation.weights_now() for operation in self._absorbing]
        for step in self._steps:
            run(step.call, values, self._named(weights))
        return Base([values[gather.value][0] for gather in self._gathers], weights)

    def _named(self, weights: Sequence[tuple[Any, Any]]) -> dict[int, tuple[Any, Any]]:
        return {id(operation): pair for operation, pair in zip(self._absorbing, weights, strict=True)}

    def outputs(self, base: Base, covered: np.ndarray, which: np.ndarray) -> tf.Tensor:
        """What the network gives.

        Args:
            base: of the image.
            covered: [n, height, width, channels]: copies of the image, each with its window covered.
            which: [n]: number of each one's window.

        Returns:
            [n, ...].
        """
        box = self.boxes[self._input]
        cut = [
            image[top : top + box.height, left : left + box.width]
            for image, top, left in zip(covered, box.tops[which], box.lefts[which], strict=True)
        ]
        indices = [tf.constant(self._index(gather, which)) for gather in self._gathers]
        self._calls += 1
        run_all = self._compiled if self._calls > _EAGER else self._pass
        return run_all(tf.constant(np.stack(cut)), base.maps, indices, base.weights)

    def _step(self, call: Call) -> _Step | None:
        """How a call is made on boxes; None: it is not."""
        known = [self.boxes.get(value.number) for value in call.inputs]
        if not known or None in known or len(call.outputs) != 1 or len(call.y) != 4 or not call.arguments:
            return None
        first, gathers = known[0], (None,) * len(known)
        window, padding = locality.window(call.operation, call.x), locality.zeros(call.operation)
        if window is not None:
            found, gather = _through(window, first, call)
            gathers = (gather,)
        elif padding is not None:
            found = dataclasses.replace(first, tops=first.tops + padding[0], lefts=first.lefts + padding[1])
        elif locality.by_pixel(call.operation) and len(known) == 1:
            found = first
        elif locality.merges(call.operation) and len({value.shape[1:3] for value in call.inputs}) == 1:
            found = _union(known, call.x)
            gathers = tuple(
                _Gather(value.number, _run(found.tops, found.height), _run(found.lefts, found.width), 0.0)
                for value in call.inputs
            )
        else:
            return None
        if found.height * found.width > _MOST * call.y[1] * call.y[2]:
            return None
        gathers = tuple(None if gather and self._is_whole_box(gather) else gather for gather in gathers)
        self.boxes[call.outputs[0].number] = found
        return _Step(call, gathers)

    def _is_whole_box(self, gather: _Gather) -> bool:
        """Whether nothing has to be moved, as before a kernel of one pixel."""
        box = self.boxes[gather.value]
        rows, columns = _run(box.tops, box.height), _run(box.lefts, box.width)
        return np.array_equal(gather.rows, rows) and np.array_equal(gather.columns, columns)

    def _all_of(self, number: int) -> _Gather:
        windows, (_, height, width, _) = len(self.boxes[number].tops), self._shapes[number]
        return _Gather(number, *(np.tile(np.arange(size), (windows, 1)) for size in (height, width)), 0.0)

    def _index(self, gather: _Gather, which: np.ndarray) -> np.ndarray:
        """Rows of the table of `_gathered`: int32 [n, height, width]."""
        box, (_, height, width, _) = self.boxes[gather.value], self._shapes[gather.value]
        rows, columns = gather.rows[which][:, :, None], gather.columns[which][:, None, :]
        down, right = rows - box.tops[which][:, None, None], columns - box.lefts[which][:, None, None]
        own = (down >= 0) & (down < box.height) & (right >= 0) & (right < box.width)
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        one = np.arange(len(which))[:, None, None]
        patch = 1 + height * width + (one * box.height + down) * box.width + right
        return np.where(own, patch, np.where(inside, 1 + rows * width + columns, 0)).astype("int32")

    def _pass(self, patch: tf.Tensor, maps: list[tf.Tensor], indices: list[tf.Tensor], weights: list) -> tf.Tensor:
        values, places = {self._input: patch}, iter(zip(self._gathers, maps, indices, strict=True))
        named = self._named(weights)

        def gathered():
            gather, whole, index = next(places)
            return _gathered(values[gather.value], whole, index, gather.padding)

        for step in self._steps:
            inputs = [
                values[value.number] if gather is None else gathered()
                for value, gather in zip(step.call.inputs, step.gathers, strict=True)
            ]
            operation, (output,) = step.call.operation, step.call.outputs
            if locality.window(operation, step.call.x) is not None:
                values[output.number] = locality.without_padding(operation, inputs[0], named.get(id(operation)))
            elif locality.zeros(operation) is not None:
                values[output.number] = inputs[0]
            else:
                given = dict(zip((value.number for value in step.call.inputs), inputs, strict=True))
                run(step.call, given, named)
                values[output.number] = given[output.number]
        values = {gather.value: gathered() for gather in self._completed}
        for call in self._whole:
            run(call, values, named)
        return values[self._output]


def run(call: Call, values: dict[int, Any], weights: Mapping[int, tuple[Any, Any]]) -> None:
    """Makes a call as at inference, and adds what it gives.

    Args:
        call: of a graph.
        values: tensors by their numbers.
        weights: of layers that absorb batch norms, by their ids.
    """
    if id(call.operation) in weights:
        (given,), (output,) = call.inputs, call.outputs
        values[output.number] = call.operation.apply(values[given.number], *weights[id(call.operation)])
        return
    bound = keras.tree.map_structure(lambda x: values[x.number] if hasattr(x, "number") else x, call.arguments)
    parameters = inspect.signature(call.operation.call).parameters
    args: list[Any] = []
    options: dict[str, Any] = {"training": False} if "training" in parameters else {}
    for name, value in bound.items():
        if parameters[name].kind is inspect.Parameter.VAR_POSITIONAL:  # of layers that stand for others
            args += value
        elif parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
            options |= value
        elif not args:
            args.append(value)
        elif name != "training":
            options[name] = value
    outputs = keras.tree.flatten(call.operation(*args, **options))
    values.update(zip((value.number for value in call.outputs), outputs, strict=True))


def _through(window: locality.Window, box: Boxes, call: Call) -> tuple[Boxes, _Gather]:
    """The box behind a kernel, and what the kernel sees of the map before it."""
    sides = []
    for axis, (starts, size) in enumerate(((box.tops, box.height), (box.lefts, box.width))):
        taps, stride, before = window.taps[axis], window.strides[axis], window.before[axis]
        length = min(call.y[1 + axis], (size + taps - 2) // stride + 1)
        first = np.clip(-((taps - 1 - before - starts) // stride), 0, call.y[1 + axis] - length)
        sides.append((first, length, first * stride - before, (length - 1) * stride + taps))
    (top, height, above, rows), (left, width, beside, columns) = sides
    gather = _Gather(call.inputs[0].number, _run(above, rows), _run(beside, columns), window.padding)
    return Boxes(top, left, height, width), gather


def _union(boxes: Sequence[Boxes], shape: tuple[int, ...]) -> Boxes:
    """The smallest boxes of one size that hold all."""
    tops, lefts = (np.min([getattr(box, side) for box in boxes], axis=0) for side in ("tops", "lefts"))
    height = int((np.max([box.tops + box.height for box in boxes], axis=0) - tops).max())
    width = int((np.max([box.lefts + box.width for box in boxes], axis=0) - lefts).max())
    return Boxes(np.minimum(tops, shape[1] - height), np.minimum(lefts, shape[2] - width), height, width)


def _run(starts: np.ndarray, length: int) -> np.ndarray:
    return starts[:, None] + np.arange(length)


def _gathered(patch: tf.Tensor, base: tf.Tensor, index: tf.Tensor, padding: float) -> tf.Tensor:
    """[n, h, w, c] boxes, [height, width, c] of the image as it is, int32 [n, h', w'] -> [n, h', w', c]."""
    channels = base.shape[-1]
    parts = (tf.fill([1, channels], tf.constant(padding, base.dtype)), base, patch)
    return tf.gather(tf.concat([tf.reshape(part, [-1, channels]) for part in parts], 0), index)
