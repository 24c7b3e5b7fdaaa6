"""A network's answers about every example of a set, in memory: what calibration and ensembles are computed from."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from kerascnn import _check
from kerascnn.evaluation.outputs import check_answers, measured


@dataclasses.dataclass(frozen=True, eq=False)
class Answers:
    """Log-probabilities and labels; made by `evaluate(..., answers=True)` and `Answers.of`.

    Logarithms, because they are exact where a probability is too small for float32, and as good as the logits: the
    softmax of `logarithms / T` is that of `logits / T`.
    """

    logarithms: np.ndarray  # float32 [n, classes]
    labels: np.ndarray  # int64 [n]
    class_names: tuple[str, ...]

    @classmethod
    def of(
        cls, outputs: np.ndarray, labels: np.ndarray, class_names: Sequence[str], *, logits: bool = False
    ) -> "Answers":
        """Answers from arrays.

        Args:
            outputs: probabilities or logits [n, classes], finite.
            labels: integers [n].
            class_names: one per output.
            logits: whether `outputs` are logits.

        Returns:
            The answers.

        Raises:
            InputError: the shapes do not fit, a label is out of range, outputs are not finite, or they should be
                probabilities and are none.

        Example:

            evaluation.report_of(evaluation.Answers.of([[0.9, 0.1], [0.4, 0.6]], [0, 0], ["cat", "dog"])).top1  # 0.5
        """
        outputs, labels, names = np.asarray(outputs, np.float64), np.asarray(labels), tuple(class_names)
        check_answers(outputs, labels, len(names))
        return cls(measured(outputs, logits)[1].astype(np.float32), labels.astype(np.int64), names)

    def __len__(self) -> int:
        return len(self.labels)

    @functools.cached_property
    def probabilities(self) -> np.ndarray:
        """float64 [n, classes]; every row has the sum 1."""
        shares = np.exp(self.logarithms.astype(np.float64))
        return shares / shares.sum(axis=1, keepdims=True)

    def with_temperature(self, temperature: float) -> "Answers":
        """The answers of the network whose logits are divided by a temperature.

        Args:
            temperature: positive.

        Raises:
            InputError: it is not.
        """
        temperature = _check.real("temperature", temperature, 0.0, above=True)
        scaled = self.logarithms.astype(np.float64) / temperature
        return dataclasses.replace(self, logarithms=measured(scaled, True)[1].astype(np.float32))
