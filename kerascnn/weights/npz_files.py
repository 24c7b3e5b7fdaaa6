"""`.npz` files of NumPy, in which the authors have published Big Transfer: an archive with an array a member."""

import math
import os
import zipfile

import numpy as np

from kerascnn.weights.guard import Unsafe, budget, one_line, regular_file, sound_name

ENDING = ".npz"
_LONGEST_HEADER = 10_000  # characters
_MOST = 100_000  # arrays


def read_npz(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads every array of a file; none is unpickled.

    Args:
        path: an `.npz` file.

    Returns:
        Name -> array; names may have slashes, which lead nowhere.

    Raises:
        InputError: no such file, truncated or damaged; arrays of other things than numbers; or an archive that unpacks
            to far more than it holds.
    """
    path = regular_file(path)
    found: dict[str, np.ndarray] = {}
    with one_line(path), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) > _MOST or sum(member.file_size for member in members) > budget(path):
            raise Unsafe("an archive that promises far more than it holds")
        for member in members:
            name = sound_name(member.filename.removesuffix(".npy"))
            if name in found:
                raise Unsafe("a name that occurs twice")
            with archive.open(member) as file:
                found[name] = _array(file, member.file_size)
    return found


def _array(file, size: int) -> np.ndarray:
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError("an array of another version")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_columns, dtype = read(file, max_header_size=_LONGEST_HEADER)
    if dtype.hasobject or dtype.kind not in "fiub":
        raise Unsafe(f"an array of {str(dtype)[:40]}, which weights are not")
    count = math.prod(shape)
    if any(side < 0 for side in shape) or count * dtype.itemsize != size - file.tell():
        raise ValueError("an array has another size than its shape says")
    content = file.read(size)
    array = np.frombuffer(content, dtype, count) if count else np.zeros(0, dtype)
    return array.reshape(shape, order="F" if by_columns else "C")
