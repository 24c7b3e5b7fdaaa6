"""Decoding: every format and kind equal to Pillow, eagerly and in a graph; hostile files end in one line."""

import os

import numpy as np
import pytest
import tensorflow as tf
from hostile import declared, encode, png_bomb, within
from PIL import Image, ImageOps

from kerascnn import data
from kerascnn._errors import InputError

RANDOM = np.random.RandomState(0)
NOISE = Image.fromarray(RANDOM.randint(0, 256, (40, 30, 3)).astype(np.uint8))
PHOTO = NOISE.resize((133, 91), Image.BICUBIC)
ALPHA = NOISE.convert("RGBA")
ALPHA.putalpha(Image.fromarray(RANDOM.randint(0, 256, (40, 30)).astype(np.uint8)))
EXIF = [b"II*\0\x08\0\0\0\x02\0" b"\x0f\x01\2\0\1\0\0\0A\0\0\0" b"\x12\1\3\0\1\0\0\0%c\0\0\0\0\0\0\0",
        b"MM\0*\0\0\0\x08\0\2" b"\1\x0f\0\2\0\0\0\1A\0\0\0" b"\1\x12\0\3\0\0\0\1\0%c\0\0\0\0\0\0"]  # fmt: skip


def exif(orientation, order=0):
    return b"Exif\0\0" + EXIF[order] % bytes([orientation])


def segment(marker, content):
    return b"\xff" + bytes([marker]) + (len(content) + 2).to_bytes(2, "big") + content


def late_exif(mode="RGB", between=b""):
    """A JPEG whose EXIF stands behind something, and the pixels right behind the quantization tables and it."""
    plain = encode(PHOTO.convert(mode), "JPEG")
    frame = plain.index(b"\xff\xc0")  # behind the quantization tables
    return plain[:frame] + between + segment(0xE1, exif(6)) + plain[frame:]


def cases():
    for subsampling in (0, 1, 2):
        for progressive in (False, True):
            options = dict(quality=80, subsampling=subsampling, progressive=progressive)
            yield f"jpeg {subsampling} {progressive}", encode(PHOTO, "JPEG", **options)
    yield "jpeg gray", encode(PHOTO.convert("L"), "JPEG")
    yield "jpeg cmyk", encode(PHOTO.convert("CMYK"), "JPEG")
    for orientation in range(1, 9):
        yield f"jpeg exif {orientation}", encode(PHOTO, "JPEG", exif=exif(orientation), icc_profile=bytes(70_000))
    thumbnail = segment(0xED, b"Photoshop 3.0\0" + encode(NOISE, "JPEG"))
    for mode in ("RGB", "L", "CMYK"):
        yield f"jpeg late exif {mode}", late_exif(mode)
        yield f"jpeg exif behind a thumbnail {mode}", late_exif(mode, thumbnail)
    for order in (0, 1):
        yield f"png exif {order}", encode(PHOTO, "PNG", exif=exif(6, order))
        yield f"webp exif {order}", encode(PHOTO, "WEBP", lossless=True, exif=exif(8, order))
    yield "exif without meaning", encode(PHOTO, "JPEG", exif=exif(9))
    for colors in (2, 16, 256):
        palette = NOISE.quantize(colors)
        for kind in ("BMP", "PNG", "GIF"):
            yield f"{kind} {colors} colors", encode(palette, kind)
    yield "png transparent color", encode(NOISE.quantize(9), "PNG", transparency=3)
    for mode in ("1", "L", "LA", "RGBA"):
        image = ALPHA if mode == "RGBA" else NOISE.convert(mode)
        yield f"png {mode}", encode(image, "PNG")
        if mode != "LA":
            yield f"bmp {mode}", encode(image, "BMP")
    for lossless in (False, True):
        for image in (NOISE, ALPHA):
            yield f"webp {lossless} {image.mode}", encode(image, "WEBP", lossless=lossless, exact=True)
            more = [image.transpose(0)]
            options = dict(lossless=lossless, exact=True, save_all=True, append_images=more)
            yield f"webp animated {lossless} {image.mode}", encode(image, "WEBP", **options)
    more = [NOISE.transpose(0).convert("P")] * 3
    yield "gif animated", encode(NOISE.convert("P"), "GIF", save_all=True, append_images=more)
    yield "gif interlaced", encode(NOISE.convert("P"), "GIF", interlace=1)
    yield "png animated", encode(NOISE, "PNG", save_all=True, append_images=[NOISE.transpose(0)])


CASES = dict(cases())


@pytest.fixture(scope="module")
def in_graph():
    return tf.function(data.decode_image, input_signature=[tf.TensorSpec([], tf.string)])


@pytest.mark.parametrize("name", CASES)
def test_equal_to_pillow(tmp_path, in_graph, name):
    path = tmp_path / "image"
    path.write_bytes(CASES[name])
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    expected = np.array(upright)
    np.testing.assert_array_equal(data.read_image(path), expected)
    np.testing.assert_array_equal(in_graph(CASES[name]), expected)
    np.testing.assert_array_equal(data.read_image(path, 1)[..., 0], np.array(upright.convert("L")))


@pytest.mark.parametrize("length", [1, 6, 7, 10, 14, 20, 30])
def test_a_damaged_orientation_is_none(in_graph, length):
    """The block is cut short, or the offset of its directory leads out of it: the pixels are as they are stored."""
    for kind in ("JPEG", "PNG"):
        expected = data.decode_image(tf.constant(encode(PHOTO, kind)))
        np.testing.assert_array_equal(in_graph(encode(PHOTO, kind, exif=exif(6)[:length])), expected)
        far = exif(6)[:10] + b"\xff" * (length % 4 + 1) + exif(6)[11 + length % 4 :]
        np.testing.assert_array_equal(in_graph(encode(PHOTO, kind, exif=far)), expected)


def test_a_phone_photo_and_the_upright_picture_are_one(tmp_path):
    """Orientation 6: the sensor's rows are columns of the picture."""
    ramp = np.repeat(np.arange(0, 240, 10, np.uint8)[:, None, None], 16, axis=1).repeat(3, axis=2)
    (tmp_path / "phone.jpg").write_bytes(encode(np.rot90(ramp).copy(), "JPEG", quality=100, exif=exif(6)))
    np.testing.assert_allclose(data.read_image(tmp_path / "phone.jpg"), ramp, atol=8)


def test_sixteen_bits_are_cut_to_the_higher_eight():
    """A departure from Pillow, which clips what is above 255 to white."""
    values = RANDOM.randint(0, 65536, (5, 6)).astype(np.uint16)
    np.testing.assert_array_equal(data.decode_image(tf.constant(encode(values, "PNG")))[..., 0], values >> 8)


def test_a_bmp_from_the_top(in_graph):
    """With a negative height the first row is the top one."""
    whole = bytearray(encode(NOISE, "BMP"))
    upwards = data.decode_image(tf.constant(bytes(whole)))
    whole[22:26] = (-40 % 2**32).to_bytes(4, "little")
    np.testing.assert_array_equal(in_graph(bytes(whole)), upwards[::-1])


def rle_bmp():
    whole = bytearray(encode(NOISE.quantize(16), "BMP"))
    whole[30] = 1
    return bytes(whole)


SIZES = {"png": (23_000, 23_000), "jpeg": (60_000, 60_000), "gif": (60_000, 60_000), "gif image": (60_000, 60_000),
         "bmp": (2**31 - 1, 2**31 - 1), "webp": (16_383, 16_383)}  # fmt: skip


@pytest.mark.parametrize("kind", SIZES)
def test_too_many_pixels_are_refused_by_the_header(tmp_path, in_graph, kind):
    contents = declared(kind, *SIZES[kind])
    (tmp_path / "bomb").write_bytes(contents)
    with pytest.raises(InputError, match=f"at most 178,956,970 pixels. Received: {tmp_path}/bomb$"):
        data.read_image(tmp_path / "bomb")
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most 178,956,970 pixels"):
        in_graph(contents)


@pytest.mark.after
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="limits of memory are tested on Linux")
def test_hostile_files_stay_within_memory(tmp_path):
    """Bombs of each format, and an animation of 300 large images in a small file, of which one is decoded."""
    for kind, size in SIZES.items():
        (tmp_path / f"{kind}.image").write_bytes(declared(kind, *size))
    large = Image.new("P", (3000, 3000))
    first = encode(large, "GIF")
    start = first.index(b",", 13 + 3 * 2 ** (first[10] % 8 + 1)) if first[10] & 128 else first.index(b",", 13)
    (tmp_path / "animation.image").write_bytes(first[:-1] + first[start:-1] * 300 + b";")
    code = """
    import pathlib
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.image")):
        try:
            print(path.stem, tuple(data.read_image(path).shape))
        except InputError as error:
            print(path.stem, error)
    """
    lines = within(400, code, str(tmp_path)).splitlines()
    assert lines[0] == "animation (3000, 3000, 3)"
    assert len(lines) == 1 + len(SIZES) and all("at most 178,956,970 pixels" in line for line in lines[1:])


def damaged():
    yield "empty", b""
    yield "text", b"hello"
    yield "three of a BMP", b"BMP"
    yield "WebP without an image", b"RIFF\4\0\0\0WEBP"
    yield "chunks without end", b"RIFF\xff\xff\xff\xffWEBP" + b"VP8X\0\0\0\0" * 300
    yield "GIF header", b"GIF89a"
    yield "GIF without an image", b"GIF89a\1\0\1\0\0\0\0;"
    yield "PNG signature", b"\x89PNG\r\n\x1a\n"
    yield "JPEG of zeros", b"\xff\xd8\xff\xe0" + b"\0" * 50
    yield "PNG without rows", png_bomb(100, 3000)
    for kind in ("JPEG", "PNG", "GIF", "BMP", "WEBP"):
        whole = encode(NOISE, kind)
        yield f"half of a {kind}", whole[: len(whole) // 2]
    palette = bytearray(encode(NOISE.quantize(16), "BMP"))
    palette[14:18] = (2**31).to_bytes(4, "little")
    yield "BMP whose palette lies behind its end", bytes(palette)


DAMAGED = dict(damaged())


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_end_in_one_line(tmp_path, in_graph, name):
    path = tmp_path / "image.png"
    path.write_bytes(DAMAGED[name])
    with pytest.raises(InputError, match=f"Received: {path}$") as raised:
        data.read_image(path)
    assert "\n" not in str(raised.value)
    with pytest.raises(tf.errors.OpError):
        in_graph(DAMAGED[name])


def test_kinds_that_are_not_decoded_say_so(tmp_path):
    (tmp_path / "a.bmp").write_bytes(rle_bmp())
    with pytest.raises(InputError, match="A BMP must be uncompressed, of 1, 4, 8, 24 or 32 bits a pixel. Received"):
        data.read_image(tmp_path / "a.bmp")
    partial = bytearray(CASES["webp animated True RGB"])
    partial[partial.index(b"ANMF") + 8] = 2  # to the right
    (tmp_path / "a.webp").write_bytes(partial)
    with pytest.raises(InputError, match="must be as large as the animation. Received: .*a.webp"):
        data.read_image(tmp_path / "a.webp")


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "nothing", "NUL"])
def test_what_is_no_file(tmp_path, kind):
    path = str(tmp_path / "image.png")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path = "/dev/zero"
    elif kind == "folder":
        path = str(tmp_path)
    elif kind == "NUL":
        path += "\0"
    with pytest.raises(InputError, match="must be a regular file|cannot be read"):
        data.read_image(path)
