"""The form of `torch.save` before PyTorch 1.6: pickles one after another, then the bytes of the storages.

A magic number, the protocol 1001, a description of the machine, the object, the list of the storages' keys, each as a
pickle; then for each key an int64 with the number of elements, and these, little-endian on every machine.
"""

from collections.abc import Mapping

from kerascnn.weights.guard import Unsafe
from kerascnn.weights.pth.pickles import Refused, interpret
from kerascnn.weights.pth.tensors import NAMES, Storage, Storages

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


class Legacy:
    """One file: its object, and where the bytes of its storages are."""

    big_endian = False

    def __init__(self, mapped):
        """Reads the pickles, and where the storages begin.

        Args:
            mapped: the file, a `mmap.mmap`.

        Raises:
            ValueError: torch.save has not written it.
            Refused: it holds something else than plain values.
        """
        if interpret(mapped, {}, _no_storage) != _MAGIC:
            raise ValueError("a pickle, but none that torch.save has written")
        if interpret(mapped, {}, _no_storage) != _PROTOCOL:
            raise ValueError("another protocol than 1001")
        interpret(mapped, {}, _no_storage)
        storages = Storages()
        self.object = interpret(mapped, NAMES, storages)
        self.storages = storages.found
        keys = interpret(mapped, {}, _no_storage)
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise ValueError("no list of storages")
        if len(set(keys)) != len(keys) or not set(keys) <= self.storages.keys():
            raise Unsafe("a storage that occurs twice, or that no tensor has")
        self._places = self._find(mapped, mapped.tell(), keys)
        self._content = memoryview(mapped)

    def contents(self, wanted: Mapping[str, Storage]) -> dict[str, memoryview]:
        """The bytes of storages, by their keys."""
        if not wanted.keys() <= self._places.keys():
            raise ValueError("a storage is missing")
        return {key: self._content[slice(*self._places[key])] for key in wanted}

    def _find(self, mapped, place: int, keys: list[str]) -> dict[str, tuple[int, int]]:
        places = {}
        for key in keys:
            storage, start = self.storages[key], place + 8
            if int.from_bytes(mapped[place:start], "little") != storage.count:
                raise ValueError("a storage of another size than its tensors say")
            place = start + storage.count * storage.itemsize()
            if place > len(mapped):
                raise ValueError("a storage that ends after the file")
            places[key] = (start, place)
        return places


def _no_storage(_):
    raise Refused("a storage where none can be")
