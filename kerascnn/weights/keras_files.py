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


def layers(reader: Reader) -> dict[str, list[np.ndarray]]:
    """The variables of each layer in an open file."""
    root = reader.children(reader.file).get("layers")
    if not isinstance(root, h5py.Group):
        raise ValueError("no group 'layers' and no list layer_names")
    found: dict[str, list[np.ndarray]] = {}
    for group in reader.children(root).values():
        children = reader.children(group)
        own = children.get("vars")
        name = None if not isinstance(own, h5py.Group) else own.attrs.get("name")
        if not isinstance(name, str):
            raise ValueError("layer names are missing: written by a Keras older than 3.7")
        sound_name(name)
        variables = reader.children(own)
        arrays = [reader.array(variables[key]) for key in sorted(variables, key=int)]
        if name in found and arrays:
            raise Unsafe(f"two layers of one name: {name}")
        if arrays:
            found[name] = arrays
        for key, child in children.items():
            if key not in ("vars", "seed_generator"):  # the state of a random layer is not a weight
                inside = _inside(reader, child, 0)
                if inside:
                    found[f"{name}/{sound_name(key)}"] = inside
    return found


def _inside(reader: Reader, item, depth: int) -> list[np.ndarray]:
    """Variables of layers inside a layer; no network here has them, so they end up among the unexpected."""
    if isinstance(item, h5py.Dataset):
        return [reader.array(item)]
    reader.enter(item, depth)
    return [array for child in reader.children(item).values() for array in _inside(reader, child, depth + 1)]
