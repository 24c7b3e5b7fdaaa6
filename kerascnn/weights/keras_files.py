"""Keras' files that hold weights: `.weights.h5`, the archive `.keras`, and `.h5` of Keras 1 and 2.

What is in an HDF5 file tells its form, not its name: Keras 2 wrote its own form under `.weights.h5` as well.
"""

import os

import h5py
import numpy as np

from kerascnn._errors import InputError
from kerascnn.weights.guard import Unsafe, as_path, one_line, regular_file, shown, sound_name
from kerascnn.weights.hdf5 import Reader, opened
from kerascnn.weights.legacy_keras_files import legacy_layers, legacy_root

ENDINGS = (".weights.h5", ".keras", ".h5", ".hdf5")


def read_keras_file(path: str | os.PathLike) -> dict[str, list[np.ndarray]]:
    """Reads the variables of each layer. Nothing in the file is executed, its model is not built, no other file read.

    Args:
        path: a `.weights.h5` or `.keras` file of Keras 3, or an `.h5` or `.hdf5` file of Keras 1 or 2, of weights or
            of a whole model.

    Returns:
        Layer name -> its variables, in the layer's own order; layers without variables are left out. Of a file of
        Keras 1 or 2, the layers are in the file's order. The arrays may be views of the file, which must stay as it is
        while they are used.

    Raises:
        InputError: no such file, another format, truncated or damaged; or it has links, data in other files, virtual
            data, or promises far more than it holds.
    """
    path = as_path(path)
    if not path.name.endswith(ENDINGS):
        raise InputError(f"Keras' weights are read from .keras, .h5 and .hdf5 files. Received: {shown(path)}")
    path = regular_file(path)
    with one_line(path), opened(path) as reader:
        root = legacy_root(reader)
        return layers(reader) if root is None else legacy_layers(reader, root)


def check_keras_file(path: str | os.PathLike) -> None:
    """Refuses a file that is not safe to hand to `keras.models.load_model`, which reads all of it and follows links.

    Args:
        path: a `.weights.h5` or `.keras` file written by Keras 3.

    Raises:
        InputError: as `read_keras_file`.
    """
    path = regular_file(path)
    with one_line(path), opened(path) as reader:
        reader.check(reader.file)


def layers(*readers: Reader) -> dict[str, list[np.ndarray]]:
    """The variables of each layer in an open file, or in several that hold parts of one."""
    names: dict[str, str] = {}  # group of a layer -> its name
    own: dict[str, dict[int, np.ndarray]] = {}  # group -> place -> variable
    inside: dict[str, list[np.ndarray]] = {}
    for reader in readers:
        root = reader.children(reader.file).get("layers")
        if not isinstance(root, h5py.Group):
            raise ValueError("no group 'layers' and no list layer_names")
        for key, group in reader.children(root).items():
            children = reader.children(group)
            variables = children.get("vars")
            if not isinstance(variables, h5py.Group):
                raise ValueError(f"a layer without variables: {key[:40]!a}")
            if "name" in variables.attrs:  # of several files, the first alone tells the name
                name = _name(variables.attrs["name"])
                if names.setdefault(key, name) != name:
                    raise Unsafe(f"a layer of two names: {name}")
            for place, item in reader.children(variables).items():
                if int(place) in own.setdefault(key, {}):
                    raise Unsafe(f"a variable that is there twice: {key[:40]!a} {place[:9]!a}")
                own[key][int(place)] = reader.array(item)
            for inner, child in children.items():
                if inner not in ("vars", "seed_generator"):  # the state of a random layer is not a weight
                    inside.setdefault(f"{key}/{sound_name(inner)}", []).extend(_inside(reader, child, 0))
    if own.keys() - names.keys():
        raise ValueError("layer names are missing: written by a Keras older than 3.7")
    found = {
        f"{names[key.partition('/')[0]]}/{key.partition('/')[2]}": arrays for key, arrays in inside.items() if arrays
    }
    for key, arrays in own.items():
        if names[key] in found:
            raise Unsafe(f"two layers of one name: {names[key]}")
        found[names[key]] = [arrays[place] for place in sorted(arrays)]
    return found


def _name(attribute) -> str:
    if not isinstance(attribute, str):
        raise ValueError("layer names are missing: written by a Keras older than 3.7")
    return sound_name(attribute)


def _inside(reader: Reader, item, depth: int) -> list[np.ndarray]:
    """Variables of layers inside a layer; no network here has them, so they end up among the unexpected."""
    if isinstance(item, h5py.Dataset):
        return [reader.array(item)]
    reader.enter(item, depth)
    return [array for child in reader.children(item).values() for array in _inside(reader, child, depth + 1)]
