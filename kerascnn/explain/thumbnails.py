"""Images at their places on a plane."""

import os

import keras
import numpy as np
import numpy.typing as npt

from kerascnn import _figures
from kerascnn._errors import InputError
from kerascnn.explain.codes import Plane
from kerascnn.explain.explanation import checked_images
from kerascnn.explain.inner import constants_of, pixels

_MOST = 400  # thumbnails; more would cover each other


def draw_plane(
    found: Plane,
    model: keras.Model,
    images: npt.ArrayLike,
    path: str | os.PathLike,
    *,
    labels: npt.ArrayLike | None = None,
    title: str = "",
) -> None:
    """Writes a PNG with small images at their points, at most 400 of them, the first ones; with labels each has a frame
    in its class's color.

    Args:
        found: of `plane`.
        model: whose images they are, as it takes them.
        images: one a point.
        path: the PNG.
        labels: classes, one a point; None: no frames.
        title: "": the method.

    Raises:
        InputError: an argument cannot be used.
        OSError: the file cannot be written.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    if not isinstance(found, Plane):
        raise InputError(f"found must be what plane returns. Received: {type(found).__name__}")
    images = checked_images(model, images)
    if len(images) != len(found.points):
        raise InputError(f"images must be one a point, {len(found.points)}. Received: {len(images)}")
    classes = None if labels is None else np.unique(np.asarray(labels), return_inverse=True)[1]
    if classes is not None and classes.shape != (len(images),):
        raise InputError(f"labels must be one a point, {len(images)}. Received: shape {np.shape(labels)}")
    shown = pixels(images[:_MOST], constants_of(model))
    points = found.points[: len(shown)]
    low, spread = points.min(axis=0), np.ptp(points, axis=0)
    places = (points - low) / np.where(spread > 0, spread, 1)
    figure = Figure(figsize=(10, 9), dpi=100, layout="constrained")
    axes = figure.subplots()
    half = 0.5 * min(0.08, 0.7 / np.sqrt(len(shown)))
    height, width = images.shape[1:3]
    tall, wide = half * min(1, height / width), half * min(1, width / height)
    count = 1 if classes is None else int(classes.max()) + 1
    colors = colormaps["viridis"](np.linspace(0, 1, max(count, 2)))
    for index, (picture, (x, y)) in enumerate(zip(shown, places, strict=True)):
        place = (x - wide, x + wide, y - tall, y + tall)
        axes.imshow(picture, extent=place, zorder=2 + index, interpolation="antialiased")
        if classes is not None:
            frame = [x - wide, x + wide, x + wide, x - wide, x - wide]
            sides = [y - tall, y - tall, y + tall, y + tall, y - tall]
            axes.plot(frame, sides, color=colors[classes[index]], linewidth=2, zorder=2 + index)
    if classes is not None and count <= 20:
        names = np.unique(np.asarray(labels))
        for name, color in zip(names, colors, strict=False):
            axes.plot([], [], color=color, linewidth=4, label=str(name)[:24])
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
    axes.set(xlim=(-0.06, 1.06), ylim=(-0.06, 1.06), xticks=[], yticks=[], aspect="auto")
    axes.set_title(title or f"{found.method}, {found.told}, {len(shown)} of {len(images)} images", fontsize=11)
    _figures.save(figure, path)
