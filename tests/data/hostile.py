"""Small files of images that are hostile or odd, and limits on memory, for tests."""

import io
import subprocess
import sys
import textwrap
import zlib

import numpy as np
from PIL import Image


def encode(image, kind, **options):
    """An image of Pillow, or an array, as the bytes of a file."""
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, kind, **options)
    return file.getvalue()


def png_bomb(width, height):
    """A PNG of black pixels, about a thousandth as large as they are."""

    def chunk(name, data):
        return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    pack, rows = zlib.compressobj(9), bytes(1 + 3 * width)
    data = b"".join(pack.compress(rows) for _ in range(min(height, 2000))) + pack.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def declared(kind, width, height):
    """A small file whose header declares a size that is not there."""
    small = np.zeros([8, 8, 3], np.uint8)
    if kind == "png":
        return png_bomb(width, height)
    if kind == "gif":
        return b"GIF89a" + width.to_bytes(2, "little") + height.to_bytes(2, "little") + encode(small, "GIF")[10:]
    if kind == "gif image":
        whole = bytearray(encode(small, "GIF"))
        place = whole.index(b",", 13 + 3 * 2 ** (whole[10] % 8 + 1))
        whole[place + 5 : place + 9] = width.to_bytes(2, "little") + height.to_bytes(2, "little")
        return bytes(whole)
    if kind == "bmp":
        whole = bytearray(encode(small, "BMP"))
        whole[18:26] = width.to_bytes(4, "little") + height.to_bytes(4, "little")
        return bytes(whole)
    if kind == "jpeg":
        whole = bytearray(encode(small, "JPEG"))
        place = whole.index(b"\xff\xc0")
        whole[place + 5 : place + 9] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
        return bytes(whole)
    whole = bytearray(encode(small, "WEBP", lossless=True))
    packed = (width - 1) | (height - 1) << 14 | int.from_bytes(whole[21:25], "little") >> 28 << 28
    whole[21:25] = packed.to_bytes(4, "little")
    return bytes(whole)


def within(megabytes, code, *arguments):
    """Runs Python code in a process that may hold so much memory beside what TensorFlow itself needs.

    Returns:
        What it prints.
    """
    limited = f"""
    import resource, sys
    from kerascnn import data
    from kerascnn._errors import InputError
    import numpy as np, tensorflow as tf
    data.decode_image(tf.io.encode_png(np.zeros([8, 8, 3], np.uint8)))
    held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + {megabytes} * 2**20,) * 2)
    """
    code = textwrap.dedent(limited) + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
