"""A network whose blocks can be taken out, exchanged and closed to gradients while it runs."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.surgery.graph import Call, walk
from kerascnn.surgery.inline import bare
from kerascnn.surgery.replace import rebuild

L = keras.layers
_BEHIND = (L.BatchNormalization, L.Activation, L.ReLU, L.Dropout, L.SpatialDropout2D)  # what belongs to a convolution


@dataclasses.dataclass(frozen=True)
class Block:
    """What can be taken out."""

    name: str
    opens: bool  # its shortcut changes the map, as at the start of a stage
    variables: tuple[keras.Variable, ...]  # of what is taken out, in their order
    first: keras.Operation  # what a layer that can be taken out begins with; of residual blocks the sum
    last: keras.Operation  # what ends it: the sum
    shortcut: int  # which input of the sum is the shortcut; -1: there is none, and what comes in stands for the layer


class Gate(L.Layer):
    """What a block gives, or what it is given, each with a number on it.

    Args:
        numbers: a variable [blocks, 3]: for each block how much its branch counts forward, and how much of the gradient
            goes through the shortcut and through the branch.
        index: which block.
        adds: whether the branch is added to what comes in, or stands in its place.
    """

    def __init__(self, numbers: keras.Variable, index: int, adds: bool, name: str):
        super().__init__(name=name, autocast=False)
        self._numbers, self._index, self._adds = numbers, index, adds
        self.built = True

    def call(self, shortcut: Any, branch: Any) -> Any:
        forward, back, through = tf.unstack(tf.cast(self._numbers[self._index], branch.dtype))
        shortcut = back * shortcut + (1 - back) * tf.stop_gradient(shortcut)
        branch = through * branch + (1 - through) * tf.stop_gradient(branch)
        return (shortcut if self._adds else (1 - forward) * shortcut) + forward * branch

    def compute_output_spec(self, shortcut: Any, branch: Any) -> keras.KerasTensor:
        return keras.KerasTensor(branch.shape, dtype=branch.dtype)


class Gated:
    """A network, the same weights, with a gate at each block.

    Blocks are residual ones: sums of two values, one of which the other is computed from, or is computed of what the
    other is with fewer weights. In a network that has none, they are its convolutions that keep the map's shape, with
    the batch norm and the activation behind them.

    Args:
        network: without inner models.

    Raises:
        InputError: there are no such blocks.
    """

    def __init__(self, network: keras.Model):
        calls = walk(network).calls
        self.blocks = residual_blocks(calls) or plain_blocks(calls)
        if not self.blocks:
            raise InputError(
                "The network must have residual blocks, or convolutions that keep the shape of a map. "
                f"Received: {network.name}"
            )
        self.residual = self.blocks[0].shortcut >= 0
        count = len(self.blocks)
        self._numbers = keras.Variable(np.ones((count, 3), "float32"), trainable=False, name="gates")
        self.network = rebuild(network, self._changes(), share=True)
        groups = defaultdict(list)
        for number, block in enumerate(self.blocks):
            groups[tuple((x.shape, x.dtype) for x in block.variables)].append(number)
        self.groups = list(groups.values())  # of blocks that can stand for each other

    def _changes(self) -> Callable:
        gates, came = {}, {}
        for number, block in enumerate(self.blocks):
            gate = Gate(self._numbers, number, self.residual, f"gate_{number}")
            if self.residual:
                gates[id(block.last)] = _summing(gate, block.shortcut)
            else:
                gates |= _standing(gate, block, came)
        return lambda operation: gates.get(id(operation))

    def run(self, images: tf.Tensor, numbers: tf.Tensor, order: tf.Tensor) -> tf.Tensor:
        """The outputs; for use in a `tf.function`.

        Args:
            images: float32 [n, height, width, channels].
            numbers: of the gates, float32 [blocks, 3]; see `Gate`.
            order: int32 [blocks]: whose weights each block has; one of its group's.
        """
        values = [(self._numbers, numbers)]
        for group in self.groups:
            places = np.zeros(len(self.blocks), "int32")
            places[group] = range(len(group))
            for slot, variables in enumerate(zip(*(self.blocks[i].variables for i in group), strict=True)):
                stacked = tf.stack([tf.convert_to_tensor(x) for x in variables])
                for number in group:
                    taken = tf.gather(stacked, tf.gather(places, order[number]))
                    values.append((self.blocks[number].variables[slot], taken))
        with keras.StatelessScope(values):
            return tf.cast(self.network(images, training=False), tf.float32)


def residual_blocks(calls: tuple[Call, ...]) -> list[Block]:
    """The sums of a branch and a shortcut, in the order of the graph."""
    before: dict[int, frozenset[int]] = {}  # by the number of a value: all calls that it depends on
    maker = {value.number: place for place, call in enumerate(calls) for value in call.outputs}
    found, counts = [], defaultdict(int)
    for call in calls:
        counts[id(call.operation)] += 1
    for place, call in enumerate(calls):
        sets = [before.get(value.number, frozenset()) for value in call.inputs]
        whole = frozenset().union(*sets) | {place}
        before |= {value.number: whole for value in call.outputs}
        sums = type(bare(call.operation)).__name__ == "Add" and len(call.inputs) == 2
        if not sums or counts[id(call.operation)] > 1 or call.inputs[0].number == call.inputs[1].number:
            continue
        own = [[calls[i] for i in sorted(sets[i_] - sets[1 - i_])] for i_ in (0, 1)]
        weights = [_variables(part) for part in own]
        passed = [maker.get(call.inputs[i].number, -1) in sets[1 - i] | {-1} for i in (0, 1)]
        sizes = [sum(int(np.prod(x.shape)) for x in part) for part in weights]
        if passed[0] == passed[1] and sizes[0] == sizes[1]:
            continue
        shortcut = passed.index(True) if passed[0] != passed[1] else int(sizes[1] < sizes[0])
        branch = weights[1 - shortcut]
        if branch:
            name = call.name.removesuffix("_add")
            found.append(Block(name, not passed[shortcut], branch, call.operation, call.operation, shortcut))
    return found


def plain_blocks(calls: tuple[Call, ...]) -> list[Block]:
    """The convolutions that give maps of the shape that they are given, with what belongs to them."""
    readers, counts = defaultdict(list), defaultdict(int)
    for call in calls:
        counts[id(call.operation)] += 1
        for value in call.inputs:
            readers[value.number].append(call)
    found = []
    for call in calls:
        kernel = getattr(bare(call.operation), "kernel", None)
        if kernel is None or len(kernel.shape) != 4 or call.x != call.y:
            continue
        chain = [call]
        while len(next_ := readers[chain[-1].outputs[0].number]) == 1 and isinstance(bare(next_[0].operation), _BEHIND):
            chain.append(next_[0])
        if all(counts[id(one.operation)] == 1 for one in chain):
            found.append(Block(call.name, False, _variables(chain), call.operation, chain[-1].operation, -1))
    return found


def _variables(calls: list[Call]) -> tuple[keras.Variable, ...]:
    weights = [x for call in calls for x in getattr(call.operation, "weights", ()) if "float" in x.dtype]
    return tuple({id(x): x for x in weights}.values())


def _summing(gate: Gate, shortcut: int) -> Callable:
    return lambda inputs, *_, **__: gate(inputs[shortcut], inputs[1 - shortcut])


def _standing(gate: Gate, block: Block, came: dict[int, Any]) -> dict[int, Callable]:
    """What stands for the first and for the last operation of a layer."""

    def begin(x):
        came[id(block)] = x
        return block.first(x)

    def end(x):
        return gate(came[id(block)], block.last(x))

    if block.first is block.last:
        return {id(block.first): lambda x: gate(x, block.first(x))}
    return {id(block.first): begin, id(block.last): end}
