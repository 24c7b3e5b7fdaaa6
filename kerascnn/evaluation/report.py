"""Top-1, top-5, loss and the confusion matrix of a classifier on a data set."""

import dataclasses
from typing import Any

import numpy as np

from kerascnn import _check
from kerascnn.evaluation.answers import Answers
from kerascnn.evaluation.calibration import Calibration
from kerascnn.evaluation.examples import Example
from kerascnn.evaluation.intervals import wilson


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
    calibration: Calibration | None = dataclasses.field(default=None, repr=False)
    answers: Answers | None = dataclasses.field(default=None, repr=False)  # where `evaluate` was told to keep them

    @property
    def examples(self) -> int:
        """How many examples were measured."""
        return int(self.confusion.sum())

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true top-1 lies in 95 of 100 cases, as far as the number of examples tells (`wilson`)."""
        return wilson(int(np.trace(self.confusion)), self.examples)

    @property
    def interval5(self) -> tuple[float, float] | None:
        """The same of top-5; None where that is."""
        return None if self.top5 is None else wilson(round(self.top5 * self.examples), self.examples)

    @property
    def precision(self) -> np.ndarray:
        """Share of each predicted class that was right, float64 [classes]; NaN for classes never predicted."""
        count = self.confusion.sum(axis=0)
        return np.where(count > 0, np.diag(self.confusion) / np.maximum(count, 1), np.nan)

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
        return most_confused(self.confusion, _check.whole("count", count, 0))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {
            "examples": self.examples,
            "top1": self.top1,
            "top1_interval": list(self.interval),
            "top5": self.top5,
            "top5_interval": None if self.interval5 is None else list(self.interval5),
            "loss": self.loss,
            "calibration": None if self.calibration is None else self.calibration.to_dict(),
            "class_names": list(self.class_names),
            "recall": _plain(self.recall),
            "precision": _plain(self.precision),
            "confusion": self.confusion.tolist(),
        }


def _plain(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]


def most_confused(confusion: np.ndarray, count: int) -> list[tuple[int, int, int]]:
    """The largest numbers beside the diagonal: (row, column, number), at most `count`, none of them zero."""
    wrong = confusion - np.diag(np.diag(confusion))
    order = np.argsort(-wrong, axis=None, kind="stable")[:count]
    pairs = (np.unravel_index(flat, wrong.shape) for flat in order)
    return [(int(i), int(j), int(wrong[i, j])) for i, j in pairs if wrong[i, j]]
