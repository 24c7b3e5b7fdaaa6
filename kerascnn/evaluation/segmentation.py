"""Mean IoU, pixel accuracy, loss and the confusion matrix of a network for segmentation on a data set."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.data.masks import IGNORE
from kerascnn.evaluation.report import TINY, check_input, most_confused, probabilities


@dataclasses.dataclass(frozen=True)
class SegmentationReport:
    """What `evaluate_segmentation` measures, over all pixels of all images that have a class."""

    loss: float  # mean over the images of the mean cross-entropy over their pixels, nats
    confusion: np.ndarray  # int64 [classes, classes]: pixels, true class in rows, predicted class in columns
    class_names: tuple[str, ...]
    examples: int  # images

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


def evaluate_segmentation(
    model: keras.Model,
    dataset: tf.data.Dataset,
    class_names: Sequence[str],
    *,
    logits: bool = False,
    advance: Callable[[int], None] | None = None,
) -> SegmentationReport:
    """Measures a network for segmentation at the size of its input.

    Args:
        model: images [batch, height, width, channels] to probabilities [batch, height, width, classes].
        dataset: batches (images, integer masks [batch, height, width]), finite; 255 in a mask: no class, not counted.
        class_names: one per class.
        logits: the model ends before its softmax.
        advance: called with the number of images after each batch; for a progress bar.

    Returns:
        The report, computed in float64.

    Raises:
        InputError: outputs of another shape, NaN or infinite outputs, outputs that are no probabilities, masks out of
            range, no pixel that has a class, images of another shape than the model's.
    """
    classes = len(class_names)
    check_input(model, dataset)
    confusion, nats, examples = np.zeros((classes, classes), np.int64), 0.0, 0
    for images, masks in dataset:
        outputs = np.asarray(model.predict_on_batch(images), np.float64)
        masks = np.asarray(masks)
        if outputs.shape != (*masks.shape, classes):
            raise InputError(
                f"The model must give {classes} outputs for each pixel of a mask {masks.shape[1:]}. "
                f"Received: {outputs.shape[1:]}"
            )
        known = masks != IGNORE
        if known.any() and not 0 <= masks[known].min() <= masks[known].max() < classes:
            wrong = masks[known & ((masks < 0) | (masks >= classes))][0]
            raise InputError(f"Masks must hold numbers in [0, {classes}) or {IGNORE}. Received: {wrong}")
        if not np.isfinite(outputs).all():
            raise InputError("The model's outputs must be finite. Received: NaN or infinity")
        outputs = probabilities(outputs, logits)
        own = np.take_along_axis(outputs, np.where(known, masks, 0)[..., None], axis=-1)[..., 0]
        each = np.where(known, -np.log(np.maximum(own, TINY)), 0.0)
        nats += float((each.sum(axis=(1, 2)) / np.maximum(known.sum(axis=(1, 2)), 1)).sum())
        cells = masks[known].astype(np.int64) * classes + outputs.argmax(axis=-1)[known]
        confusion += np.bincount(cells, minlength=classes**2).reshape(classes, classes)
        examples += len(masks)
        if advance:
            advance(len(masks))
    if not confusion.sum():
        raise InputError("There is nothing to evaluate on. Received: a data set without a pixel that has a class")
    return SegmentationReport(nats / examples, confusion, tuple(class_names), examples)
