"""One sheet for several methods: an image, and beside it what each of them says of it."""

import math
import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kerascnn import _check, _figures
from kerascnn._errors import InputError
from kerascnn.explain.drawing import POSITIVE, SIGNED, name_of, over, stretched
from kerascnn.explain.explanation import Explanation

_MOST = 8  # images
_INCHES = 2.5  # side of a picture, at 100 dots per inch


def draw_sheet(
    explanations: Sequence[Explanation],
    images: npt.ArrayLike,
    path: str | os.PathLike,
    *,
    class_names: Sequence[str] | None = None,
    columns: int = 4,
) -> None:
    """Writes a PNG: for each image, at most 8, the image and the map of each explanation over it.

    Maps are drawn as by `draw`, each on a scale of its own; below are the two scales of colors.

    Args:
        explanations: of several methods, of the same images.
        images: the images that were explained, [n, height, width, 1 or 3], of any range, which is stretched.
        path: the PNG.
        class_names: by class; None: the number is shown.
        columns: pictures in a row.

    Raises:
        InputError: an explanation is none, or is not of these images.
        OSError: the file cannot be written.

    Example:

        model = kerascnn.create_model("resnet20", weights="fashion_mnist")
        found = [method(model, images) for method in (kerascnn.explain.gradients, kerascnn.explain.grad_cam)]
        kerascnn.explain.draw_sheet(found, images, "sheet.png")
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure  # here, since most uses of this package draw nothing

    columns = _check.whole("columns", columns, 1)
    images = np.asarray(images, "float32")
    if not explanations or not all(isinstance(x, Explanation) for x in explanations):
        raise InputError(f"explanations must be what methods return, at least one. Received: {str(explanations)[:80]}")
    for found in explanations:
        if images.ndim != 4 or found.maps.shape != images.shape[:3] or images.shape[3] not in (1, 3):
            raise InputError(
                f"images must be those of all explanations, {found.maps.shape} and 1 or 3 channels. "
                f"Received: {images.shape}"
            )
    count, (height, width) = min(len(images), _MOST), images.shape[1:3]
    rows = math.ceil((1 + len(explanations)) / columns)
    cell = _INCHES * min(2.0, max(0.5, height / width)) + 0.25
    tall = count * rows * cell + 0.6
    figure = Figure(figsize=(columns * _INCHES, tall), dpi=100, layout="constrained")
    grid = figure.subplots(count * rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for index in range(count):
        cells = iter(grid[index * rows : (index + 1) * rows].flat)
        image = stretched(images[index])
        first = next(cells)
        first.imshow(image)
        found = explanations[0]
        first.set_title(f"{name_of(int(found.target[index]), class_names)}: {found.scores[index]:.1f}", fontsize=11)
        for found, axes in zip(explanations, cells, strict=False):
            over(axes, image, found.maps[index])
            axes.set_title(found.method.replace("_", " "), fontsize=11)
    bars = (POSITIVE, 0, "counts: 0 to most"), (SIGNED, -1, "counts against the class, 0, for it")
    for number, (colors, low, label) in enumerate(bars):
        axes = figure.add_axes((0.06 + 0.47 * number, 0.32 / tall, 0.41, 0.08 / tall))
        axes.set_in_layout(False)
        scale = ScalarMappable(cmap=colors)
        scale.set_clim(low, 1)
        figure.colorbar(scale, cax=axes, orientation="horizontal", ticks=[]).set_label(label, fontsize=10)
    figure.get_layout_engine().set(rect=(0, 0.5 / tall, 1, 1 - 0.5 / tall))
    _figures.save(figure, path)
