"""Masks, and folders of images with masks, for tests."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image

from kerascnn.data.masks import IGNORE

RANDOM = np.random.RandomState(0)


def png(mask, mode="L", **options):
    image = Image.fromarray(mask)
    if mode == "P":
        image.putpalette(RANDOM.randint(0, 256, 3 * (int(mask.max()) + 1)).astype(np.uint8).tobytes())
    file = io.BytesIO()
    (image if mode in ("L", "P") else image.convert(mode)).save(file, "PNG", **options)
    return file.getvalue()


def write_pairs(folder, masks, mode="L"):
    """Random images with the masks given, 00.png, 01.png, ..."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number, mask in enumerate(masks):
        pixels = RANDOM.randint(0, 256, (*mask.shape, 3)).astype(np.uint8)
        tf.io.write_file(str(folder / "images" / f"{number:02}.png"), tf.io.encode_png(pixels))
        (folder / "masks" / f"{number:02}.png").write_bytes(png(mask, mode))
    return folder


def some_masks(count, classes=3):
    masks = [RANDOM.randint(0, classes, (6 + number % 3, 7)).astype(np.uint8) for number in range(count)]
    masks[0][0, 0] = classes - 1
    masks[0][0, 1] = IGNORE
    return masks
