"""Top-1, top-5, loss and the confusion matrix of a model on a data set."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerascnn._errors import InputError

TINY = np.finfo(np.float32).tiny  # the smallest probability that float32 holds in full; keeps the loss finite


@dataclasses.dataclass(frozen=True)
class Report:
    """What `evaluate` measures."""

    top1: float  # share of examples whose class has the highest probability
    top5: float | None  # share whose class is among the five highest; None with five classes or fewer
    loss: float  # mean cross-entropy, nats
    confusion: np.ndarray  # int64 [classes, classes]: true class in rows, predicted class in columns
    class_names: tuple[str, ...]

    @property
    def examples(self) -> int:
        """How many examples were measured."""
        return int(self.confusion.sum())

    @property
    def recall(self) -> np.ndarray:
        """Share of each true class that was predicted right, float64 [classes]; NaN for classes without examples."""
        count = self.confusion.sum(axis=1)
        return np.where(count > 0, np.diag(self.confusion) / np.maximum(count, 1), np.nan)

    @property
    def heading(self) -> str:
        """The measures in a line."""
        top5 = "" if self.top5 is None else f", top-5 {self.top5:.2%}"
        return f"top-1 {self.top1:.2%}{top5} of {self.examples:,}"

    def cell(self, row: int, column: int) -> str:
        """What a picture of the confusion matrix shows in one of its cells."""
        return str(self.confusion[row, column])

    def confused(self, count: int = 10) -> list[tuple[int, int, int]]:
        """The most frequent mistakes: (true class, predicted class, how often), at most `count`, never zero often."""
        return most_confused(self.confusion, count)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {
            "examples": self.examples,
            "top1": self.top1,
            "top5": self.top5,
            "loss": self.loss,
            "class_names": list(self.class_names),
            "recall": [None if np.isnan(value) else float(value) for value in self.recall],
            "confusion": self.confusion.tolist(),
        }


def most_confused(confusion: np.ndarray, count: int) -> list[tuple[int, int, int]]:
    """The largest numbers beside the diagonal: (row, column, number), at most `count`, none of them zero."""
    wrong = confusion - np.diag(np.diag(confusion))
    order = np.argsort(-wrong, axis=None, kind="stable")[:count]
    pairs = (np.unravel_index(flat, wrong.shape) for flat in order)
    return [(int(i), int(j), int(wrong[i, j])) for i, j in pairs if wrong[i, j]]


def probabilities(outputs: np.ndarray, logits: bool) -> np.ndarray:
    """Outputs of a network as probabilities.

    Args:
        outputs: finite numbers [..., classes].
        logits: they are logits, of which the softmax is taken.

    Returns:
        Probabilities [..., classes].

    Raises:
        InputError: they are neither; the message names the sum that is farthest from 1.
    """
    if logits:
        outputs = np.exp(outputs - outputs.max(axis=-1, keepdims=True))
        return outputs / outputs.sum(axis=-1, keepdims=True)
    sums = outputs.sum(axis=-1).ravel()
    if outputs.size and (outputs.min() < -1e-3 or np.abs(sums - 1).max() > 1e-2):
        raise InputError(
            "The model's outputs must be probabilities, or logits=True be given. Received: a row with the sum "
            f"{sums[np.argmax(np.abs(sums - 1))]:.4g}"
        )
    return outputs


def evaluate(
    model: keras.Model,
    dataset: tf.data.Dataset,
    class_names: Sequence[str],
    *,
    logits: bool = False,
    advance: Callable[[int], None] | None = None,
) -> Report:
    """Measures a classifier.

    Args:
        model: images [batch, height, width, channels] to probabilities [batch, classes].
        dataset: batches (images, integer labels [batch]), finite.
        class_names: one per class.
        logits: the model ends before its softmax.
        advance: called with the number of examples after each batch; for a progress bar.

    Returns:
        The report, computed in float64.

    Raises:
        InputError: outputs of another shape, NaN or infinite outputs, outputs that are no probabilities, labels out of
            range, no examples, images of another shape than the model's.
    """
    classes = len(class_names)
    confusion = np.zeros((classes, classes), np.int64)
    nats, among_five, broken, examples = 0.0, 0, 0, 0
    check_input(model, dataset)
    for images, labels in dataset:
        outputs = np.asarray(model.predict_on_batch(images), np.float64)
        labels = np.asarray(labels).reshape(-1)
        _check(outputs, labels, classes)
        finite = np.isfinite(outputs).all(axis=1)
        broken += int((~finite).sum())
        examples += len(labels)
        outputs, labels = outputs[finite], labels[finite]
        outputs = probabilities(outputs, logits)
        own = outputs[np.arange(len(labels)), labels]
        nats -= float(np.log(np.maximum(own, TINY)).sum())
        # Ties count against the model: a constant output is not five times right.
        among_five += int(((outputs >= own[:, None]).sum(axis=1) <= 5).sum())
        np.add.at(confusion, (labels, outputs.argmax(axis=1)), 1)
        if advance:
            advance(len(labels))
    if not examples:
        raise InputError("There is nothing to evaluate on. Received: a data set without examples")
    if broken:
        raise InputError(f"The model's outputs must be finite. Received: NaN or infinity for {broken} of {examples}")
    return Report(
        top1=float(np.trace(confusion) / examples),
        top5=among_five / examples if classes > 5 else None,
        loss=nats / examples,
        confusion=confusion,
        class_names=tuple(class_names),
    )


def check_input(model: keras.Model, dataset: tf.data.Dataset) -> None:
    """Refuses images of another shape than the model's.

    Raises:
        InputError: they are.
    """
    expected, found = tuple(model.input_shape[1:]), tuple(dataset.element_spec[0].shape[1:])
    if not dataset.element_spec[0].shape[1:].is_compatible_with(expected):
        raise InputError(f"The model takes images of shape {expected}. Received: {found}")


def _check(outputs: np.ndarray, labels: np.ndarray, classes: int):
    if outputs.shape != (len(labels), classes):
        raise InputError(f"The model must give {classes} outputs, one per class. Received: {outputs.shape[1:]}")
    if len(labels) and (labels.min() < 0 or labels.max() >= classes):
        wrong = labels[(labels < 0) | (labels >= classes)][0]
        raise InputError(f"Labels must be in [0, {classes}). Received: {wrong}")
