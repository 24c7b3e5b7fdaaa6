"""Puts the variables of a file into a model: all of them or none."""

import os
import re
from collections.abc import Mapping

import keras
import numpy as np
from absl import logging

from kerascnn._errors import InputError
from kerascnn.models.auxiliary import AuxiliaryModel
from kerascnn.weights._keras_files import read_keras_file
from kerascnn.weights._names import Rules, translate
from kerascnn.weights._safetensors_files import read_safetensors
from kerascnn.weights._torch_layout import MODULE_ENTRIES, to_keras

_HEAD = "head"  # the classifier is called so in every network
_AUTOMATIC = ("conv2d", "batch_normalization", "dense", "separable_conv2d", "depthwise_conv2d")  # Keras numbers these
_AUXILIARY = "aux"  # layers of auxiliary heads are called aux...
_PROGRESS = "progress"  # of scheduled drop-path: a network has it as an option, and no other library's file does
_DERIVED = ("relative_position_index", "attn_mask")  # of PyTorch's modules, which follow from the size of the windows
_LISTED = 8  # names per list in an error message


def load_weights(model: keras.Model, path: str | os.PathLike, names: Mapping[str, Rules] | None = None) -> None:
    """Reads a file into a model, layer by layer, by name.

    A model with another number of classes keeps its own head; a model without a head, or without the auxiliary heads of
    the file, ignores the file's. Another number
    of input channels adapts the first convolution: its kernel is spread evenly over the channels, so that a grey image
    gives what the same image with repeated channels gave. Another size of the image resizes what belongs to places, by
    the layer's own method `resized(arrays) -> arrays`, as `kerascnn.layers.PositionEmbedding` has one. Everything else
    must fit; a file that does not fit changes nothing.

    Args:
        model: built by a builder of this package.
        path: a `.weights.h5` or `.keras` file of this package or of `keras.applications` (whose biases before a
            batch norm go into its mean); or a `.safetensors` file with
            the state dict of a PyTorch network.
        names: library -> rules that translate its names; "keras" is for Keras files, every other for PyTorch's.

    Raises:
        InputError: the file cannot be read, or layers are missing, unexpected or of another shape; all are listed.
    """
    layers = {layer.name: layer for layer in model.layers}
    found = _read(path, layers, names or {}, model.name)
    wanted = {name: [tuple(v.shape) for v in _variables(layer)] for name, layer in layers.items()}
    wanted = {name: shapes for name, shapes in wanted.items() if shapes}
    if not isinstance(model, AuxiliaryModel):
        found = {name: arrays for name, arrays in found.items() if not name.startswith(_AUXILIARY)}
    for name in _head(found):
        if name not in wanted:
            if _HEAD not in wanted:
                del found[name]
        elif _other_classes(_shapes(found[name]), wanted[name]):
            del found[name], wanted[name]
    if (_PROGRESS in found) != (_PROGRESS in wanted):
        for names_of in (found, wanted):
            names_of.pop(_PROGRESS, None)
    first = _first_convolution(model)
    if first in found and first in wanted:
        found[first] = _adapt(found[first], wanted[first])
    for name in found.keys() & wanted.keys():
        if hasattr(layers[name], "resized") and _shapes(found[name]) != wanted[name]:
            found[name] = layers[name].resized(found[name])

    missing = [name for name in wanted if name not in found]
    unexpected = sorted(name for name in found if name not in wanted)
    misshaped = [
        f"{name} {_text(_shapes(found[name]))} instead of {_text(wanted[name])}"
        for name in wanted
        if name in found and _shapes(found[name]) != wanted[name]
    ]
    if missing or unexpected or misshaped:
        lists = (("missing", missing), ("unexpected", unexpected), ("mis-shaped", misshaped))
        details = "; ".join(f"{title}: {_listed(names)}" for title, names in lists if names)
        raise InputError(f"The weights do not fit {model.name}: {details}. Received: {path}")
    for name in wanted:
        for variable, value in zip(_variables(layers[name]), found[name], strict=True):
            variable.assign(value)


def _head(found) -> list[str]:
    """The classifier and what follows it: `head`, and in some networks `head_bn` and the like."""
    return [name for name in found if name == _HEAD or name.startswith(f"{_HEAD}_")]


def _read(path, layers, names: Mapping[str, Rules], model_name: str) -> dict[str, list[np.ndarray]]:
    """The file's arrays by our layers' names, in the layouts of Keras."""
    if not os.fspath(path).endswith(".safetensors"):
        found = read_keras_file(path)
        if "keras" in names:
            translated = [_parted(_renamed(names["keras"], name), arrays) for name, arrays in _from_zero(found).items()]
            translated = {name: arrays for parts in translated for name, arrays in parts.items()}
            if len(translated.keys() & layers.keys()) > len(found.keys() & layers.keys()):  # else the file is ours
                _leave_out(translated, path)
                _fold_biases(translated, layers)
                return translated
        return found
    state = read_safetensors(path)
    modules = {key.rpartition(".")[0] for key in state}
    rules = _best({library: rules for library, rules in names.items() if library != "keras"}, modules, layers)
    if rules is None:
        raise InputError(f"No names of PyTorch's modules are known for {model_name}. Received: {path}")
    found = {
        name: to_keras(layers[name], entries) if name in layers else list(entries.values())
        for name, entries in _by_layer(state, rules).items()
    }
    _leave_out(found, path)
    return found


def _by_layer(state: Mapping[str, np.ndarray], rules: Rules) -> dict[str, dict[str, np.ndarray]]:
    """The entries of each of our layers, which may come from several modules.

    A rule names a module, or a parameter that has none of its own, such as `cls_token` or `encoder.pos_embedding`.
    """
    found: dict[str, dict[str, np.ndarray]] = {}
    for key, array in state.items():
        module, _, entry = key.rpartition(".")
        if entry in _DERIVED:
            continue
        name = (entry not in MODULE_ENTRIES and translate(rules, key)) or _renamed(rules, module) or key
        entries = found.setdefault(name, {})
        entries[key if entry in entries else entry] = array
    return found


def _from_zero(found: dict[str, list[np.ndarray]]) -> dict[str, list[np.ndarray]]:
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


def _parted(name: str, arrays: list[np.ndarray]) -> dict[str, list[np.ndarray]]:
    """Layers and their arrays; "a+b" stands for two layers of one array each, as a separable convolution is here."""
    parts = name.split("+")
    if len(parts) != len(arrays):  # one layer, or a file that does not fit
        return {name: arrays}
    return {part: [array] for part, array in zip(parts, arrays, strict=True)}


def _fold_biases(found: dict[str, list[np.ndarray]], layers) -> None:
    """A convolution's bias that the layer here does not have goes into the mean of the batch norm after it."""
    for name in [name for name, arrays in found.items() if len(arrays) == 2 and name in layers]:
        norm = name.replace("conv", "bn")
        if norm == name or len(layers[name].weights) != 1 or len(found.get(norm, ())) != 4:
            continue
        bias = found[name].pop()
        gamma, beta, mean, variance = found[norm]
        found[norm] = [gamma, beta, mean - bias, variance]


def _best(names: Mapping[str, Rules], modules, layers) -> Rules | None:
    """The rules of the library under whose names the most modules find a layer."""
    return max(names.values(), key=lambda rules: sum(translate(rules, m) in layers for m in modules), default=None)


def _renamed(rules: Rules, name: str) -> str:
    """The name here; where no rule matches the other library's own, so that the error lists it as unexpected."""
    ours = translate(rules, name)
    return name if ours is None else ours


def _leave_out(found: dict[str, list[np.ndarray]], path) -> None:
    """Drops what the rules leave out, and says so: our networks take preprocessed images and lack such layers."""
    if "" in found:
        values = "; ".join(", ".join(f"{x:.4g}" for x in np.ravel(array)[:_LISTED]) for array in found.pop(""))
        logging.warning("Left out of %s: constants by which that model preprocesses its images (%s).", path, values)


def _variables(layer: keras.layers.Layer) -> list:
    """The layer's own variables in the order of the file: trainable ones, then statistics; no random state."""
    return layer.weights


def _shapes(arrays) -> list[tuple[int, ...]]:
    return [tuple(array.shape) for array in arrays]


def _text(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join("x".join(map(str, shape)) or "scalar" for shape in shapes)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _other_classes(found: list[tuple[int, ...]], wanted: list[tuple[int, ...]]) -> bool:
    """The two differ in the number of classes alone, the last axis of every variable of a head.

    A kernel from scores to scores, as in fixed up-sampling, has it twice.
    """
    return (
        found != wanted
        and len(found) == len(wanted)
        and all(
            ours[:-1] == theirs[:-1]
            or (ours[:-2] == theirs[:-2] and ours[-2:] == 2 * ours[-1:] and theirs[-2:] == 2 * theirs[-1:])
            for ours, theirs in zip(wanted, found, strict=True)
        )
        and len({shape[-1] for shape in found}) == 1
    )


def _first_convolution(model: keras.Model) -> str | None:
    kernels = (layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    return next(kernels, None)


def _adapt(arrays: list[np.ndarray], wanted: list[tuple[int, ...]]) -> list[np.ndarray]:
    """Spreads a kernel [kh, kw, c, filters] over another number of channels, if that is all that differs."""
    kernel, shape = arrays[0], wanted[0]
    fits = kernel.ndim == len(shape) == 4 and kernel.shape[:2] == shape[:2] and kernel.shape[3] == shape[3]
    if not fits or kernel.shape[2] == shape[2]:
        return arrays
    mean = kernel.mean(axis=2, keepdims=True, dtype="float64") * (kernel.shape[2] / shape[2])
    return [np.repeat(mean, shape[2], axis=2).astype(kernel.dtype), *arrays[1:]]
