"""The arrays of a file under the names of our layers, in the layouts of Keras, whatever library has written them."""

import os
from collections.abc import Mapping

import numpy as np
from absl import logging

from kerascnn._errors import InputError
from kerascnn.weights.files import read
from kerascnn.weights.guard import shown
from kerascnn.weights.keras_names import from_keras, translated
from kerascnn.weights.names import Rules, translate
from kerascnn.weights.tensorflow_names import from_tensorflow
from kerascnn.weights.torch_layout import MODULE_ENTRIES, to_keras

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
        names: library -> rules that translate its names; "keras" is for Keras files, "tensorflow" for checkpoints,
            every other for PyTorch's.
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
    if kind.holds == "variables":
        if "tensorflow" not in names:
            raise InputError(f"No names of TensorFlow's variables are known for {model_name}. Received: {shown(path)}")
        return "tensorflow", from_tensorflow(content, layers, names["tensorflow"])
    if "keras" in names:
        found = from_keras(path, content, layers, names["keras"])
        if found is not None:
            _leave_out(found, path)
            return "keras", found
    return "", content


def _from_torch(path, state, layers, names, model_name) -> tuple[str, dict[str, list[np.ndarray]]]:
    libraries = {library: rules for library, rules in names.items() if library not in ("keras", "tensorflow")}
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
        name = (entry not in MODULE_ENTRIES and translate(rules, key)) or translated(rules, module) or key
        entries = found.setdefault(name, {})
        entries[key if entry in entries else entry] = array
    return found


def _leave_out(found: dict[str, list[np.ndarray]], path) -> None:
    """Drops what the rules leave out, and says so: our networks take preprocessed images and lack such layers."""
    if "" in found:
        values = "; ".join(", ".join(f"{x:.4g}" for x in np.ravel(array)[:_LISTED]) for array in found.pop(""))
        logging.warning("Left out of %s: constants by which that model preprocesses its images (%s).", path, values)
