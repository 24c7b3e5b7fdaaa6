"""How large an encoded image says it is, read in its header, so that nothing too large is decoded.

Source: W3C PNG (IHDR), ITU-T T.81 (SOF markers), GIF89a, the BMP headers, RFC 9649 (WebP).
"""

import struct
from collections.abc import Iterable

from kerascnn.serving.server.status import invalid

_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
SHARE = 16
_MOST_MARKERS = 100_000  # real files have tens
_BARE = {0x01, *range(0xD0, 0xD8)}  # markers without a length


def check(values: Iterable[bytes], most: int) -> None:
    """Refuses encoded images of too many pixels; what is no image passes.

    Args:
        values: the files of a request, or other bytes.
        most: height times width of one; all together may have `SHARE` times as many.

    Raises:
        Refusal: there are more.
    """
    total = 0
    for index, contents in enumerate(values):
        height, width = size(contents) or (0, 0)
        total += height * width
        if height * width > most:
            told = f"An image must have at most {most:,} pixels. Received: {height} x {width} for image {index}"
            raise invalid(told)
        if total > SHARE * most:
            told = f"The images of a request must have at most {SHARE * most:,} pixels together"
            raise invalid(f"{told}. Received: {total:,} in the first {index + 1}")


def size(contents: bytes) -> tuple[int, int] | None:
    """The height and width in the header of a PNG, JPEG, GIF, BMP or WebP file; None for anything else.

    Args:
        contents: of the file.
    """
    try:
        if contents.startswith(b"\x89PNG\r\n\x1a\n"):
            width, height = struct.unpack_from(">II", contents, 16)
        elif contents.startswith(b"\xff\xd8"):
            return _jpeg(contents)
        elif contents.startswith(b"GIF8"):
            width, height = struct.unpack_from("<HH", contents, 6)
        elif contents.startswith(b"BM"):
            width, height = struct.unpack_from("<ii", contents, 18)
        elif contents.startswith(b"RIFF") and contents[8:12] == b"WEBP":
            return _webp(contents)
        else:
            return None
    except (struct.error, IndexError):
        return None
    return abs(height), abs(width)


def _jpeg(contents: bytes) -> tuple[int, int] | None:
    at = 2
    for _ in range(_MOST_MARKERS):
        at = contents.find(b"\xff", at)
        if at < 0:
            return None
        while contents[at] == 0xFF:  # IndexError at the end: no frame
            at += 1
        marker = contents[at]
        at += 1
        if marker in _FRAMES:
            return struct.unpack_from(">HH", contents, at + 3)
        if marker not in _BARE and marker != 0:
            at += struct.unpack_from(">H", contents, at)[0]
    return None


def _webp(contents: bytes) -> tuple[int, int] | None:
    kind = contents[12:16]
    if kind == b"VP8X":
        low, high, lower, higher = struct.unpack_from("<HBHB", contents, 24)
        width, height = (high << 16) + low + 1, (higher << 16) + lower + 1
    elif kind == b"VP8 ":
        width, height = (value & 0x3FFF for value in struct.unpack_from("<HH", contents, 26))
    elif kind == b"VP8L":
        bits = struct.unpack_from("<I", contents, 21)[0]
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        return None
    return height, width
