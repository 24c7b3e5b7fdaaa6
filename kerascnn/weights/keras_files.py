"""The two file formats of Keras 3 that hold weights: `.weights.h5`, and the archive `.keras`."""

import io
import math
import os
import zipfile
from pathlib import Path

import h5py
import numpy as np

from kerascnn._errors import InputError
from kerascnn.weights.guard import Unsafe, as_path, budget, one_line, regular_file, shown, sound_name

_WEIGHTS = "model.weights.h5"  # in the archive
_DEPTH = 32  # groups inside groups


def read_keras_file(path: str | os.PathLike) -> dict[str, list[np.ndarray]]:
    """Reads the variables of each layer. Nothing in the file is executed, its model is not built, no other file read.

    Args:
        path: a `.weights.h5` or `.keras` file written by Keras 3.

    Returns:
        Layer name -> its variables, in the layer's own order; layers without variables are left out.

    Raises:
        InputError: no such file, another format, truncated or damaged; or it has links, data in other files, virtual
            data, or promises far more than it holds.
    """
    path = as_path(path)
    if not path.name.endswith((".weights.h5", ".keras")):
        raise InputError(f"Keras' weights are read from .weights.h5 and .keras files. Received: {shown(path)}")
    path = regular_file(path)
    with one_line(path):
        limit = budget(path)
        source = io.BytesIO(_member(path, limit)) if path.suffix == ".keras" else path
        with h5py.File(source, "r") as file:
            return _Reader(limit).layers(file)


def check_keras_file(path: str | os.PathLike) -> None:
    """Refuses a file that is not safe to hand to `keras.models.load_model`, which reads all of it and follows links.

    Args:
        path: a `.weights.h5` or `.keras` file written by Keras 3.

    Raises:
        InputError: as `read_keras_file`.
    """
    path = regular_file(path)
    with one_line(path):
        limit = budget(path)
        source = io.BytesIO(_member(path, limit)) if path.suffix == ".keras" else path
        with h5py.File(source, "r") as file:
            _Reader(limit).check(file)


def _member(path: Path, limit: int) -> bytes:
    """The weights in an archive; all members together may not unpack to more than the limit."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if sum(member.filename == _WEIGHTS for member in members) > 1:
            raise Unsafe(f"the archive has {_WEIGHTS} twice")
        if sum(member.file_size for member in members) > limit:
            raise Unsafe(f"the archive promises {sum(member.file_size for member in members):,} bytes")
        with archive.open(_WEIGHTS) as file:
            content = file.read(limit + 1)  # whatever its header says
    if len(content) > limit:
        raise Unsafe(f"{_WEIGHTS} unpacks to more than {limit:,} bytes")
    return content


class _Reader:
    """Reads groups and arrays without following anything, and counts what it reads."""

    def __init__(self, limit: int):
        self.limit, self.promised = limit, 0
        self._entered: set[int] = set()  # addresses of groups, which hard links may put into themselves

    def layers(self, file: h5py.File) -> dict[str, list[np.ndarray]]:
        root = self._children(file).get("layers")
        if not isinstance(root, h5py.Group):
            raise ValueError("no group 'layers'")
        layers: dict[str, list[np.ndarray]] = {}
        for group in self._children(root).values():
            children = self._children(group)
            own = children.get("vars")
            name = None if not isinstance(own, h5py.Group) else own.attrs.get("name")
            if not isinstance(name, str):
                raise ValueError("layer names are missing: written by a Keras older than 3.7")
            sound_name(name)
            variables = self._children(own)
            arrays = [self._array(variables[key]) for key in sorted(variables, key=int)]
            if name in layers and arrays:
                raise Unsafe(f"two layers of one name: {name}")
            if arrays:
                layers[name] = arrays
            for key, child in children.items():
                if key not in ("vars", "seed_generator"):  # the state of a random layer is not a weight
                    inside = self._inside(child, 0)
                    if inside:
                        layers[f"{name}/{sound_name(key)}"] = inside
        return layers

    def check(self, group: h5py.Group, depth: int = 0) -> None:
        """Looks at every object; reads none."""
        self._enter(group, depth)
        for item in self._children(group).values():
            if isinstance(item, h5py.Group):
                self.check(item, depth + 1)
            elif isinstance(item, h5py.Dataset):
                self._checked(item, numbers=False)

    def _inside(self, item, depth: int) -> list[np.ndarray]:
        """Variables of layers inside a layer; no network here has them, so they end up among the unexpected."""
        if isinstance(item, h5py.Dataset):
            return [self._array(item)]
        self._enter(item, depth)
        return [array for child in self._children(item).values() for array in self._inside(child, depth + 1)]

    def _enter(self, group, depth: int) -> None:
        address = h5py.h5o.get_info(group.id).addr
        if depth > _DEPTH or address in self._entered:
            raise Unsafe(f"a group inside itself, or groups more than {_DEPTH} deep")
        self._entered.add(address)

    def _children(self, group) -> dict[str, h5py.Group | h5py.Dataset]:
        if not isinstance(group, h5py.Group):
            raise ValueError("an array where a group must be")
        found = {}
        for key in group:
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise Unsafe(f"a soft or external link: {key[:40]!a}")
            found[key] = group[key]
        return found

    def _array(self, item) -> np.ndarray:
        if not isinstance(item, h5py.Dataset):
            raise ValueError("a group where an array must be")
        self._checked(item, numbers=True)
        array = np.asarray(item[()])
        if _is_bfloat16(item):
            return (array.view("u2").astype("u4") << 16).view("f4").reshape(item.shape)
        return array

    def _checked(self, item: h5py.Dataset, numbers: bool) -> None:
        if item.external:
            raise Unsafe("its data lie in another file")
        if item.is_virtual:
            raise Unsafe("its data are a view of other files")
        if item.shape is None:
            raise ValueError("an array without a shape")
        if numbers and item.dtype.kind not in "fiub" and not _is_bfloat16(item):
            raise Unsafe(f"an array of {item.dtype}, which weights are not")
        self.promised += math.prod(item.shape) * item.dtype.itemsize
        if self.promised > self.limit:
            raise Unsafe(f"arrays of {self.promised:,} bytes and more")


def _is_bfloat16(item: h5py.Dataset) -> bool:
    """NumPy has no such type: Keras writes two opaque bytes, the upper half of a float32, and says what they are."""
    return item.dtype.str == "|V2" and item.attrs.get("dtype") == "bfloat16"
