import io

import numpy as np
import pytest
from PIL import Image

from kerascnn.serving.server import pixels
from kerascnn.serving.server.status import Refusal


@pytest.mark.parametrize("kind, options", [
    ("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True, "exif": b"Exif\0\0" + bytes(3000)}), ("GIF", {}),
    ("BMP", {}), ("WEBP", {}), ("WEBP", {"lossless": True}), ("WEBP", {"exif": b"Exif\0\0" + bytes(30)}),
])  # fmt: skip
def test_the_size_in_the_header(kind, options):
    stream = io.BytesIO()
    Image.fromarray(np.arange(37 * 21 * 3, dtype=np.uint8).reshape(37, 21, 3)).save(stream, kind, **options)
    contents = stream.getvalue()
    assert pixels.size(contents) == (37, 21)
    pixels.check([contents, b"no image"], 37 * 21)
    with pytest.raises(Refusal, match="at most 776 pixels. Received: 37 x 21 for image 1"):
        pixels.check([b"", contents], 776)
    pixels.check([contents] * pixels.SHARE, 37 * 21)
    with pytest.raises(Refusal, match="at most 12,432 pixels together. Received: 13,209 in the first 17"):
        pixels.check([contents] * 100, 37 * 21)
    for length in range(len(contents[:64])):  # cut anywhere: an answer or none, no fault
        assert pixels.size(contents[:length]) in (None, (37, 21))


def test_what_is_no_image():
    random = np.random.default_rng(0)
    for start in (b"", b"\xff\xd8", b"\xff\xd8\xff", b"RIFF1234WEBP", b"RIFF1234WEBPVP8X", b"GIF8", b"BM"):
        for length in (0, 3, 40, 4000):
            pixels.size(start + random.integers(0, 256, length, np.uint8).tobytes())
    assert pixels.size(b"\xff\xd8" + b"\xff" * 10**6) is None
    assert pixels.size(b"\xff\xd8" + b"\xff\x01" * 10**5) is None
