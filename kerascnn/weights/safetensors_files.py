"""`.safetensors` files: a header and raw arrays, nothing that could be executed.

The format: 8 bytes with the length of the header (little-endian), the header as a JSON object {name: {"dtype", "shape",
"data_offsets": [first, last + 1]}} with an optional "__metadata__", and the arrays, which must fill the rest without
gaps or overlaps.
"""

import json
import math
import os

import numpy as np
from safetensors import safe_open

from kerascnn._errors import InputError
from kerascnn.weights.guard import Unsafe, one_line, regular_file, shown, sound_name

_BYTES = {  # of one element; the types that weights have
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2,
    "U8": 1, "BOOL": 1,
}  # fmt: skip
_LONGEST_HEADER = 100_000_000  # bytes, as the format's own library has it
_LISTED = 6


def read_safetensors(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads every array of a file.

    Args:
        path: a `.safetensors` file.

    Returns:
        Name -> array; bfloat16 as float32.

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
        with safe_open(path, framework="np") as arrays:
            found = {name: arrays.get_tensor(name) for name in rows}
    # bfloat16 is no type of NumPy's own; what TensorFlow registers for it converts to float32.
    return {name: array.astype("float32") if array.dtype == "bfloat16" else array for name, array in found.items()}


def _header(file, size: int) -> tuple[dict, int]:
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or not 2 <= length <= min(size - 8, _LONGEST_HEADER):
        raise ValueError("the header does not fit into the file")
    try:
        header = json.loads(file.read(length).decode("utf-8"), object_pairs_hook=_once)
    except RecursionError as error:
        raise Unsafe("a header that is nested without end") from error
    if not isinstance(header, dict):
        raise ValueError("the header is no object")
    return header, 8 + length


def _once(pairs: list) -> dict:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Unsafe("a name that occurs twice")
    return made


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
