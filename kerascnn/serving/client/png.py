"""Pixels as a PNG file, with the standard library alone.

Source: W3C, Portable Network Graphics (PNG) Specification, third edition, 2025, sections 5 to 11.
"""

import struct
import zlib

import numpy as np

from kerascnn import _check

_COLOR_TYPES = {1: 0, 3: 2, 4: 6}  # by the number of channels: gray, RGB, RGB with transparency
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LEVEL = 1  # of the compression: noise and photographs gain little from more


def encode(pixels: np.ndarray) -> bytes:
    """A picture as a PNG file; nothing is lost.

    Args:
        pixels: uint8 [height, width], or [height, width, channels] with 1, 3 or 4 channels.

    Returns:
        The contents of the file.

    Raises:
        InputError: another type or shape, or no pixels.
    """
    pixels = np.asarray(pixels)
    deep = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.dtype != np.uint8 or deep.ndim != 3 or deep.shape[2] not in _COLOR_TYPES or not deep.size:
        rule = "uint8 [height, width] or [height, width, 1, 3 or 4]"
        raise _check.refuse("image", rule, f"{pixels.dtype} {list(pixels.shape)}")
    height, width, channels = deep.shape
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOR_TYPES[channels], 0, 0, 0)
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # each behind the number of its filter, 0: none
    rows[:, 1:] = deep.reshape(height, -1)
    data = zlib.compress(rows.tobytes(), _LEVEL)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
