"""Folders of TFRecords that `kerascnn data pack` wrote."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kerascnn import _records
from kerascnn._errors import InputError
from kerascnn.data import records
from kerascnn.data.decoding.decode import decode_window
from kerascnn.data.parts import PARTS
from kerascnn.data.preprocessing import decode_contents, decode_image
from kerascnn.data.sets._files import shown
from kerascnn.data.sets.kind import Kind
from kerascnn.data.source import Source
from kerascnn.data.splits import Stream, check_labels

_KEYS = {
    "version": int,
    "name": str,
    "class_names": list,
    "image_shape": list,
    "mirrored": bool,
    "splits": dict,
}


def load_packed(folder: Path) -> Source:
    """A set as `kerascnn.data.pack` wrote it: its parts, names and classes are those of the set that was packed.

    Args:
        folder: with kerascnn.json.

    Returns:
        The source. Small sets are kept in memory and shuffled completely; larger ones are read file after file, the
        files in another order each epoch, and shuffled through a buffer.

    Raises:
        InputError: the index is damaged or of a later version, or a file is missing or has another length.
    """
    where = f"{records.INDEX} of {shown(folder)}"
    index = _records.read(folder / records.INDEX, where)
    if index.get("format") != records.FORMAT or index.get("version") != records.VERSION:
        rule = f"{where} must be of the format {records.FORMAT!r}, version {records.VERSION}"
        raise InputError(f"{rule}. Received: {index.get('format')!r}, version {index.get('version')!r}")
    for key, kind in _KEYS.items():
        if not isinstance(index.get(key), kind):
            raise InputError(f"{where} must have {key}, a {kind.__name__}. Received: {index.get(key)!r:.80}")
    names, shape = index["class_names"], index["image_shape"]
    if not names or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise InputError(f"{where} must have class_names, different texts. Received: {names!r:.80}")
    sizes = [size is None or (isinstance(size, int) and size > 0) for size in shape[:2]]
    if len(shape) != 3 or not all(sizes) or shape[2] not in (1, 3):
        raise InputError(f"{where} must have image_shape, height, width and 1 or 3 channels. Received: {shape!r:.80}")
    if set(index["splits"]) != set(PARTS):
        raise InputError(f"{where} must have the parts {', '.join(PARTS)}. Received: {', '.join(index['splits'])}")
    splits = {part: _split(folder, where, part, index["splits"][part], tuple(shape), len(names)) for part in PARTS}
    return Source(index["name"], tuple(names), tuple(shape), splits, mirrored=index["mirrored"])


def _split(folder, where, part, shards, shape, classes) -> "Shards":
    files, size = [], 0
    for shard in shards if isinstance(shards, list) else [None]:
        name, examples, length = (_entry(where, shard, key, kind) for key, kind in _SHARD.items())
        if os.path.basename(name) != name or examples < 1:
            raise InputError(f"{where} must name files beside it, of 1 example or more. Received: {shard!r:.120}")
        path = folder / name
        found = path.stat().st_size if path.is_file() else None
        if found != length:
            received = "no such file" if found is None else f"{found:,} bytes"
            raise InputError(f"{shown(path)} must have {length:,} bytes, as {where} says. Received: {received}")
        files.append(os.fspath(path))
        size += examples
    try:
        ids = (folder / records.names_file(part)).read_bytes().split(b"\0")
    except OSError as error:
        rule = f"The names of the examples cannot be read ({error.strerror})"
        raise InputError(f"{rule}. Received: {shown(folder / records.names_file(part))}") from error
    if len(ids) != size or not files:
        rule = f"There must be as many names of the part {part} as {where} says, {size}"
        raise InputError(f"{rule}. Received: {len(ids)} in {records.names_file(part)}")

    labels = _labels(folder / records.labels_file(part), size, classes)

    def decode(contents):
        return tf.ensure_shape(decode_image(contents, shape[2]), shape)

    names = [os.fsdecode(name) for name in ids]
    window = decode_window if shape[2] == 3 else None
    return Shards(lambda: records.read(files), decode, size, names, window, files, labels)


def _labels(path, size, classes) -> np.ndarray:
    try:
        labels = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"The labels of the examples cannot be read ({reason}). Received: {shown(path)}") from error
    if not isinstance(labels, np.ndarray) or labels.dtype != np.int64 or labels.shape != (size,):
        found = f"{labels.dtype} {labels.shape}" if isinstance(labels, np.ndarray) else type(labels).__name__
        raise InputError(f"{shown(path)} must hold {size} labels, int64. Received: {found}")
    return check_labels(labels, classes, shown(path))


_SHARD = {"file": str, "examples": int, "bytes": int}


def _entry(where, shard, key, kind) -> Any:
    value = shard.get(key) if isinstance(shard, dict) else None
    if not isinstance(value, kind):
        raise InputError(f"{where} must tell {', '.join(_SHARD)} of each file. Received: {shard!r:.120}")
    return value


@dataclasses.dataclass(frozen=True, eq=False)
class Shards(Stream):
    """Examples in a few files, which can be read in any order of the files."""

    files: Sequence[str] = ()
    numbers: np.ndarray | None = None  # int64 [n], the class of each

    def epochs(self) -> Callable[[tf.Tensor], tf.data.Dataset]:
        """The files come in an order that follows from the two integers."""
        return lambda seed: records.read(tf.random.experimental.stateless_shuffle(tf.constant(self.files), seed))

    def check(self):
        """Reads and decodes everything.

        Raises:
            InputError: a file or an image is damaged; names it.
        """
        examples = zip(self.names, self.numbers, strict=True)
        for file in self.files:
            name = None
            try:
                for contents, label in records.read([file]):
                    name, number = next(examples, (None, None))
                    if label.numpy() != number:
                        rule = f"The label of {name} must be that of the list, {number}"
                        raise InputError(f"{rule}. Received: {label.numpy()} in {file}")
                    decode_contents(contents.numpy(), f"{name} in {file}")
            except tf.errors.OpError as error:
                after = f"after the record of {name}" if name is not None else "at its beginning"
                raise InputError(f"The file is damaged {after}. Received: {file}") from error


KIND = Kind(
    lambda wanted: load_packed(wanted.path), reads=lambda folder, task: (folder / records.INDEX).is_file(), order=-1
)
