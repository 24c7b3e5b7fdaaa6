"""Weights in several files, and the index that says what is in which: `*.index.json`, and `*.weights.json` of Keras.

An index is {"metadata": {...}, "weight_map": {name: file}}. Those of the hub have names of parameters, and files of
PyTorch or `.safetensors`; those of `model.save_weights(..., max_shard_size=)` have groups such as "/layers/dense/vars",
and one file or several for each.
"""

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np

from kerascnn._errors import InputError
from kerascnn.weights.guard import Unsafe, json_object, one_line, regular_file, shown, sound_name
from kerascnn.weights.hdf5 import Reader, opened
from kerascnn.weights.keras_files import layers
from kerascnn.weights.pth import ENDINGS as TORCH
from kerascnn.weights.pth import read_pth
from kerascnn.weights.safetensors_files import read_safetensors

STATE_ENDINGS, LAYER_ENDINGS = (".index.json",), (".weights.json",)
_LARGEST = 2**26  # bytes of an index
_MOST = 1_000  # files
_READERS: tuple[tuple[tuple[str, ...], Callable], ...] = (((".safetensors",), read_safetensors), (TORCH, read_pth))


def read_shards(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads a state dict in several `.safetensors` or PyTorch files, which lie beside their index.

    Args:
        path: the index, such as `model.safetensors.index.json` or `pytorch_model.bin.index.json`.

    Returns:
        Name -> array.

    Raises:
        InputError: an index or file is missing, damaged or unsafe; the index names files elsewhere; or a parameter is
            not in the file that the index says, or in one that the index does not say.
    """
    path, index = _index(path, STATE_ENDINGS)
    files: dict[str, set[str]] = {}
    with one_line(path):
        for name, file in index.items():
            if not isinstance(file, str):
                raise ValueError("the index has something else than names of files")
            files.setdefault(file, set()).add(name)
        places = {file: _beside(path, file) for file in files}
        reader = next((read for endings, read in _READERS if all(file.endswith(endings) for file in files)), None)
        if reader is None:
            raise Unsafe("files that are neither all .safetensors nor all of PyTorch")
    found: dict[str, np.ndarray] = {}
    for file, names in files.items():
        part = reader(places[file])
        _compare(path, file, names, set(part))
        found |= part
    return found


def read_keras_shards(path: str | os.PathLike) -> dict[str, list[np.ndarray]]:
    """Reads the weights of a Keras model in several files, which lie beside their index.

    Args:
        path: the index, `*.weights.json`.

    Returns:
        Layer name -> its variables, in the layer's own order.

    Raises:
        InputError: as `read_shards`.
    """
    path, index = _index(path, LAYER_ENDINGS)
    groups: dict[str, set[str]] = {}
    with one_line(path):
        for group, files in index.items():
            for file in files if isinstance(files, list) else [files]:
                if not isinstance(file, str):
                    raise ValueError("the index has something else than names of files")
                groups.setdefault(file, set()).add(group)
        if not all(file.endswith(".weights.h5") for file in groups):
            raise Unsafe("files that are not .weights.h5")
        places = {file: regular_file(_beside(path, file)) for file in groups}
    with contextlib.ExitStack() as stack, one_line(path):
        readers = {}
        for file, place in places.items():
            with one_line(place):
                readers[file] = stack.enter_context(opened(place))
                held = set(_groups(readers[file].again(), readers[file].file))
            _compare(path, file, groups[file], held)
        return layers(*readers.values())


def _index(path, endings) -> tuple[Path, Mapping]:
    path = regular_file(path)
    if not path.name.endswith(endings):
        raise InputError(f"The name of the index must end in {' or '.join(endings)}. Received: {shown(path)}")
    with one_line(path):
        if path.stat().st_size > _LARGEST:
            raise Unsafe(f"an index of more than {_LARGEST:,} bytes")
        index = json_object(path.read_bytes()).get("weight_map")
        if not isinstance(index, dict) or not index:
            raise ValueError("the index has no weight_map")
        for name in index:
            sound_name(name)
    return path, index


def _beside(index: Path, file: str) -> Path:
    """A file beside the index; a link may lead to where the index itself is linked to, as in the hub's cache."""
    sound_name(file)
    if file in (".", "..") or any(mark in file for mark in "/\\:"):
        raise Unsafe(f"a name that leads elsewhere: {file[:60]!a}")
    place = index.parent / file
    if place.resolve().parent not in (index.parent.resolve(), index.resolve().parent):
        raise Unsafe(f"a link that leads elsewhere: {file[:60]!a}")
    return place


def _compare(index: Path, file: str, told: set[str], held: set[str]) -> None:
    """What the index says of a file, with what the file holds."""
    for names, what in ((told - held, "is not in"), (held - told, "is unexpected in")):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise InputError(
                f"An index must name what its files hold: {min(names)}{more} {what} {file}. Received: {shown(index)}"
            )


def _groups(reader: Reader, group: h5py.Group, depth: int = 0) -> list[str]:
    """The groups of variables that hold any, as the index names them."""
    reader.enter(group, depth)
    children = reader.children(group)
    own = [group.name] if group.name.endswith("/vars") and len(children) else []
    inner = [child for child in children.values() if isinstance(child, h5py.Group)]
    return own + [name for child in inner for name in _groups(reader, child, depth + 1)]
