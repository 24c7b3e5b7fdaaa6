"""Writes a set of images into a few large files: TFRecords, which network disks and buckets read many times faster than
a million small files. `data.load(folder)` reads them back (`kerascnn.data.sets.packed`).
"""

import concurrent.futures
import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from kerascnn import _check, _records
from kerascnn._errors import InputError
from kerascnn._files import ensure_folder
from kerascnn.data import records
from kerascnn.data.preprocessing import decode_contents, read_contents
from kerascnn.data.source import Source
from kerascnn.data.splits import Files

SHARD_BYTES = 128 * 2**20  # of the files that are written, each a little more than this
_AHEAD = 64  # images that are read and decoded at the same time


@dataclasses.dataclass(frozen=True)
class Packed:
    """What `pack` wrote."""

    folder: Path
    sizes: dict[str, int]  # examples of each part
    files: int
    bytes: int
    damaged: tuple[str, ...]  # names of the examples that were left out, with what is wrong


def pack(
    source: Source,
    folder: str | os.PathLike,
    *,
    shard_bytes: int = SHARD_BYTES,
    skip_damaged: bool = False,
    seed: int = 0,
    told: Callable[[str, int, int], None] | None = None,
) -> Packed:
    """Writes all parts of a set as TFRecords, and kerascnn.json, which tells what they hold.

    Each record is a `tf.train.Example` with the keys "image/encoded", "image/class/label" and "image/filename".

    Files are copied as they are, so their pixels are the same; every one is decoded first. Images that are in memory or
    come from a stream are written as PNG. The examples of "train" are shuffled, so that reading in order with a buffer,
    as is done with large sets, mixes the classes well; those of the other parts keep their order.

    Args:
        source: labeled images.
        folder: must not exist, or be empty. It appears when everything is written.
        shard_bytes: a file is ended when it has this many, 1 or more.
        skip_damaged: leave out files that cannot be decoded, and count them; otherwise the first is refused.
        seed: of the order of "train".
        told: called now and then with the part, the examples done and their number.

    Returns:
        What was written.

    Raises:
        InputError: an image is damaged, the set has masks, the folder holds something, or an argument is out of range.
        OSError: the folder cannot be written; nothing is left of what was begun.

    Example:

        from kerascnn import data

        data.pack(data.load("digits"), "packed/digits")
        data.load("packed/digits").sizes  # {"train": 1272, "validation": 165, "test": 360}
    """
    if source.task != "classification":
        raise InputError(f"Sets with labels can be packed. Received: {source.name}, for {source.task}")
    _check.whole("shard_bytes", shard_bytes, 1)
    _check.whole("seed", seed, 0, 2**31 - 1)
    _check.flag("skip_damaged", skip_damaged)
    folder = Path(os.path.abspath(Path(folder).expanduser()))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"The folder to pack into must not exist, or be empty. Received: {folder}")
    ensure_folder(folder.parent)
    work = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    work.mkdir()
    try:
        done = _write(source, work, shard_bytes, skip_damaged, seed, told)
        if folder.exists():
            folder.rmdir()
        work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return dataclasses.replace(done, folder=folder)


def _write(source, work, shard_bytes, skip_damaged, seed, told) -> Packed:
    splits, damaged = {}, []
    for part, split in source.splits.items():
        shards, names, numbers = [], [], []
        examples = _examples(split, part == "train", seed)
        for name, label, contents, wrong in examples:
            if wrong is not None:
                if not skip_damaged:
                    raise InputError(f"{wrong} (skip_damaged leaves such files out)")
                damaged.append(f"{name}: {wrong}")
                continue
            if not shards or shards[-1].bytes >= shard_bytes:
                shards.append(records.Shard(work / f"{part}-{len(shards):05}.tfrecord"))
            shards[-1].write(contents, label, name)
            if shards[-1].bytes >= shard_bytes:
                shards[-1].close()
            names.append(name)
            numbers.append(label)
            if told and len(names) % 1000 == 0:
                told(part, len(names), split.size)
        for shard in shards[-1:]:
            shard.close()
        if not names:
            raise InputError(f"Every part of a set must have an image that is whole. Received: none in {part}")
        if told:
            told(part, len(names), split.size)
        (work / records.names_file(part)).write_bytes(b"\0".join(os.fsencode(name) for name in names))
        np.save(work / records.labels_file(part), np.array(numbers, np.int64), allow_pickle=False)
        splits[part] = [{"file": shard.path.name, "examples": shard.examples, "bytes": shard.bytes} for shard in shards]
    record = {
        "format": records.FORMAT,
        "version": records.VERSION,
        "name": source.name,
        "class_names": list(source.class_names),
        "image_shape": list(source.image_shape),
        "mirrored": source.mirrored,
        "splits": splits,
    }
    _records.write(work / records.INDEX, record)
    written = [path.stat().st_size for path in work.iterdir()]
    sizes = {part: sum(shard["examples"] for shard in shards) for part, shards in splits.items()}
    return Packed(work, sizes, len(written), sum(written), tuple(damaged))


def _examples(split, shuffled, seed) -> Iterator[tuple[str, int, bytes, str | None]]:
    """Name, label, encoded image and what is wrong with it, if anything."""
    if isinstance(split, Files):
        order = np.random.RandomState(seed).permutation(split.size) if shuffled else np.arange(split.size)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for start in range(0, len(order), _AHEAD):
                block = order[start : start + _AHEAD]
                contents = pool.map(_read_whole, [split.paths[place] for place in block])
                for place, (content, wrong) in zip(block, contents, strict=True):
                    yield split.names[place], int(split.numbers[place]), content, wrong
        return
    if shuffled and hasattr(split, "images"):
        split = split.select(np.random.RandomState(seed).permutation(split.size))
    encoded = split.elements().map(lambda image, label: (tf.io.encode_png(image), label))
    for name, (image, label) in zip(split.names, encoded.as_numpy_iterator(), strict=True):
        yield name, int(label), image, None


def _read_whole(path) -> tuple[bytes, str | None]:
    """The file, and what is wrong with it."""
    try:
        contents = read_contents(path)
        decode_contents(contents, path)
    except InputError as error:
        return b"", str(error)
    return contents, None
