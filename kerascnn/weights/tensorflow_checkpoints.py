"""Checkpoints of TensorFlow 1, in which the original releases of many networks come: read without TensorFlow.

Those since 2017 are `model.ckpt.index`, a table of what there is, and `model.ckpt.data-00000-of-00001` and so on, the
arrays; those before are one file, `model.ckpt`, a table with the arrays in it.
"""

import math
import mmap
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from absl import logging

from kerascnn.weights.guard import Unsafe, as_path, one_line, regular_file, sound_name
from kerascnn.weights.tables import MAGIC, entries, fields, signed

ENDING = ".index"
_TYPES = {1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 5: "<i2", 6: "i1", 9: "<i8", 14: "<u2", 19: "<f2"}  # of DataType
_TEXT, _BFLOAT16 = 7, 14
_AVERAGE = "/ExponentialMovingAverage"
# What optimizers and the training loop keep beside the weights.
_STATE = re.compile(
    r".*/(RMSProp|Momentum|Adam|Adagrad|Adadelta|Ftrl)(_\d+)?|(.*/)?(global_step|beta\d_power|save_counter)(/.*)?|_.*"
)
_SHARDS = 1_000
_PACKED = {5: "<f4", 6: "<f8"}  # fields of a tensor with its numbers, in the older form


def is_checkpoint(path: str | os.PathLike) -> bool:
    """Whether a path is a checkpoint: `model.ckpt.index`, `model.ckpt` beside it, or one file of the older form."""
    path = as_path(path)
    try:
        if path.name.endswith(ENDING) or Path(f"{path}{ENDING}").is_file():
            return True
        if not path.is_file():
            return False
        with open(path, "rb") as file:
            file.seek(-min(8, os.fstat(file.fileno()).st_size), os.SEEK_END)
            return file.read() == MAGIC
    except (OSError, ValueError):
        return False


def read_checkpoint(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads the weights in a checkpoint. Of those that have a moving average the average is taken, which the log says.

    Args:
        path: `model.ckpt.index` or `model.ckpt`.

    Returns:
        Name of the variable -> array, a view of the file; bfloat16 as float32. What optimizers keep, counters and texts
        are left out.

    Raises:
        InputError: no such files, truncated or damaged; or arrays that lie outside of them, overlap, have other types.
    """
    path = as_path(path)
    index = path if path.name.endswith(ENDING) else Path(f"{path}{ENDING}")
    if not index.is_file() and path != index:
        path = regular_file(path)
        with one_line(path):
            found = _older(_mapped(path))
            return {_without_average(name): found[name]() for name in _weights(found, path)}
    index = regular_file(index)
    with one_line(index):
        rows, shards = _rows(_mapped(index))
        prefix = str(index).removesuffix(ENDING)
        files = [regular_file(f"{prefix}.data-{i:05d}-of-{shards:05d}") for i in range(shards)]
    with one_line(index):
        contents = [_mapped(file) for file in files]
        _check_places(rows, contents)
        return {_without_average(name): _array(rows[name], contents) for name in _weights(rows, path)}


def _weights(names: Mapping, path) -> list[str]:
    """The names of the weights; of averages that stand for them, the log tells."""
    averages = {name.removesuffix(_AVERAGE) for name in names if name.endswith(_AVERAGE)}
    kept = [name for name in names if not _STATE.fullmatch(name.removesuffix(_AVERAGE)) and name not in averages]
    if averages:
        logging.warning("Of %s the moving averages of %d weights are taken.", path, len(averages))
    return kept


def _without_average(name: str) -> str:
    """The name of the weight that an array is of."""
    return name.removesuffix(_AVERAGE)


def _mapped(path: Path) -> memoryview:
    with open(path, "rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


Row = tuple[int, tuple[int, ...], int, int, int]  # type, shape, number of the file, first byte, bytes


def _rows(content: memoryview) -> tuple[dict[str, Row], int]:
    rows, shards = {}, None
    for key, value in entries(content):
        if key == b"":
            header = {number: part for number, part in fields(value)}
            shards = header.get(1, 0)
            if header.get(2, 0):
                raise ValueError("numbers of another byte order")
            if not isinstance(shards, int) or not 1 <= shards <= _SHARDS:
                raise Unsafe("a checkpoint in an unlikely number of files")
            continue
        name = sound_name(key.decode())
        entry = {number: part for number, part in fields(value)}
        if 7 in entry:
            raise Unsafe(f"a variable in slices: {name[:60]}")
        kind = entry.get(1, 0)
        if kind == _TEXT:
            continue
        if kind not in _TYPES:
            raise Unsafe(f"an array of another type: {name[:60]}")
        shape = _shape(entry.get(2, memoryview(b"")))
        numbers = [entry.get(field, 0) for field in (3, 4, 5)]
        if not all(isinstance(number, int) for number in numbers):
            raise ValueError("an entry of another form")
        if math.prod(shape) * np.dtype(_TYPES[kind]).itemsize != numbers[2]:
            raise ValueError(f"{name[:60]} has another size than its shape says")
        rows[name] = (kind, shape, *numbers)
    if shards is None:
        raise ValueError("no header")
    return rows, shards


def _shape(message) -> tuple[int, ...]:
    sizes = []
    for number, part in fields(message):
        if number == 2:
            sizes.append(signed(dict(fields(part)).get(1, 0)))
    if len(sizes) > 32 or any(not 0 <= size < 2**48 for size in sizes):
        raise ValueError("a shape that no array has")
    return tuple(sizes)


def _check_places(rows: Mapping[str, Row], contents: list[memoryview]) -> None:
    ends = [0] * len(contents)
    for _, _, shard, first, size in sorted(rows.values(), key=lambda row: row[2:]):
        if shard >= len(contents) or first + size > len(contents[shard]):
            raise ValueError("an array lies outside of its file")
        if first < ends[shard]:
            raise ValueError("arrays overlap")
        ends[shard] = first + size


def _array(row: Row, contents: list[memoryview]) -> np.ndarray:
    kind, shape, shard, first, _ = row
    count = math.prod(shape)
    array = np.frombuffer(contents[shard], _TYPES[kind], count, first) if count else np.zeros(0, _TYPES[kind])
    if kind == _BFLOAT16:
        array = (array.astype("<u4") << 16).view("<f4")
    return array.reshape(shape)


def _older(content: memoryview) -> dict[str, Callable[[], np.ndarray]]:
    """Name -> what reads the array, in a file of the older form, whose arrays are lists in messages."""
    shapes: dict[str, tuple[int, ...]] = {}
    found: dict[str, Callable[[], np.ndarray]] = {}
    for key, value in entries(content):
        saved = dict(fields(value))
        if key == b"":
            for number, tensor in fields(saved.get(1, memoryview(b""))):
                if number == 1:
                    row = dict(fields(tensor))
                    shapes[sound_name(bytes(row[1]).decode())] = _shape(row.get(2, memoryview(b"")))
            continue
        slice_ = dict(fields(saved[2]))
        name = bytes(slice_[1]).decode()
        packed = [(number, part) for number, part in fields(slice_[3]) if number in _PACKED]
        if name not in shapes or name in found:
            raise ValueError("an array that is not listed, or in slices")
        if len(packed) != 1 or not isinstance(packed[0][1], memoryview):
            if _STATE.fullmatch(name):
                continue
            raise Unsafe(f"an array of another type: {name[:60]}")
        kind, numbers = _PACKED[packed[0][0]], packed[0][1]
        if len(numbers) != math.prod(shapes[name]) * np.dtype(kind).itemsize:
            raise ValueError(f"{name[:60]} has another size than its shape says")
        found[name] = lambda kind=kind, numbers=numbers, shape=shapes[name]: (
            np.frombuffer(numbers, kind).reshape(shape) if len(numbers) else np.zeros(shape, kind)
        )
    if not shapes:
        raise ValueError("no header")
    return found
