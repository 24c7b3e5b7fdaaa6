"""Named tensors in a file that C++, Python and nothing else needs to understand.

Little-endian: "KCNTENS1", uint32 count, then for each tensor uint32 length and name; uint32 type (TensorFlow's DataType
number); uint32 rank; int64 dims[rank]; the values in C order. A string value is uint64 length and its bytes.
csrc/bin/saved_model_run.cc reads and writes the same. The file is also run where kerascnn cannot be imported, so it
imports NumPy only.
"""

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

_MAGIC = b"KCNTENS1"
_STRING = 7
_TYPES = {1: "<f4", 2: "<f8", 3: "<i4", 4: "|u1", 9: "<i8", 10: "|b1"}  # DataType -> NumPy


def write_tensors(path: Path | str, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes arrays of numbers, or object arrays of bytes, under their names."""
    numbers = {np.dtype(name): number for number, name in _TYPES.items()}
    parts = [_MAGIC, struct.pack("<I", len(tensors))]
    for name, array in tensors.items():
        key = name.encode()
        number = _STRING if array.dtype == object else numbers[array.dtype]
        parts += [struct.pack("<I", len(key)), key, struct.pack(f"<II{array.ndim}q", number, array.ndim, *array.shape)]
        if number == _STRING:
            for value in array.ravel():
                parts += [struct.pack("<Q", len(value)), value]
        else:
            parts.append(array.tobytes())
    Path(path).write_bytes(b"".join(parts))


def read_tensors(path: Path | str) -> dict[str, np.ndarray]:
    """The inverse of `write_tensors`.

    Raises:
        ValueError: the file is truncated or something else.
    """
    data, at = Path(path).read_bytes(), 0

    def take(count: int) -> bytes:
        nonlocal at
        if count > len(data) - at:
            raise ValueError(f"not a whole tensor file: {path}")
        at += count
        return data[at - count : at]

    if take(len(_MAGIC)) != _MAGIC:
        raise ValueError(f"not a tensor file: {path}")
    tensors = {}
    for _ in range(struct.unpack("<I", take(4))[0]):
        name = take(struct.unpack("<I", take(4))[0]).decode()
        number, rank = struct.unpack("<II", take(8))
        shape = struct.unpack(f"<{rank}q", take(8 * rank))
        count = int(np.prod(shape, dtype=np.int64))
        if number == _STRING:
            array = np.empty(count, object)
            array[:] = [take(struct.unpack("<Q", take(8))[0]) for _ in range(count)]
        else:
            array = np.frombuffer(take(count * np.dtype(_TYPES[number]).itemsize), _TYPES[number])
        tensors[name] = array.reshape(shape)
    return tensors
