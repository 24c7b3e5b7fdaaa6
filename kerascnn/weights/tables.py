"""What TensorFlow's checkpoints are made of: sorted tables of keys and values, and messages of numbered fields.

A table (that of LevelDB) ends in 48 bytes with the place of its index, a block of keys and places of blocks. A block
has entries that share the beginning of their key with the one before, then the places where none is shared, their
number, a byte for the compression (0: none) and a checksum. Messages are those of Protocol Buffers.
"""

from collections.abc import Iterator

from kerascnn.weights.guard import Unsafe

MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
_FOOTER, _TRAILER = 48, 5  # bytes
_CHECKED = 2**16  # bytes of the largest block whose checksum is compared: larger ones hold arrays
_LONGEST_KEY, _MOST = 1_000, 1_000_000
_POLYNOMIAL = 0x82F63B78  # of CRC-32C


def entries(content: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """The keys and values of a table.

    Args:
        content: the whole file.

    Yields:
        Key and value, a part of `content`, in the order of the keys.

    Raises:
        ValueError: it is no table, or damaged.
        Unsafe: it is compressed, or has more or longer keys than checkpoints have.
    """
    footer = content[-_FOOTER:]
    if len(footer) < _FOOTER or bytes(footer[-8:]) != MAGIC:
        raise ValueError("no table of TensorFlow")
    place = _varint(footer, _varint(footer, 0)[1])[1]  # the first two numbers are those of a block without use here
    count = 0
    for _, handle in _block(content, *_handle(footer, place)):
        for key, value in _block(content, *_handle(handle, 0)):
            count += 1
            if count > _MOST:
                raise Unsafe(f"more than {_MOST:,} keys")
            yield key, value


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a message: number, and a whole number or the bytes of a text, a message or a packed list."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        kind = tag & 7
        if kind == 0:
            value, place = _varint(message, place)
        else:
            size = {1: 8, 5: 4}.get(kind)
            if kind == 2:
                size, place = _varint(message, place)
            if size is None or place + size > len(message):
                raise ValueError("a message of another form")
            value, place = message[place : place + size], place + size
        yield tag >> 3, value


def signed(number: int) -> int:
    """A whole number of 64 bits as the signed one that it stands for."""
    return number - 2**64 if number >= 2**63 else number


def _handle(data: memoryview, place: int) -> tuple[int, int]:
    offset, place = _varint(data, place)
    return offset, _varint(data, place)[0]


def _block(content: memoryview, offset: int, size: int) -> Iterator[tuple[bytes, memoryview]]:
    block, trailer = content[offset : offset + size], content[offset + size : offset + size + _TRAILER]
    if len(trailer) < _TRAILER or size < 4:
        raise ValueError("a block outside of the file")
    if trailer[0]:
        raise Unsafe("a block that is compressed")
    if size <= _CHECKED and _checksum(content[offset : offset + size + 1]) != int.from_bytes(trailer[1:], "little"):
        raise ValueError("a checksum differs")
    restarts = int.from_bytes(block[-4:], "little")
    end = size - 4 - 4 * restarts
    if end < 0:
        raise ValueError("a block of another form")
    key, place = b"", 0
    while place < end:
        shared, place = _varint(block, place)
        own, place = _varint(block, place)
        length, place = _varint(block, place)
        if shared > len(key) or place + own + length > end or shared + own > _LONGEST_KEY:
            raise ValueError("an entry of another form")
        key = key[:shared] + bytes(block[place : place + own])
        yield key, block[place + own : place + own + length]
        place += own + length


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    """A number in groups of seven bits, lowest first, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            break
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (2**64 - 1), place
    raise ValueError("a number without end")


def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_CRC = _table()


def _checksum(data: memoryview) -> int:
    """CRC-32C, rotated and shifted as tables store it."""
    crc, table = 0xFFFFFFFF, _CRC
    for byte in bytes(data):
        crc = crc >> 8 ^ table[(crc ^ byte) & 255]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
