"""Images that were made by going along a gradient, and the rules of the way."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.explain.inner import pixels
from kerascnn.explain.tiles import draw_tiles

Slope = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]  # (x, step) -> values [n], gradient like x


@dataclasses.dataclass(frozen=True)
class Optimized:
    """Images that were made, and what was reached on the way."""

    images: np.ndarray  # float32 [n, height, width, channels], as the network takes them
    history: np.ndarray  # float32 [steps, n]: the objective at each step, before it
    names: tuple[str, ...]  # what each image is for
    preprocessing: Preprocessing | None  # what the pixels went through; None: not known
    method: str
    options: dict[str, Any] = dataclasses.field(default_factory=dict)


def descend(slope: Slope, start: np.ndarray, step: float, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """x - step gradient, so many times; returns the last x and the values, [steps, n]."""
    x, values = start.astype("float32"), []
    for number in range(steps):
        value, gradient = slope(x, number)
        x, values = x - np.float32(step) * gradient, [*values, value]
    return x, np.stack(values)


def adam(
    slope: Slope, start: np.ndarray, rates: Sequence[float], *, keep: tuple[float, float] = (0.9, 0.999)
) -> tuple[np.ndarray, np.ndarray]:
    """Adam (Kingma, Ba 2014, arXiv:1412.6980, algorithm 1) with a rate a step; returns as `descend`."""
    x, values = start.astype("float64"), []
    mean, square = np.zeros_like(x), np.zeros_like(x)
    for number, rate in enumerate(rates):
        value, gradient = slope(x.astype("float32"), number)
        mean += (1 - keep[0]) * (gradient - mean)
        square += (1 - keep[1]) * (np.square(gradient, dtype="float64") - square)
        corrected = [moment / (1 - kept ** (number + 1)) for moment, kept in zip((mean, square), keep, strict=True)]
        x -= rate * corrected[0] / (np.sqrt(corrected[1]) + 1e-8)
        values.append(value)
    return x.astype("float32"), np.stack(values)


def draw_optimized(found: Optimized, path: str | os.PathLike, *, images: Any = None, title: str = "") -> None:
    """Writes a PNG with the images that were made, at most 16.

    Args:
        found: of `class_image`, `feature_image` or `inversion`.
        path: the PNG.
        images: shown before each of them, as the network takes them: those that were inverted.
        title: "": the method and its options.

    Raises:
        InputError: `found` is something else, the images have neither 1 nor 3 channels, or are of another shape.
        OSError: the file cannot be written.
    """
    if not isinstance(found, Optimized):
        raise InputError(f"found must be images that were made. Received: {type(found).__name__}")
    shown, labels, columns = list(pixels(found.images[:16], found.preprocessing)), list(found.names[:16]), None
    if images is not None:
        images = np.asarray(images, "float32")
        if images.shape != found.images.shape:
            raise InputError(f"images must have the shape {found.images.shape}. Received: {images.shape}")
        first = pixels(images[:16], found.preprocessing)
        shown = [tile for pair in zip(first, shown, strict=True) for tile in pair]
        labels, columns = [text for label in labels for text in ("image", label)], 4 if len(labels) > 1 else 2
    if not title:
        told = ", ".join(f"{key} {value:g}" for key, value in found.options.items() if isinstance(value, int | float))
        title = f"{found.method}: {told}"[:120]
    draw_tiles(path, shown, title=title, labels=labels, columns=columns)
