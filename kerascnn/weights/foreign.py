"""The arrays of a file under the names of our layers, in the layouts of Keras, whatever library has written them."""

import os
import re
from collections.abc import Mapping

import numpy as np
from absl import logging

from kerascnn._errors import InputError
from kerascnn.weights.files import read
from kerascnn.weights.guard import shown
from kerascnn.weights.names import Rules, translate
from kerascnn.weights.torch_layout import MODULE_ENTRIES, to_keras

_AUTOMATIC = ("conv2d", "batch_normalization", "dense", "separable_conv2d", "depthwise_conv2d")  # Keras numbers these
_DERIVED = ("relative_position_index", "attn_mask")  # of PyTorch's modules, which follow from the size of the windows
# What training code puts before the names of a network's modules: wrappers, and the files that hold several things.
_WRAPPERS = frozenset(
    "_orig_mod backbone base_model encoder model model_state model_state_dict module net network state_dict".split()
)
_LISTED = 8  # numbers that are shown


def read_layers(
    path: str | os.PathLike, layers: Mapping, names: Mapping[str, Rules], model_name: str
) -> tuple[str, dict[str, list[np.ndarray]]]:
    """Reads a file for a model.

    Args:
        path: the file, of any format of `kerascnn.weights.files`.
        layers: the model's layers by name.
        names: library -> rules that translate its names; "keras" is for Keras files, every other for PyTorch's.
        model_name: for messages.

    Returns:
        The library whose names the file has, "" for this package; and our layer names -> arrays, what no rule knows
        under its own name.

    Raises:
        InputError: the file cannot be read, or no names of PyTorch's modules are known for the model.
    """
    kind, content = read(path)
    if kind.holds == "state":
        return _from_torch(path, content, layers, names, model_name)
    if "keras" in names:
        translated = [_parted(_renamed(names["keras"], name), arrays) for name, arrays in _from_zero(content).items()]
        translated = {name: arrays for parts in translated for name, arrays in parts.items()}
        if len(translated.keys() & layers.keys()) > len(content.keys() & layers.keys()):  # else the file is ours
            _leave_out(translated, path)
            _fold_biases(translated, layers)
            return "keras", translated
    return "", content


def _from_torch(path, state, layers, names, model_name) -> tuple[str, dict[str, list[np.ndarray]]]:
    libraries = {library: rules for library, rules in names.items() if library != "keras"}
    if not libraries:
        raise InputError(f"No names of PyTorch's modules are known for {model_name}. Received: {shown(path)}")
    # The most modules that find a layer, with the shortest prefix.
    prefix, library = max(
        ((prefix, library) for prefix in _prefixes(state) for library in libraries),
        key=lambda choice: _found(_modules(state, choice[0]), libraries[choice[1]], layers),
    )
    rules = libraries[library]
    if prefix and _found(_modules(state, prefix), rules, layers):
        state = _unwrapped(state, prefix, path)
    found = {
        name: to_keras(layers[name], entries) if name in layers else list(entries.values())
        for name, entries in _by_layer(state, rules).items()
    }
    _leave_out(found, path)
    return library, found


def _prefixes(state) -> list[str]:
    """Chains of wrappers before names, shortest first: "", "module.", "state_dict.module."."""
    found = {""}
    for key in state:
        prefix = ""
        for part in key.split(".")[:-1]:
            if part not in _WRAPPERS:
                break
            prefix += f"{part}."
            found.add(prefix)
    return sorted(found, key=len)


def _modules(state, prefix: str) -> set[str]:
    return {key.removeprefix(prefix).rpartition(".")[0] for key in state if key.startswith(prefix)}


def _found(modules, rules: Rules, layers) -> int:
    return sum(translate(rules, module) in layers for module in modules)


def _unwrapped(state, prefix: str, path) -> dict[str, np.ndarray]:
    """The entries without a prefix; those that never had it keep their names."""
    inside = {key.removeprefix(prefix): array for key, array in state.items() if key.startswith(prefix)}
    outside = {key: array for key, array in state.items() if not key.startswith(prefix)}
    twice = sorted(inside.keys() & outside.keys())
    if twice:
        raise InputError(
            f"A parameter may be in a file once, with the prefix {prefix!r} or without. "
            f"Received: {twice[0]} in {shown(path)}"
        )
    logging.warning("Names in %s: %d of %d begin with %r, which is left out.", path, len(inside), len(state), prefix)
    return inside | outside


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


def _renamed(rules: Rules, name: str) -> str:
    """The name here; where no rule matches the other library's own, so that the error lists it as unexpected."""
    ours = translate(rules, name)
    return name if ours is None else ours


def _leave_out(found: dict[str, list[np.ndarray]], path) -> None:
    """Drops what the rules leave out, and says so: our networks take preprocessed images and lack such layers."""
    if "" in found:
        values = "; ".join(", ".join(f"{x:.4g}" for x in np.ravel(array)[:_LISTED]) for array in found.pop(""))
        logging.warning("Left out of %s: constants by which that model preprocesses its images (%s).", path, values)
