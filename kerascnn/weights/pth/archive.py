"""The form of `torch.save` since PyTorch 1.6: an uncompressed zip archive with one pickle and one member a storage."""

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping

from kerascnn.weights.guard import Unsafe
from kerascnn.weights.pth.pickles import Refused, interpret
from kerascnn.weights.pth.tensors import NAMES, Storage, Storages

_LOCAL = struct.Struct("<4s5H3I2H")  # the header before a member's bytes
_PICKLE = "/data.pkl"
_UTF8 = 0x800  # flag of a member: how its name is written


class Archive:
    """One file: its object, and where the bytes of its storages are."""

    def __init__(self, content):
        """Reads the directory and the pickle.

        Args:
            content: the file's bytes, a `memoryview`.

        Raises:
            Unsafe: the archive is none that PyTorch writes.
            Refused: it holds a program, or something else than plain values.
        """
        self.content = content
        with zipfile.ZipFile(_Stream(content)) as archive:
            self._members = _members(archive.infolist())
        self._prefix = self._only_folder()
        storages = Storages()
        self.object = interpret(io.BytesIO(self._bytes("data.pkl")), NAMES, storages)
        self.storages = storages.found

    @property
    def big_endian(self) -> bool:
        """Whether the machine that has written the file was; files before PyTorch 2.1 do not say."""
        if f"{self._prefix}byteorder" not in self._members:
            return False
        order = bytes(self._bytes("byteorder"))
        if order not in (b"little", b"big"):
            raise ValueError("the order of bytes is neither little nor big")
        return order == b"big"

    def contents(self, wanted: Mapping[str, Storage]) -> dict[str, memoryview]:
        """The bytes of storages, by their keys."""
        found = {}
        for key, storage in wanted.items():
            found[key] = self._bytes(f"data/{key}")
            if len(found[key]) != storage.count * storage.itemsize():
                raise ValueError("a storage of another size than its tensors say")
        return found

    def _only_folder(self) -> str:
        folders = [name.removesuffix("data.pkl") for name in self._members if name.endswith(_PICKLE)]
        folders = [folder for folder in folders if folder.count("/") == 1]
        if len(folders) != 1:
            raise ValueError("an archive without data.pkl, which torch.save has not written")
        folder = folders[0]
        if f"{folder}constants.pkl" in self._members or any(
            name.startswith(f"{folder}code/") for name in self._members
        ):
            raise Refused("a TorchScript program")
        return folder

    def _bytes(self, name: str) -> memoryview:
        """The bytes of a member, where its own header agrees with the directory."""
        member = self._members.get(self._prefix + name)
        if member is None:
            raise ValueError(f"the archive lacks {name[:40]!a}")
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            raise Unsafe("a compressed member of the archive; torch.save does not compress")
        start = member.header_offset + _LOCAL.size
        signature, _, flags, method, *_, length, extra = _LOCAL.unpack(self.content[member.header_offset : start])
        own_name = bytes(self.content[start : start + length])
        name_here = member.orig_filename.encode("utf-8" if member.flag_bits & _UTF8 else "cp437")
        if signature != b"PK\x03\x04" or own_name != name_here or flags & 1 or method:
            raise Unsafe("a member of the archive whose two headers differ")
        start += length + extra
        if start + member.file_size > len(self.content):
            raise ValueError("a member that ends after the file")
        found = self.content[start : start + member.file_size]
        if member.CRC and zlib.crc32(found) != member.CRC:  # 0: torch was told not to compute them
            raise ValueError(f"{name[:40]!a} has another checksum than its bytes")
        return found


def _members(found: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """By name; what is refused here no writer of PyTorch makes."""
    members = {}
    for member in found:
        name = member.orig_filename
        if name in members:
            raise Unsafe("an archive with two members of one name")
        if name.startswith("/") or "\\" in name or ".." in name.split("/") or not name.isprintable():
            raise Unsafe("an archive with names that lead out of it")
        if member.flag_bits & 1:
            raise Unsafe("an encrypted member of the archive")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise Unsafe("a link in the archive")
        members[name] = member
    return members


class _Stream(io.RawIOBase):
    """The bytes as a file, without a copy."""

    def __init__(self, content):
        self._content, self._place = content, 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of any file."""
        place = (0, self._place, len(self._content))[whence] + offset
        if place < 0:
            raise OSError("a place before the file")
        self._place = place
        return place

    def tell(self) -> int:
        """The place."""
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes."""
        end = len(self._content) if size is None or size < 0 else self._place + size
        found = bytes(self._content[self._place : end])
        self._place += len(found)
        return found
