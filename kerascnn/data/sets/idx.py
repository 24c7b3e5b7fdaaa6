"""IDX files, the format of MNIST and Fashion-MNIST (Y. LeCun, C. Cortes, C. Burges, "The MNIST database", 1998).

Big-endian: two zero bytes, one byte for the type (8: uint8), one for the rank, then each dimension as a 32-bit
integer, then the values; often compressed with gzip.
"""

import gzip
import math
import os
import re
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from kerascnn._errors import InputError
from kerascnn.data.sets.kind import Kind
from kerascnn.data.source import Source
from kerascnn.data.splits import Arrays, check_labels

UNMIRRORED = ("mnist", "emnist", "kmnist")  # sets of characters, which mean something else when mirrored
_TYPE_UINT8 = 8
LARGEST = 2**31  # bytes of one file, unpacked; ten times the largest published set in this format
# "train" and "t10k" (the ten thousand of MNIST's test set) with the old and new separator, perhaps after a set's name.
_NAME = re.compile(r"(?P<set>.*?)(?P<split>train|t10k|test)-(?P<part>images|labels)[-.]idx\d-ubyte(\.gz)?")


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """Reads one IDX file of unsigned bytes, gzipped (".gz") or not.

    Args:
        path: the file.

    Returns:
        uint8 array of the shape that the file states.

    Raises:
        InputError: it cannot be read, is not an IDX file of bytes, or is shorter or longer than it says.
    """
    path = Path(path)
    if path.exists() and not path.is_file():  # opening a named pipe would wait for ever
        raise InputError(f"An IDX file must be a regular file. Received: {path}")
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            return _read(file, path)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"The gzip file is damaged or cut short ({error}). Received: {path}") from error
    except OSError as error:
        raise InputError(f"The IDX file cannot be read ({error.strerror}). Received: {path}") from error


def _read(file: BinaryIO, path: Path) -> np.ndarray:
    """Never more than the header says and than `LARGEST`: a small gzip file can hold gigabytes."""
    header = file.read(4)
    if len(header) < 4 or header[:3] != bytes([0, 0, _TYPE_UINT8]) or header[3] == 0:
        rule = "An IDX file of bytes must begin with 00 00 08 and its rank"
        raise InputError(f"{rule}. Received: {header.hex(' ')} in {path}")
    rank = header[3]
    start = 4 + 4 * rank
    sizes = file.read(4 * rank)
    if len(sizes) < 4 * rank:
        rule = f"The IDX file ends inside its header of {start} bytes"
        raise InputError(f"{rule}. Received: {4 + len(sizes)} bytes in {path}")
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    expected, stated = math.prod(shape), "x".join(str(size) for size in shape)
    if expected > LARGEST:
        rule = f"An IDX file must hold at most {LARGEST:,} bytes, since it is read into memory"
        raise InputError(f"{rule}. Received: {stated} values in {path}")
    contents = file.read(expected)
    more = len(file.read(1)) if len(contents) == expected else 0
    if len(contents) < expected or more:
        there = f"more than {start + expected}" if more else str(start + len(contents))
        rule = f"IDX values {stated} need a file of {start + expected} bytes"
        raise InputError(f"{rule}. Received: {there} bytes in {path}")
    return np.frombuffer(contents, np.uint8).reshape(shape)


def write_idx(path: str | os.PathLike, values: np.ndarray) -> None:
    """Writes unsigned bytes as an IDX file, gzipped if the name ends in ".gz".

    Args:
        path: the file.
        values: uint8 array of rank 1 to 255.

    Raises:
        InputError: another type or rank.
    """
    if values.dtype != np.uint8 or not 1 <= values.ndim <= 255:
        raise InputError(f"An IDX file holds uint8 of rank 1 or more. Received: {values.dtype}, shape {values.shape}")
    header = bytes([0, 0, _TYPE_UINT8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    contents = header + values.tobytes()
    if str(path).endswith(".gz"):
        contents = gzip.compress(contents, mtime=0)
    Path(path).write_bytes(contents)


def find_idx(folder: Path) -> dict[tuple[str, str], Path]:
    """The IDX files of a folder by (split, part): ("train" | "test", "images" | "labels"); empty if it has none.

    Raises:
        InputError: some of the four are there but not all, or there are several sets.
    """
    found = {}
    sets = set()
    for path in sorted(folder.iterdir()):
        match = _NAME.fullmatch(path.name)
        if match:
            sets.add(match["set"])
            split = "train" if match["split"] == "train" else "test"
            found.setdefault((split, match["part"]), path)  # of a.gz and a the uncompressed one, which sorts first
    if len(sets) > 1:
        raise InputError(f"A folder must hold the IDX files of one data set only. Received: {sorted(sets)} in {folder}")
    wanted = [(split, part) for split in ("train", "test") for part in ("images", "labels")]
    missing = [f"{'t10k' if split == 'test' else split}-{part}" for split, part in wanted if (split, part) not in found]
    if found and missing:
        raise InputError(f"IDX files of {', '.join(missing)} (-idx?-ubyte or .gz) are missing. Received: {folder}")
    return found


def load_idx(folder: Path, name: str, class_names: tuple[str, ...] | None = None) -> Source:
    """A set in four IDX files: images [n, height, width] or [n, height, width, channels] and labels [n], twice.

    Args:
        folder: where the files are.
        name: what to call the set.
        class_names: names of the classes; None: "0", "1", ... up to the largest training label.

    Returns:
        The source.

    Raises:
        InputError: a file is missing or damaged, shapes do not go together, or a label is out of range.
    """
    files = find_idx(folder)
    arrays = {key: read_idx(path) for key, path in files.items()}
    for split in ("train", "test"):
        images, labels, path = arrays[split, "images"], arrays[split, "labels"], files[split, "images"]
        if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3)):
            rule = "IDX images must be [n, height, width] or [n, height, width, 1 or 3]"
            raise InputError(f"{rule}. Received: {list(images.shape)} in {path}")
        if labels.ndim != 1:
            raise InputError(f"IDX labels must be [n]. Received: {list(labels.shape)} in {files[split, 'labels']}")
        if len(images) != len(labels):
            rule = "There must be as many labels as images"
            raise InputError(f"{rule}. Received: {len(images)} images in {path} and {len(labels)} labels")
        if images.size == 0:
            raise InputError(f"A data set must not be empty. Received: {list(images.shape)} in {path}")
        arrays[split, "images"] = images if images.ndim == 4 else images[..., None]
    shapes = {arrays[split, "images"].shape[1:] for split in ("train", "test")}
    if len(shapes) > 1:
        raise InputError(f"Training and test images must have one shape. Received: {sorted(shapes)} in {folder}")
    if class_names is None:
        class_names = tuple(str(number) for number in range(int(arrays["train", "labels"].max()) + 1))
    splits = {}
    for split in ("train", "test"):
        labels = check_labels(arrays[split, "labels"], len(class_names), str(files[split, "labels"]))
        splits[split] = Arrays(arrays[split, "images"], labels)
    return Source(name, class_names, shapes.pop(), splits, mirrored=name not in UNMIRRORED)


KIND = Kind(
    lambda wanted: load_idx(wanted.path, os.path.basename(os.path.abspath(wanted.path))),
    reads=lambda folder, task: bool(find_idx(folder)),
)
