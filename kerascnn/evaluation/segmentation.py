"""Mean IoU, pixel accuracy, loss and the confusion matrix of a network for segmentation on a data set."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerascnn._errors import InputError
from kerascnn.data.masks import IGNORE
from kerascnn.evaluation.examples import Example
from kerascnn.evaluation.outputs import measured
from kerascnn.evaluation.report import most_confused


@dataclasses.dataclass(frozen=True)
class SegmentationReport:
    """What `evaluate` measures of a network for segmentation, over all pixels of all images that have a class."""

    loss: float  # mean over the images of the mean cross-entropy over their pixels, nats
    confusion: np.ndarray  # int64 [classes, classes]: pixels, true class in rows, predicted class in columns
    class_names: tuple[str, ...]
    examples: int  # images
    first: tuple[Example, ...] = dataclasses.field(default=(), repr=False)  # as many as `evaluate` was told to keep
    worst: tuple[Example, ...] = dataclasses.field(default=(), repr=False)  # mistakes, highest loss first

    @property
    def iou(self) -> np.ndarray:
        """Intersection / union of each class, float64 [classes]; NaN where the class is neither true nor predicted."""
        both = np.diag(self.confusion)
        union = self.confusion.sum(axis=0) + self.confusion.sum(axis=1) - both
        return np.where(union > 0, both / np.maximum(union, 1), np.nan)

    @property
    def mean_iou(self) -> float:
        """Mean of `iou` over the classes that have one (Everingham et al. 2015, doi.org/10.1007/s11263-014-0733-5)."""
        return float(np.nanmean(self.iou))

    @property
    def pixel_accuracy(self) -> float:
        """Share of the pixels that were given their class."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def recall(self) -> np.ndarray:
        """Share of each true class' pixels that was predicted right, float64 [classes]; NaN without pixels."""
        count = self.confusion.sum(axis=1)
        return np.where(count > 0, np.diag(self.confusion) / np.maximum(count, 1), np.nan)

    @property
    def heading(self) -> str:
        """The measures in a line."""
        return f"mean IoU {self.mean_iou:.2%}, pixel accuracy {self.pixel_accuracy:.2%} of {self.examples:,} images"

    def cell(self, row: int, column: int) -> str:
        """What a picture of the confusion matrix shows in one of its cells: a share of the row."""
        return f"{self.confusion[row, column] / self.confusion[row].sum():.1%}"

    def confused(self, count: int = 10) -> list[tuple[int, int, int]]:
        """The most frequent mistakes: (true class, predicted class, pixels), at most `count`, never zero pixels."""
        return most_confused(self.confusion, count)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a JSON file."""

        def listed(values):
            return [None if np.isnan(value) else float(value) for value in values]

        return {
            "examples": self.examples,
            "mean_iou": self.mean_iou,
            "pixel_accuracy": self.pixel_accuracy,
            "loss": self.loss,
            "class_names": list(self.class_names),
            "iou": listed(self.iou),
            "recall": listed(self.recall),
            "confusion": self.confusion.tolist(),
        }


class PixelTally:
    """Counts of the answers of a network for segmentation, batch after batch."""

    def __init__(self, class_names: Sequence[str], logits: bool):
        self.class_names, self.logits = tuple(class_names), logits
        classes = len(self.class_names)
        self.confusion, self.nats, self.examples = np.zeros((classes, classes), np.int64), 0.0, 0

    def add(self, outputs: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Adds a batch.

        Args:
            outputs: finite, float64 [batch, height, width, classes].
            masks: integers [batch, height, width]; 255: no class, not counted.

        Returns:
            Of each image the predicted classes [batch, height, width], the share of its pixels that is right, and the
            mean loss over its pixels in nats.

        Raises:
            InputError: outputs of another shape, or masks out of range.
        """
        classes = len(self.class_names)
        if outputs.shape != (*masks.shape, classes):
            raise InputError(
                f"The model must give {classes} outputs for each pixel of a mask {masks.shape[1:]}. "
                f"Received: {outputs.shape[1:]}"
            )
        known = masks != IGNORE
        if known.any() and not 0 <= masks[known].min() <= masks[known].max() < classes:
            wrong = masks[known & ((masks < 0) | (masks >= classes))][0]
            raise InputError(f"Masks must hold numbers in [0, {classes}) or {IGNORE}. Received: {wrong}")
        predicted = outputs.argmax(axis=-1)
        _, logarithms = measured(outputs, self.logits)
        own = np.take_along_axis(logarithms, np.where(known, masks, 0)[..., None], axis=-1)[..., 0]
        pixels = np.maximum(known.sum(axis=(1, 2)), 1)
        losses = np.where(known, -own, 0.0).sum(axis=(1, 2)) / pixels
        self.nats += float(losses.sum())
        cells = masks[known].astype(np.int64) * classes + predicted[known]
        self.confusion += np.bincount(cells, minlength=classes**2).reshape(classes, classes)
        self.examples += len(masks)
        return predicted, (known & (predicted == masks)).sum(axis=(1, 2)) / pixels, losses

    def report(self) -> SegmentationReport:
        """What was counted.

        Raises:
            InputError: nothing was.
        """
        if not self.confusion.sum():
            raise InputError("There is nothing to evaluate on. Received: a data set without a pixel that has a class")
        return SegmentationReport(self.nats / self.examples, self.confusion, self.class_names, self.examples)
