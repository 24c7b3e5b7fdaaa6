"""What users have, images and arrays, as what signatures take."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.serving.client import png

# A path, the contents of a file, or the pixels: uint8 [height, width] or [height, width, 1, 3 or 4].
Image = str | os.PathLike | bytes | np.ndarray


def contents(image: Image) -> bytes:
    """An image as the contents of a file; pixels become a PNG.

    Args:
        image: a path, the contents of a file, or pixels.

    Raises:
        InputError: the file cannot be read, or the array holds no pixels.
    """
    if isinstance(image, np.ndarray):
        return png.encode(image)
    if isinstance(image, (bytes, bytearray, memoryview)):
        return bytes(image)
    if not isinstance(image, (str, os.PathLike)):
        raise _check.refuse("image", "a path, the contents of a file, or a uint8 array", image)
    try:
        return Path(image).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"The image cannot be read ({reason}). Received: {os.fspath(image)}") from error


def files(images: Iterable[Image]) -> Iterator[bytes]:
    """The contents of images, each read when it is needed.

    Args:
        images: at least one; an array [n, height, width, channels] is n of them.

    Raises:
        InputError: there is none, or one image alone was given.
    """
    if isinstance(images, (str, bytes, os.PathLike)) or getattr(images, "ndim", 4) != 4:
        raise _check.refuse("images", "a list of images", images if isinstance(images, str) else type(images).__name__)
    found = False
    for image in images:
        found = True
        yield contents(image)
    if not found:
        raise InputError("At least one image must be given. Received: none")


def tensors(images: Any) -> np.ndarray:
    """Preprocessed images.

    Args:
        images: float [n, height, width, channels].

    Returns:
        The same as float32.

    Raises:
        InputError: another rank, no image, or a value that is not finite, which JSON cannot say.
    """
    images = np.asarray(images, np.float32)
    if images.ndim != 4 or not images.size:
        raise InputError(f"Images must be [n, height, width, channels]. Received: shape {images.shape}")
    if not np.isfinite(images).all():
        raise InputError("Images must be finite numbers. Received: NaN or infinity")
    return images


def pixels(images: Any) -> np.ndarray:
    """Pixels of images of one size.

    Args:
        images: uint8 [n, height, width, channels].

    Raises:
        InputError: another type or rank, or no pixels.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or not images.size:
        raise _check.refuse("pixels", "uint8 [n, height, width, channels]", f"{images.dtype} {list(images.shape)}")
    return images
