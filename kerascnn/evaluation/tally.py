"""Counting a classifier's answers, batch after batch."""

from collections.abc import Sequence

import numpy as np

from kerascnn._errors import InputError
from kerascnn.evaluation.answers import Answers
from kerascnn.evaluation.calibration import brier_scores, from_confidences
from kerascnn.evaluation.outputs import measured
from kerascnn.evaluation.report import Report


def report_of(answers: Answers) -> Report:
    """What `evaluate` measures, from answers that are at hand.

    Args:
        answers: of a network, or combined ones of several.

    Returns:
        The report.

    Example:

        report_of(Answers.of([[0.9, 0.1], [0.4, 0.6]], [0, 0], ["cat", "dog"])).top1  # 0.5
    """
    tally = Tally(answers.class_names, logits=True)
    tally.add(answers.logarithms.astype(np.float64), answers.labels)
    return tally.report()


class Tally:
    """Counts of a classifier's answers, batch after batch.

    Args:
        class_names: one per class.
        logits: whether the outputs are logits.
        keep: keep all answers, [examples, classes], for `Report.answers`.
    """

    def __init__(self, class_names: Sequence[str], logits: bool, keep: bool = False):
        self.class_names, self.logits, self._keep = tuple(class_names), logits, keep
        classes = len(self.class_names)
        self.confusion = np.zeros((classes, classes), np.int64)
        self.nats, self.among_five, self.examples, self.brier = 0.0, 0, 0, 0.0
        # Of each example: confidence and whether it is right; and, where they are kept, logarithms and label.
        self._confidences: list[np.ndarray] = []
        self._right: list[np.ndarray] = []
        self._kept: list[tuple[np.ndarray, np.ndarray]] = []

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
        self.brier += float(brier_scores(shares, labels).sum())
        self._confidences.append(shares[rows, predicted].astype(np.float32))
        self._right.append(predicted == labels)
        if self._keep:
            self._kept.append((logarithms.astype(np.float32), labels.astype(np.int64)))
        return predicted, shares[rows, predicted], losses

    def report(self) -> Report:
        """What was counted.

        Raises:
            InputError: nothing was.
        """
        if not self.examples:
            raise InputError("There is nothing to evaluate on. Received: a data set without examples")
        kept = None
        if self._keep:
            logarithms, labels = map(np.concatenate, zip(*self._kept, strict=True))
            kept = Answers(logarithms, labels, self.class_names)
        return Report(
            top1=float(np.trace(self.confusion) / self.examples),
            top5=self.among_five / self.examples if len(self.class_names) > 5 else None,
            loss=self.nats / self.examples,
            confusion=self.confusion,
            class_names=self.class_names,
            calibration=from_confidences(
                np.concatenate(self._confidences),
                np.concatenate(self._right),
                loss=self.nats / self.examples,
                brier=self.brier / self.examples,
            ),
            answers=kept,
        )
