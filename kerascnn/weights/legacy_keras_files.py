"""The HDF5 form of Keras 1 and 2: attributes list the layers and, for each, its arrays.

The root, or the group `model_weights` of a file with a whole model, has the attribute `layer_names`; the group of each
layer has `weight_names`, the paths of its arrays below it. Long lists are spread over `layer_names0` and so on.
In the group of a model inside a model, all weights that are trained come before all that are not.
"""

import itertools
from collections.abc import Mapping

import h5py
import numpy as np

from kerascnn.weights.guard import Unsafe, sound_name
from kerascnn.weights.hdf5 import Reader

_LAYERS, _WEIGHTS, _MODEL = "layer_names", "weight_names", "model_weights"
_MOST = 100_000  # names in a list


class Listed(dict):
    """Layer name -> arrays in the order in which a file lists its layers; other forms keep no order."""


def legacy_root(reader: Reader) -> h5py.Group | None:
    """The group that lists layers, where a file has this form."""
    inside = reader.children(reader.file).get(_MODEL)
    for group in (reader.file, inside):
        if isinstance(group, h5py.Group) and (_LAYERS in group.attrs or f"{_LAYERS}0" in group.attrs):
            return group
    return None


def legacy_layers(reader: Reader, root: h5py.Group) -> Listed:
    """The arrays of each layer that has some, in the order of the file's lists.

    Args:
        reader: of the open file.
        root: what `legacy_root` found.

    Returns:
        Layer name -> its arrays; layers of a model inside the model stand among them.

    Raises:
        Unsafe: names that occur twice, lead elsewhere or do not print.
        ValueError: lists and groups do not belong together.
    """
    found = Listed()
    for layer in _names(reader, root, _LAYERS):
        group = reader.find(root, layer)
        arrays = {name: reader.array(reader.find(group, name)) for name in _names(reader, group, _WEIGHTS)}
        for name, own in _apart(layer, arrays).items():
            if name in found:
                raise Unsafe(f"two layers of one name: {name}")
            found[name] = own
    return found


def _names(reader: Reader, group: h5py.Group, attribute: str) -> list[str]:
    """A list of names, which may be spread over numbered attributes."""
    if not isinstance(group, h5py.Group):
        raise ValueError("an array where a group must be")
    if attribute in group.attrs:
        names = _read(reader, group, attribute)
    elif f"{attribute}0" in group.attrs:
        numbered = (f"{attribute}{i}" for i in itertools.count())
        parts = itertools.takewhile(lambda part: part in group.attrs, numbered)
        names = [name for part in parts for name in _read(reader, group, part)]
    else:
        raise ValueError(f"a group without {attribute}")
    if len(set(names)) != len(names):
        raise Unsafe(f"{attribute} has a name twice")
    return names


def _read(reader: Reader, group: h5py.Group, attribute: str) -> list[str]:
    header = group.attrs.get_id(attribute)
    if header.shape is None or len(header.shape) != 1:
        raise ValueError(f"{attribute} is no list")
    count = header.shape[0]
    reader.promised += count * header.dtype.itemsize
    if count > _MOST or reader.promised > reader.limit:
        raise Unsafe(f"a list of {count:,} names")
    if not count:  # Keras writes an empty list as numbers
        return []
    if header.dtype.kind not in "SO":
        raise ValueError(f"{attribute} has no text")
    names = [name.decode() if isinstance(name, bytes) else name for name in group.attrs[attribute].tolist()]
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"{attribute} has no text")
    return [sound_name(name) for name in names]


def _apart(layer: str, arrays: Mapping[str, np.ndarray]) -> dict[str, list[np.ndarray]]:
    """The layers of a model inside the model, told by "conv1/kernel:0" and "conv2/kernel:0" in one group."""
    owners = {owner: owner.rpartition("/")[2] for owner, _, _ in map(_split, arrays)}
    entries = [entry for _, _, entry in map(_split, arrays)]
    if len(owners) < 2 or len(set(entries)) == len(entries):
        return {layer: list(arrays.values())} if arrays else {}
    short = len(set(owners.values())) == len(owners)
    found: dict[str, list[np.ndarray]] = {}
    for name, array in arrays.items():
        owner = _split(name)[0]
        found.setdefault((owners[owner] if short else owner) or layer, []).append(array)
    return found


def _split(name: str) -> tuple[str, str, str]:
    return name.rpartition("/")
