"""Masks drawn over images."""

import colorsys
import os
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.text import Text

from kerascnn import _figures
from kerascnn._errors import InputError
from kerascnn.data.masks import IGNORE

_OPACITY = 0.55
_ROW = 2.0  # inches of an image in a picture of several
_LABEL = 18  # letters in a line beside a row
_LISTED = 24  # classes in a legend, at most
_SIDE = 1600  # pixels of a side that are drawn, at most
_LONGEST = 8  # times as long as wide, or as wide as long: a picture of a longer image is compressed to that


def class_colors(class_names: Sequence[str]) -> np.ndarray:
    """A color for each class, always the same for the same number.

    Args:
        class_names: in the order of the numbers.

    Returns:
        float64 [classes, 3], red, green and blue from 0 to 1.
    """
    strong = colormaps["tab10"].colors[:7] + colormaps["tab10"].colors[8:]  # without its gray
    colors = [colorsys.hsv_to_rgb(0.618034 * number % 1, 0.8, 0.95) for number in range(len(class_names))]
    first = 1 if class_names and class_names[0] == "background" else 0
    colors[first : first + len(strong)] = strong[: len(class_names) - first]
    return np.array(colors, np.float64)


def overlay(image: np.ndarray, mask: np.ndarray, class_names: Sequence[str]) -> np.ndarray:
    """An image with its mask in colors over it, and the borders between classes in white.

    Args:
        image: uint8 [height, width, 1 or 3].
        mask: [height, width] class numbers; a class 0 called "background" stays clear, what has no class becomes gray.
        class_names: in the order of the numbers.

    Returns:
        uint8 [height, width, 3].

    Raises:
        InputError: the mask is not of the image's size.
    """
    if image.shape[:2] != mask.shape:
        raise _other_size(image, mask)
    pixels = np.broadcast_to(image, [*mask.shape, 3]) / 255
    colors = np.full([IGNORE + 1, 3], 0.5)
    colors[: len(class_names)] = class_colors(class_names)
    opacity = np.full([IGNORE + 1], _OPACITY)
    if class_names[0] == "background":
        opacity[0] = 0
    share = opacity[mask][..., None]
    gray = pixels @ (0.299, 0.587, 0.114)  # under a color, so that the image's own does not change it
    drawn = np.where(share > 0, gray[..., None] * (1 - share) + colors[mask] * share, pixels)
    edge = np.zeros(mask.shape, bool)
    edge[:, 1:] |= mask[:, 1:] != mask[:, :-1]
    edge[1:] |= mask[1:] != mask[:-1]
    drawn[edge] = 0.25 * drawn[edge] + 0.75
    return np.round(255 * drawn).astype(np.uint8)


def plot_segmentation(
    images: Sequence[np.ndarray],
    masks: Sequence[np.ndarray] | None,
    predictions: Sequence[np.ndarray] | Mapping[str, Sequence[np.ndarray]],
    class_names: Sequence[str],
    path: str | os.PathLike,
    title: str = "",
) -> None:
    """Writes a PNG: images in columns; each alone, with its true mask, and with the predicted ones drawn over it.

    Args:
        images: uint8 [height, width, 1 or 3] each.
        masks: [height, width] true class numbers each, 255 where there is none; None: not known.
        predictions: [height, width] predicted class numbers each; of several networks by their names.
        class_names: in the order of the numbers.
        path: the PNG.
        title: above all.

    Raises:
        InputError: no image, or not as many masks and predictions as images, or of other sizes.
    """
    named = predictions if isinstance(predictions, Mapping) else {"prediction": predictions}
    rows = [*([] if masks is None else [("truth", masks)]), *named.items()]
    counts = {len(images), *(len(drawn) for _, drawn in rows)}
    if len(counts) != 1 or 0 in counts:
        raise InputError(f"There must be as many masks as images, one at least. Received: {sorted(counts)}")
    aspect = float(np.clip(max(image.shape[0] / image.shape[1] for image in images), 1 / _LONGEST, _LONGEST))
    listed = _legend(class_names, [mask for _, drawn in rows for mask in drawn])
    rows = [("image", None), *rows]
    size = (max(_ROW * len(images), 4.0) + 0.4, _ROW * aspect * len(rows) + 0.45 + 0.35 * bool(title))
    figure = Figure(figsize=size, dpi=120, layout="constrained")
    grid = figure.subplots(len(rows), len(images), squeeze=False)
    for axes_row, (label, drawn) in zip(grid, rows, strict=True):
        for index, axes in enumerate(axes_row):
            picture = _for_screen(images[index])
            if drawn is None:
                axes.imshow(np.broadcast_to(picture, [*picture.shape[:2], 3]))
            else:
                if drawn[index].shape != images[index].shape[:2]:
                    raise _other_size(images[index], drawn[index])
                axes.imshow(overlay(picture, _for_screen(drawn[index]), class_names))
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        axes_row[0].set_ylabel(textwrap.fill(label, _LABEL))
    figure.legend(handles=listed, loc="outside lower center", ncols=min(len(listed), 6), frameon=False)
    figure.suptitle(title)
    _figures.save(without_formulas(figure), path)


def plot_overlay(image: np.ndarray, mask: np.ndarray, class_names: Sequence[str], path: str | os.PathLike) -> None:
    """Writes a PNG of one image with its mask over it, and the share of the pixels of each class below.

    Args:
        image: uint8 [height, width, 1 or 3].
        mask: [height, width] class numbers.
        class_names: in the order of the numbers.
        path: the PNG.
    """
    shares = np.bincount(mask.ravel(), minlength=IGNORE + 1) / mask.size
    image, mask = _for_screen(image), _for_screen(mask)
    aspect = float(np.clip(image.shape[0] / image.shape[1], 1 / _LONGEST, _LONGEST))
    width = float(np.clip(min(image.shape[1] / 100, 10 / aspect), 4.5, 10))
    listed = _legend(class_names, [mask], shares)
    columns = max(1, int(width / 2))
    size = (width, width * aspect + 0.15 + 0.26 * -(-len(listed) // columns))
    figure = Figure(figsize=size, dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.imshow(overlay(image, mask, class_names), aspect="auto" if max(aspect, 1 / aspect) == _LONGEST else "equal")
    axes.axis("off")
    figure.legend(handles=listed, loc="outside lower center", ncols=columns, frameon=False)
    _figures.save(without_formulas(figure), path)


def without_formulas(figure: Figure) -> Figure:
    """The figure with each dollar sign as it is: a class may be called "$\\frac"."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    return figure


def _for_screen(values: np.ndarray) -> np.ndarray:
    """Every nth row and column, so that no side is longer than a screen's: what is drawn takes no more memory."""
    rows, columns = (-(-size // _SIDE) for size in values.shape[:2])
    return values[::rows, ::columns]


def _other_size(image, mask) -> InputError:
    return InputError(f"The mask must be of the image's size {image.shape[:2]}. Received: {mask.shape}")


def _legend(class_names, masks, shares=None):
    """A patch for each class that is in one of the masks, the most frequent first where shares are given."""
    colors = class_colors(class_names)
    found = [number for number in range(len(class_names)) if any((mask == number).any() for mask in masks)]
    if shares is not None:
        found.sort(key=lambda number: -shares[number])
    patches = []
    for number in found[:_LISTED]:
        clear = number == 0 and class_names[0] == "background"
        label = class_names[number] if shares is None else f"{class_names[number]} {shares[number]:.1%}"
        patches.append(Patch(facecolor="white" if clear else colors[number], edgecolor="0.4", label=label))
    return patches
