"""Single examples of an evaluation: the first ones and the worst mistakes, kept small, and a picture of them."""

import dataclasses
import os
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from kerascnn import _figures
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.data.masks import IGNORE
from kerascnn.evaluation.drawing import plot_segmentation

_SIDE = 256  # pixels of a kept image, at most: so that a few dozen need little memory
_COLUMNS = 6
_LABEL = 20  # letters of a class name in the picture


@dataclasses.dataclass(frozen=True, eq=False)
class Example:
    """One example and what a network says of it."""

    index: int  # in the data set, from 0
    image: np.ndarray  # uint8 [height, width, channels], as the network sees it
    true: int | np.ndarray  # class, or mask [height, width]
    predicted: int | np.ndarray
    share: float  # probability of the predicted class; of a mask, the share of the pixels that are right
    loss: float  # nats


class Kept:
    """Keeps the first examples and the wrong ones of the highest loss.

    Args:
        count: how many of each, at most.
        preprocessing: what was done to the pixels.
    """

    def __init__(self, count: int, preprocessing: Preprocessing):
        self._count, self._preprocessing, self._seen = count, preprocessing, 0
        self.first: list[Example] = []
        self.worst: list[Example] = []

    def add(
        self, images: np.ndarray, labels: np.ndarray, predicted: np.ndarray, shares: np.ndarray, losses: np.ndarray
    ):
        """Looks at a batch: images as the network gets them, and what `Tally.add` gives."""
        wrong = (labels != predicted) & (labels != IGNORE if labels.ndim > 1 else True)
        wrong = wrong.reshape(len(labels), -1).any(axis=1)
        bar = self.worst[-1].loss if len(self.worst) == self._count else -np.inf
        for row in range(len(labels)):
            first = len(self.first) < self._count
            worse = wrong[row] and losses[row] > bar
            if first or worse:
                example = self._example(images[row], labels[row], predicted[row], shares[row], losses[row], row)
                if first:
                    self.first.append(example)
                if worse:
                    self.worst.append(example)
        self.worst = sorted(self.worst, key=lambda example: -example.loss)[: self._count]
        self._seen += len(labels)

    def _example(self, image, label, predicted, share, loss, row) -> Example:
        constants = self._preprocessing.for_channels(image.shape[-1])
        pixels = 255 * (image * np.array(constants.std) + np.array(constants.mean))
        every = -(-max(image.shape[:2]) // _SIDE)
        pixels = np.clip(np.round(pixels[::every, ::every]), 0, 255).astype(np.uint8)
        answers = (
            value[::every, ::every].astype(np.uint8) if value.ndim else int(value) for value in (label, predicted)
        )
        return Example(self._seen + row, pixels, *answers, float(share), float(loss))


def plot_examples(
    examples: Sequence[Example], class_names: Sequence[str], path: str | os.PathLike, title: str = ""
) -> None:
    """Writes a PNG: each image with the predicted class and its probability, in red beside the true one where that is
    another; masks are drawn over their images.

    Args:
        examples: of `Report.first` or `Report.worst`, at least one; the picture shows 24, of masks 6.
        class_names: in the order of the numbers.
        path: the PNG.
        title: above all.

    Raises:
        InputError: there is no example.
    """
    if not examples:
        raise InputError("There must be an example to draw. Received: none")
    if isinstance(examples[0].true, np.ndarray):
        chosen = examples[:_COLUMNS]
        images, masks, predicted = ([getattr(x, name) for x in chosen] for name in ("image", "true", "predicted"))
        plot_segmentation(images, masks, predicted, class_names, path, title)
        return
    chosen = examples[: 4 * _COLUMNS]
    columns = min(_COLUMNS, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = Figure(figsize=(max(1.7 * columns, 3.4), 2.15 * rows + 0.4 * bool(title)), dpi=120, layout="constrained")
    for axes in figure.subplots(rows, columns, squeeze=False).flat:
        axes.axis("off")
    for axes, example in zip(figure.axes, chosen, strict=False):
        picture = np.broadcast_to(example.image, [*example.image.shape[:2], 3])
        axes.imshow(picture, interpolation="nearest" if max(picture.shape) < 64 else None)
        right = example.true == example.predicted
        text = f"{_short(class_names[example.predicted])}, {example.share:.0%}"
        text += "" if right else f"\ntrue: {_short(class_names[example.true])}"
        axes.set_title(text, fontsize=8, color="black" if right else "#c00000", parse_math=False)
    if title:
        figure.suptitle(title, fontsize=10, parse_math=False)
    _figures.save(figure, path)


def _short(name: str) -> str:
    return textwrap.shorten(name, _LABEL, placeholder="…") or name[:_LABEL]
