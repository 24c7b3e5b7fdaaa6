"""Top-1, top-5, loss and the confusion matrix of a classifier on a data set."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerascnn._errors import InputError
from kerascnn.evaluation.examples import Example

TINY = np.finfo(np.float32).tiny  # the smallest probability that float32 holds in full; keeps the loss finite


@dataclasses.dataclass(frozen=True)
class Report:
    """What `evaluate` measures."""

    top1: float  # share of examples whose class has the highest probability
    top5: float | None  # share whose class is among the five highest; None with five classes or fewer
    loss: float  # mean cross-entropy, nats
    confusion: np.ndarray  # int64 [classes, classes]: true class in rows, predicted class in columns
    class_names: tuple[str, ...]
    first: tuple[Example, ...] = dataclasses.field(default=(), repr=False)  # as many as `evaluate` was told to keep
    worst: tuple[Example, ...] = dataclasses.field(default=(), repr=False)  # mistakes, highest loss first

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


def measured(outputs: np.ndarray, logits: bool) -> tuple[np.ndarray, np.ndarray]:
    """What is measured of a network's outputs.

    Args:
        outputs: finite numbers, float64 [..., classes].
        logits: they are logits, of which the softmax is taken.

    Returns:
        Probabilities and their logarithms, both [..., classes]. The logarithms of logits are exact, however small the
        probability: x_k - log(sum(exp(x))); those of probabilities end at that of the smallest number of float32.

    Raises:
        InputError: they are neither; the message names the sum that is farthest from 1.
    """
    if logits:
        shifted = outputs - outputs.max(axis=-1, keepdims=True)
        logarithms = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        return np.exp(logarithms), logarithms
    sums = outputs.sum(axis=-1).ravel()
    if outputs.size and (outputs.min() < -1e-3 or np.abs(sums - 1).max() > 1e-2):
        raise InputError(
            "The model's outputs must be probabilities, or logits=True be given. Received: a row with the sum "
            f"{sums[np.argmax(np.abs(sums - 1))]:.4g}"
        )
    return outputs, np.log(np.maximum(outputs, TINY))


class Tally:
    """Counts of a classifier's answers, batch after batch."""

    def __init__(self, class_names: Sequence[str], logits: bool):
        self.class_names, self.logits = tuple(class_names), logits
        classes = len(self.class_names)
        self.confusion = np.zeros((classes, classes), np.int64)
        self.nats, self.among_five, self.examples = 0.0, 0, 0

    def add(self, outputs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Adds a batch.

        Args:
            outputs: finite, float64 [batch, classes].
            labels: integers [batch].

        Returns:
            Of each example the predicted class, the probability of it, and the loss in nats.

        Raises:
            InputError: outputs of another shape, or labels out of range.
        """
        labels, classes = labels.reshape(-1), len(self.class_names)
        if outputs.shape != (len(labels), classes):
            raise InputError(f"The model must give {classes} outputs, one per class. Received: {outputs.shape[1:]}")
        if len(labels) and (labels.min() < 0 or labels.max() >= classes):
            wrong = labels[(labels < 0) | (labels >= classes)][0]
            raise InputError(f"Labels must be in [0, {classes}). Received: {wrong}")
        shares, logarithms = measured(outputs, self.logits)
        rows, predicted = np.arange(len(labels)), outputs.argmax(axis=1)
        losses = -logarithms[rows, labels]
        self.nats += float(losses.sum())
        # Ties count against the model: a constant output is not five times right.
        self.among_five += int(((outputs >= outputs[rows, labels][:, None]).sum(axis=1) <= 5).sum())
        np.add.at(self.confusion, (labels, predicted), 1)
        self.examples += len(labels)
        return predicted, shares[rows, predicted], losses

    def report(self) -> Report:
        """What was counted.

        Raises:
            InputError: nothing was.
        """
        if not self.examples:
            raise InputError("There is nothing to evaluate on. Received: a data set without examples")
        return Report(
            top1=float(np.trace(self.confusion) / self.examples),
            top5=self.among_five / self.examples if len(self.class_names) > 5 else None,
            loss=self.nats / self.examples,
            confusion=self.confusion,
            class_names=self.class_names,
        )
