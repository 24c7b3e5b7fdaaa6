"""Whether a network is right as often as it is sure: calibration errors, Brier score, a temperature that mends."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn.evaluation.answers import Answers
from kerascnn.evaluation.outputs import check_answers, measured

BINS = 15
COLDEST, HOTTEST = 0.05, 20.0  # temperatures
_ROWS = 4096  # examples at a time
_STILL = 1e-9  # relative change of 1 / temperature


@dataclasses.dataclass(frozen=True)
class Bin:
    """Examples of about the same confidence, the probability of the predicted class."""

    low: float  # confidences in (low, high]; the first bin has 0, too
    high: float
    examples: int
    confidence: float  # mean over them
    accuracy: float

    @property
    def gap(self) -> float:
        """How much surer the network is than right; negative: less sure than it might be."""
        return self.confidence - self.accuracy


@dataclasses.dataclass(frozen=True)
class Calibration:
    """How confidence and accuracy go together; made by `calibration_of`."""

    examples: int
    accuracy: float
    confidence: float  # mean
    loss: float  # mean negative log-likelihood, nats
    brier: float  # mean squared distance of the probabilities from 1 for the true class and 0 for others, 0 to 2
    width: tuple[Bin, ...]  # of equal width; those without examples are left out
    mass: tuple[Bin, ...]  # with equally many examples, to one

    @property
    def ece(self) -> float:
        """Expected calibration error: the mean over the examples of their bin's |gap|, bins of equal width."""
        return _expected(self.width)

    @property
    def ece_mass(self) -> float:
        """The same with bins of equally many examples, which a few crowded bins near 1 do not decide."""
        return _expected(self.mass)

    @property
    def mce(self) -> float:
        """Maximum calibration error: the largest |gap| of the bins of equal width."""
        return max(abs(found.gap) for found in self.width)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {
            "ece": self.ece,
            "ece_mass": self.ece_mass,
            "mce": self.mce,
            "brier": self.brier,
            "loss": self.loss,
            "confidence": self.confidence,
            "accuracy": self.accuracy,
            "bins": [dataclasses.asdict(found) for found in self.width],
        }


def calibration_of(probabilities: npt.ArrayLike, labels: npt.ArrayLike, *, bins: int = BINS) -> Calibration:
    """Measures calibration.

    Args:
        probabilities: [n, classes].
        labels: integers [n].
        bins: how many bins confidences fall into.

    Returns:
        The measures.

    Raises:
        InputError: the shapes do not fit, a label is out of range, or these are no probabilities.

    Source:
        Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, 2017, arXiv:1706.04599, equations 1 to 5
        (15 bins of equal width, closed above); bins of equal mass: Nixon et al. 2019, arXiv:1904.01685, section 3;
        Brier 1950, doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.

    Example:

        evaluation.calibration_of([[0.9, 0.1], [0.8, 0.2]], [0, 1]).ece  # (|0.9 - 1| + |0.8 - 0|) / 2 = 0.45
    """
    shares, numbers = np.asarray(probabilities, np.float64), np.asarray(labels)
    check_answers(shares, numbers, shares.shape[-1] if shares.ndim == 2 else 0)
    rows, predicted = np.arange(len(numbers)), shares.argmax(axis=1)
    logarithms = measured(shares, logits=False)[1]
    return from_confidences(
        shares[rows, predicted],
        predicted == numbers,
        loss=float(-logarithms[rows, numbers].mean()),
        brier=float(brier_scores(shares, numbers).mean()),
        bins=bins,
    )


def from_confidences(
    confidences: np.ndarray, right: np.ndarray, *, loss: float, brier: float, bins: int = BINS
) -> Calibration:
    """Calibration from what is needed of each example.

    Args:
        confidences: probability of the predicted class, [n], n at least 1.
        right: whether that is the true class, [n].
        loss: mean negative log-likelihood.
        brier: mean Brier score.
        bins: how many.

    Returns:
        The measures.
    """
    bins = _check.whole("bins", bins, 1, 10_000)
    confidences, right = np.asarray(confidences, np.float64), np.asarray(right, bool)
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidences, side="left") - 1, 0, bins - 1)
    order = np.argsort(confidences, kind="stable")
    width = [_bin(edges[i], edges[i + 1], confidences[place == i], right[place == i]) for i in np.unique(place)]
    parts = [part for part in np.array_split(order, min(bins, len(order))) if len(part)]
    ends = [0.0, *(float(confidences[part].max()) for part in parts)]
    mass = [_bin(ends[i], ends[i + 1], confidences[part], right[part]) for i, part in enumerate(parts)]
    return Calibration(
        examples=len(confidences),
        accuracy=float(right.mean()),
        confidence=float(confidences.mean()),
        loss=loss,
        brier=brier,
        width=tuple(width),
        mass=tuple(mass),
    )


def brier_scores(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The squared distance of each row [n, classes] from its label's unit vector, [n]."""
    true = probabilities[np.arange(len(labels)), labels]
    return (probabilities**2).sum(axis=1) - 2 * true + 1


def fit_temperature(answers: Answers) -> float:
    """The number by which logits are divided so that the loss of these answers is least.

    The predicted class stays the same; above 1 the network becomes less sure. The loss is convex in 1 / temperature;
    the minimum is found by Newton's method, kept between bounds by bisection.

    Args:
        answers: about a part of the data that was neither trained on nor is to be reported: validation.

    Returns:
        The temperature, in [0.05, 20]: at an end where the loss falls up to there, as it does where every answer is
        right.

    Source:
        Guo et al. 2017, arXiv:1706.04599, section 4.2.

    Example:

        import numpy as np

        sure = evaluation.Answers.of(np.full([10, 2], [0.99, 0.01]), np.arange(10) // 8, ["cat", "dog"])
        evaluation.fit_temperature(sure)  # 3.31...: of 10 answers at 99 % two are wrong
    """
    true = answers.logarithms[np.arange(len(answers)), answers.labels].mean(dtype=np.float64)

    def slopes(scale):
        """First and second derivative of the loss by 1 / temperature; a piece at a time, for many classes."""
        slope = curvature = 0.0
        for start in range(0, len(answers), _ROWS):
            logarithms = answers.logarithms[start : start + _ROWS].astype(np.float64)
            shares = np.exp(scale * logarithms - (scale * logarithms).max(axis=1, keepdims=True))
            shares /= shares.sum(axis=1, keepdims=True)
            mean = (shares * logarithms).sum(axis=1)
            slope += mean.sum()
            curvature += ((shares * logarithms**2).sum(axis=1) - mean**2).sum()
        return slope / len(answers) - true, curvature / len(answers)

    low, high, scale = 1 / HOTTEST, 1 / COLDEST, 1.0
    if slopes(low)[0] >= 0:
        return HOTTEST
    if slopes(high)[0] <= 0:
        return COLDEST
    while high / low - 1 > _STILL:
        slope, curvature = slopes(scale)
        low, high = (scale, high) if slope < 0 else (low, scale)
        newton = scale - slope / curvature if curvature > 0 else 0.0
        after = newton if low < newton < high else (low * high) ** 0.5
        if abs(after / scale - 1) < _STILL:
            break
        scale = after
    return float(1 / scale)


def _bin(low, high, confidences, right) -> Bin:
    return Bin(float(low), float(high), len(right), float(confidences.mean()), float(right.mean()))


def _expected(bins: tuple[Bin, ...]) -> float:
    return sum(found.examples * abs(found.gap) for found in bins) / sum(found.examples for found in bins)
