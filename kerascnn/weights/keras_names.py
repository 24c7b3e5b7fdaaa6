"""Layers of a file of `keras.applications` under our names: by their names, or by their order in the file."""

import re
from collections.abc import Iterable, Mapping

import numpy as np
from absl import logging

from kerascnn.weights.legacy_keras_files import Listed
from kerascnn.weights.names import Ordered, Rules, translate

# Keras numbers these, in a process's order; the last two are what Keras 1 called the first two.
_AUTOMATIC = ("conv2d", "batch_normalization", "dense", "separable_conv2d", "depthwise_conv2d", "convolution2d",
              "batchnormalization")  # fmt: skip
_NUMBERED = re.compile(rf"({'|'.join(_AUTOMATIC)})(_\d+)?")
_AUXILIARY = "aux"  # layers of auxiliary heads are called aux..., and no other library's file has them

Arrays = dict[str, list[np.ndarray]]


def from_keras(path, content: Mapping[str, list[np.ndarray]], layers: Mapping, rules: Rules) -> Arrays | None:
    """The layers of a file under our names, those that no rule knows under their own.

    Args:
        path: for the log.
        content: the file's layer names -> arrays.
        layers: the model's layers by name.
        rules: that translate Keras' names.

    Returns:
        Our layer names -> arrays, "" for what the rules leave out; None where the file has our own names.
    """
    named: Arrays = {}
    for name, arrays in _from_zero(content).items():
        named.update(_parted(translated(rules, name), arrays))
    if len(named.keys() & layers.keys()) <= len(content.keys() & layers.keys()):
        ordered = _by_order(path, content, layers, rules) if not content.keys() & layers.keys() else None
        return ordered and _fold_biases(ordered, layers)
    return _fold_biases(_by_order(path, content, layers, rules) or named, layers)


def translated(rules: Rules, name: str) -> str:
    """The name here; where no rule matches the other library's own, so that an error lists it as unexpected."""
    ours = translate(rules, name)
    return name if ours is None else ours


def _by_order(path, content, layers, rules) -> Arrays | None:
    """The layers in the file's order, where it keeps one and its names do not tell enough."""
    if not isinstance(content, Listed) or not isinstance(rules, Ordered):
        return None
    certain = {name: ours for name in content if not _NUMBERED.fullmatch(name) for ours in [translate(rules, name)]}
    strange = [name for name, ours in certain.items() if ours is None]
    if len(certain) == len(content) and not strange:
        return None
    body = rules.order(
        [name for name, layer in layers.items()
         if layer.weights and name not in rules.head and not name.startswith(_AUXILIARY)]
    )  # fmt: skip
    listed = [(name, arrays) for name, arrays in content.items() if certain.get(name) != ""]
    for wanted in ([*body, *rules.head], body):
        found = _in_turn(listed, wanted)
        # What is known by name must lie where the order puts it.
        if found and all((certain.get(name) or ours) == ours for (name, _), ours in zip(listed, found, strict=True)):
            say = logging.warning if strange else logging.info
            say("%s is read by the order of its layers, as Keras reads it: %s.", path, _reason(strange))
            left_out = [arrays for name, arrays in content.items() if certain.get(name) == ""]
            parted = {} if not left_out else {"": left_out[0]}
            for ours, arrays in found.items():
                parted.update(_parted(ours, arrays))
            return parted
    return None


def _in_turn(listed: list[tuple[str, list[np.ndarray]]], wanted: Iterable[str]) -> Arrays | None:
    """Each of the file's layers with the next of ours, or the next two; None where the numbers of layers differ."""
    rest, found = list(wanted)[::-1], {}
    for _, arrays in listed:
        parts = 2 if len(arrays) == 2 and arrays[1].ndim == 4 else 1  # separable convolutions are two layers here
        if len(rest) < parts:
            return None
        found["+".join(rest.pop() for _ in range(parts))] = arrays
    return None if rest else found


def _reason(strange: list[str]) -> str:
    if not strange:
        return "some of their names are numbers"
    return f"{len(strange)} of their names are of another version, {strange[0]} first"


def _from_zero(found: Mapping[str, list[np.ndarray]]) -> Arrays:
    """Automatic names as in a fresh process: where others were given before, dense_7, dense_8 become dense, dense_1.

    Only where every name of a kind has a number; Keras gives the first one none.
    """
    kinds: dict[str, list[int]] = {}
    for name in found:
        kind, number = re.fullmatch(r"(.+?)(?:_(\d+))?", name).groups()
        kinds.setdefault(kind, []).append(int(number or 0))
    offsets = {kind: min(numbers) for kind, numbers in kinds.items() if kind in _AUTOMATIC}
    renamed = {}
    for name, arrays in found.items():
        kind, number = re.fullmatch(r"(.+?)(?:_(\d+))?", name).groups()
        if offsets.get(kind):
            number = int(number) - offsets[kind]
            name = f"{kind}_{number}" if number else kind
        renamed[name] = arrays
    return renamed


def _parted(name: str, arrays: list[np.ndarray]) -> Arrays:
    """Layers and their arrays; "a+b" stands for two layers of one array each, as a separable convolution is here."""
    parts = name.split("+")
    if len(parts) != len(arrays):  # one layer, or a file that does not fit
        return {name: arrays}
    return {part: [array] for part, array in zip(parts, arrays, strict=True)}


def _fold_biases(found: Arrays, layers) -> Arrays:
    """A convolution's bias that the layer here does not have goes into the mean of the batch norm after it."""
    for name in [name for name, arrays in found.items() if len(arrays) == 2 and name in layers]:
        norm = name.replace("conv", "bn")
        if norm == name or len(layers[name].weights) != 1 or len(found.get(norm, ())) != 4:
            continue
        bias = found[name].pop()
        gamma, beta, mean, variance = found[norm]
        found[norm] = [gamma, beta, mean - bias, variance]
    return found
