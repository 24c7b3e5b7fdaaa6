"""`.safetensors` files: a header and raw arrays, nothing that could be executed.

The format: 8 bytes with the length of the header (little-endian), the header as a JSON object {name: {"dtype", "shape",
"data_offsets": [first, last + 1]}} with an optional "__metadata__", and the arrays, which must fill the rest without
gaps or overlaps.
"""

import math
import mmap
import os

import numpy as np

from kerascnn._errors import InputError
from kerascnn.weights.guard import json_object, one_line, regular_file, shown, sound_name

_TYPES = {  # those that weights have; bfloat16, the upper half of a float32, is no type of NumPy's own
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "u1",
}  # fmt: skip
_BYTES = {kind: np.dtype(own).itemsize for kind, own in _TYPES.items()}  # of one element
_LONGEST_HEADER = 100_000_000  # bytes, as the format's own library has it
_LISTED = 6


def read_safetensors(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads every array of a file.

    Args:
        path: a `.safetensors` file.

    Returns:
        Name -> array; bfloat16 as float32. The arrays may be views of the file, which must stay as it is while they are
        used.

    Raises:
        InputError: no such file, truncated or damaged, or it has arrays of other types (float8, complex).
    """
    path = regular_file(path)
    if not path.name.endswith(".safetensors"):
        raise InputError(f"The name of the file must end in .safetensors. Received: {shown(path)}")
    with one_line(path), open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        header, start = _header(file, size)
        rows = {name: _row(name, entry, size - start) for name, entry in header.items() if name != "__metadata__"}
        _check_types(rows, path)
        _check_places(rows, size - start)
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))[start:]
        return {name: _array(content, *row) for name, row in rows.items()}


def _array(content: memoryview, kind: str, shape: tuple[int, ...], first: int, last: int) -> np.ndarray:
    """A view of the file, where NumPy has the type."""
    array = np.frombuffer(content, _TYPES[kind], math.prod(shape), first).reshape(shape) if last > first else None
    if array is None:
        array = np.zeros(shape, _TYPES[kind])
    if kind == "BF16":
        return (array.astype("<u4") << 16).view("<f4")
    return array != 0 if kind == "BOOL" else array


def _header(file, size: int) -> tuple[dict, int]:
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or not 2 <= length <= min(size - 8, _LONGEST_HEADER):
        raise ValueError("the header does not fit into the file")
    return json_object(file.read(length)), 8 + length


def _row(name: str, entry, room: int) -> tuple[str, tuple[int, ...], int, int]:
    """(type, shape, first byte, last byte + 1)."""
    sound_name(name)
    try:
        kind, shape, (first, last) = entry["dtype"], entry["shape"], entry["data_offsets"]
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"the entry of {name} lacks dtype, shape or data_offsets") from error
    numbers = [*shape, first, last] if isinstance(shape, list) else [None]
    if not isinstance(kind, str) or not all(type(x) is int and 0 <= x < 2**63 for x in numbers) or len(shape) > 32:
        raise ValueError(f"the entry of {name} has another type, shape or place than an array has")
    if not first <= last <= room:
        raise ValueError(f"{name} lies outside of the file")
    if kind in _BYTES and math.prod(shape) * _BYTES[kind] != last - first:
        raise ValueError(f"{name} has another size than its shape says")
    return kind, tuple(shape), first, last


def _check_types(rows, path) -> None:
    other = sorted({row[0] for row in rows.values()} - set(_BYTES))
    if other:
        names = [name for name, row in rows.items() if row[0] in other]
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        kinds = ", ".join("".join(c if c.isprintable() else "?" for c in kind)[:20] for kind in other[:_LISTED])
        raise InputError(
            f"Weights are real numbers, booleans or bfloat16; convert arrays of other types ({kinds}: "
            f"{', '.join(names[:_LISTED])}{more}). Received: {shown(path)}"
        )


def _check_places(rows, room: int) -> None:
    end = 0
    for first, last in sorted((row[2], row[3]) for row in rows.values()):
        if first != end:
            raise ValueError("arrays overlap or leave gaps")
        end = last
    if end != room:
        raise ValueError("the arrays do not fill the file")
