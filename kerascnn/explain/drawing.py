"""Pictures of explanations: each image, and its map over it."""

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kerascnn import _figures
from kerascnn._errors import InputError
from kerascnn.explain.explanation import BY_FUNCTION, Explanation

_MOST = 16  # rows of a picture
POSITIVE, SIGNED = "inferno", "berlin"  # of even steps of lightness; the second has 0 in its dark middle


def draw(
    explanation: Explanation,
    images: npt.ArrayLike,
    path: str | os.PathLike,
    *,
    class_names: Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
) -> None:
    """Writes a PNG: a row for each image, at most 16, with the image, and its map over the dimmed image.

    Each map has a scale of its own, from 0 to the absolute value that one pixel in 200 exceeds, so that a few pixels do
    not leave the others pale. What is 0 leaves the image as it is; what counts goes from dark violet to yellow, or in a
    map with negative values from black to blue where it counts against the class and to red where it counts for it, in
    colors of even steps that the color-blind tell apart.

    Args:
        explanation: of a method.
        images: the images that were explained, [n, height, width, 1 or 3], of any range, which is stretched.
        path: the PNG.
        class_names: by class; None: the number is shown.
        titles: of the images; None: none.

    Raises:
        InputError: `explanation` is none, or `images` do not belong to it.
        OSError: the file cannot be written.
    """
    from matplotlib.figure import Figure  # here, since most uses of this package draw nothing

    if not isinstance(explanation, Explanation):
        raise InputError(f"explanation must be what a method returns. Received: {type(explanation).__name__}")
    images = np.asarray(images, "float32")
    maps = explanation.maps
    if images.ndim != 4 or images.shape[:3] != maps.shape or images.shape[3] not in (1, 3):
        raise InputError(
            f"images must be those of the explanation, {maps.shape} and 1 or 3 channels. Received: {images.shape}"
        )
    count = min(len(images), _MOST)
    height, width = maps.shape[1:]
    cell = 3.0 * min(2.0, max(0.5, height / width))
    figure = Figure(figsize=(6.8, count * (cell + 0.35)), dpi=100, layout="constrained")
    for index, (left, right) in enumerate(figure.subplots(count, 2, squeeze=False)):
        image = stretched(images[index])
        left.imshow(image)
        left.set_title(_short(titles[index]) if titles else "", fontsize=9)
        target = int(explanation.target[index])
        name = name_of(target, class_names)
        over(right, image, maps[index])
        right.set_title(f"{explanation.method}: {name}, score {explanation.scores[index]:.2f}", fontsize=9)
        left.axis("off")
    _figures.save(figure, path)


def over(axes, image: np.ndarray, values: np.ndarray) -> None:
    """A map over the darkened image: the more a pixel counts, the less of the image is left.

    Args:
        axes: matplotlib's.
        image: [height, width, 3], from 0 to 1.
        values: [height, width].
    """
    signed, heights = values.min() < 0, np.abs(values)
    highest = (float(np.percentile(heights, 99.5)) or float(heights.max())) or 1.0
    axes.imshow(0.6 * image.mean(axis=-1, keepdims=True).repeat(3, axis=-1))
    axes.imshow(
        values,
        cmap=SIGNED if signed else POSITIVE,
        vmin=-highest if signed else 0.0,
        vmax=highest,
        alpha=np.clip(heights / highest, 0, 1),
    )
    axes.axis("off")


def stretched(image: np.ndarray) -> np.ndarray:
    """An image [height, width, 1 or 3] of any range as colors from 0 to 1, [height, width, 3]."""
    low, spread = float(image.min()), float(np.ptp(image)) or 1.0
    return ((image - low) / spread).repeat(3 // image.shape[-1], axis=-1)


def name_of(target: int, class_names: Sequence[str] | None) -> str:
    """What a title calls a target."""
    if target == BY_FUNCTION:
        return "of the outputs"
    return _short(class_names[target]) if class_names else f"class {target}"


def _short(text: str) -> str:
    """A name, not longer than a title."""
    return str(text)[:40]
