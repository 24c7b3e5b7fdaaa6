"""HDF5 files read without following anything: what the two forms of Keras' files share."""

import contextlib
import io
import math
import mmap
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from kerascnn.weights.guard import Unsafe, budget

_DEPTH = 32  # groups inside groups
_MEMBER = "model.weights.h5"  # of a .keras archive
_PIECE = 2**21  # bytes
_LOCAL = b"PK\x03\x04"  # begins the header before each member of an archive


@contextlib.contextmanager
def opened(path: Path) -> Iterator["Reader"]:
    """A reader of the HDF5 file at a path, or of the one in a `.keras` archive; its arrays are views of the file.

    Args:
        path: a regular file.

    Yields:
        The reader, whose `file` is open.
    """
    limit = budget(path)
    content = _member(path, limit) if path.suffix == ".keras" else _mapped(path)
    source = path if path.suffix != ".keras" else _Stream(content)
    with h5py.File(source, "r") as file:
        yield Reader(file, content, limit)


class Reader:
    """Reads groups and arrays without following anything, and counts what it reads."""

    def __init__(self, file: h5py.File, content: memoryview, limit: int):
        self.file, self.content, self.limit = file, content, limit
        self.promised = 0
        self._last: tuple = (None, None, None)  # group, path and end of the last search
        self._entered: set[int] = set()  # addresses of groups, which hard links may put into themselves

    def again(self) -> "Reader":
        """A reader of the same file that has entered and counted nothing."""
        return Reader(self.file, self.content, self.limit)

    def check(self, group: h5py.Group, depth: int = 0) -> None:
        """Looks at every object; reads none."""
        self.enter(group, depth)
        for item in self.children(group).values():
            if isinstance(item, h5py.Group):
                self.check(item, depth + 1)
            elif isinstance(item, h5py.Dataset):
                self._checked(item, numbers=False)

    def enter(self, group, depth: int) -> None:
        """Once into each group, and not too deep."""
        address = h5py.h5o.get_info(group.id).addr
        if depth > _DEPTH or address in self._entered:
            raise Unsafe(f"a group inside itself, or groups more than {_DEPTH} deep")
        self._entered.add(address)

    def children(self, group) -> dict[str, h5py.Group | h5py.Dataset]:
        """What a group holds, by name."""
        if not isinstance(group, h5py.Group):
            raise ValueError("an array where a group must be")
        return {key: self._child(group, key) for key in group}

    def find(self, group: h5py.Group, path: str) -> h5py.Group | h5py.Dataset:
        """What lies below a group under a path such as "conv1/kernel:0"; the path leads nowhere else."""
        *parents, last = parts = path.split("/")
        if len(parts) > _DEPTH or not all(parts) or {".", ".."} & set(parts):
            raise Unsafe(f"a name that leads out of its group: {path[:40]!a}")
        if self._last[:2] != (group, parents):  # the arrays of a layer mostly lie in one group
            inner = group
            for part in parents:
                inner = self._child(inner, part)
            self._last = (group, parents, inner)
        return self._child(self._last[2], last)

    def _child(self, group: h5py.Group, key: str):
        if not isinstance(group, h5py.Group):
            raise ValueError("an array where a group must be")
        try:
            kind = group.id.links.get_info(key.encode()).type
        except (KeyError, OSError, RuntimeError) as error:
            raise ValueError(f"{key[:80]} is named and not there") from error
        if kind != h5py.h5l.TYPE_HARD:
            raise Unsafe(f"a soft or external link: {key[:40]!a}")
        return group[key]

    def array(self, item) -> np.ndarray:
        """The numbers of a dataset: a view of the file where they lie there as they are, else a copy."""
        if not isinstance(item, h5py.Dataset):
            raise ValueError("a group where an array must be")
        self._checked(item, numbers=True)
        array = self._view(item)
        if array is None:
            array = np.asarray(item[()])
        if _is_bfloat16(item):
            return (array.view("u2").astype("u4") << 16).view("f4").reshape(item.shape)
        return array

    def _view(self, item: h5py.Dataset) -> np.ndarray | None:
        place = item.id.get_offset()  # None for chunks, for what is compressed, and for what was never written
        if place is None or item.dtype.kind not in "fiu" or not 0 <= place <= len(self.content) - item.nbytes:
            return None
        return np.frombuffer(self.content, item.dtype, math.prod(item.shape), place).reshape(item.shape)

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


def _mapped(path: Path) -> memoryview:
    with open(path, "rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _member(path: Path, limit: int) -> memoryview:
    """The weights in an archive; all members together may not unpack to more than the limit."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if sum(member.filename == _MEMBER for member in members) > 1:
            raise Unsafe(f"the archive has {_MEMBER} twice")
        if sum(member.file_size for member in members) > limit:
            raise Unsafe(f"the archive promises {sum(member.file_size for member in members):,} bytes")
        member = archive.getinfo(_MEMBER)
        if member.compress_type == zipfile.ZIP_STORED and not member.flag_bits & 1:
            return _stored(path, member)
        with archive.open(member) as file:
            content = file.read(limit + 1)  # whatever its header says
    if len(content) > limit:
        raise Unsafe(f"{_MEMBER} unpacks to more than {limit:,} bytes")
    return memoryview(content)


def _stored(path: Path, member: zipfile.ZipInfo) -> memoryview:
    """A member that is not compressed, as Keras writes it: its bytes in the archive."""
    whole, start = _mapped(path), member.header_offset
    header = bytes(whole[start : start + 30])
    if len(header) < 30 or header[:4] != _LOCAL:
        raise ValueError("the archive's index leads to no member")
    start += 30 + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    content = whole[start : start + member.file_size]
    if len(content) < member.file_size or member.compress_size != member.file_size:
        raise ValueError("the archive ends before its member")
    if _checksum(content, whole.obj) != member.CRC:
        raise ValueError(f"the checksum of {_MEMBER} differs")
    return content


def _checksum(content: memoryview, mapped: mmap.mmap) -> int:
    """CRC-32 of a part of a mapped file, whose pages are let go as it goes on."""
    checksum = 0
    for start in range(0, len(content), _PIECE):
        checksum = zlib.crc32(content[start : start + _PIECE], checksum)
        mapped.madvise(mmap.MADV_DONTNEED)
    return checksum


class _Stream(io.RawIOBase):
    """A file to read from, over bytes in memory."""

    def __init__(self, content: memoryview):
        self._content, self._place = content, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: len(self._content)}[whence]
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer) -> int:
        part = self._content[self._place : self._place + len(buffer)]
        buffer[: len(part)] = part
        self._place += len(part)
        return len(part)
