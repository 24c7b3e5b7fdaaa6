"""How much a network's features know of a task that it was not trained for: a linear probe, and nearest neighbors."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.inference.features import Features

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_STEPS = 1000
_STILL = 1e-5  # of the gradient's largest entry: the optimum, to the digits that count


@dataclasses.dataclass(frozen=True, eq=False)
class Probe:
    """A linear classifier on features: logits = (x - mean) / deviation · kernel + bias."""

    mean: np.ndarray  # float32 [features]
    deviation: np.ndarray  # float32 [features]
    kernel: np.ndarray  # float32 [features, classes]
    bias: np.ndarray  # float32 [classes]
    penalty: float  # the one that was chosen

    def logits(self, values: np.ndarray) -> np.ndarray:
        """[n, features] -> [n, classes]."""
        return (values - self.mean) / self.deviation @ self.kernel + self.bias

    def accuracy(self, features: Features) -> float:
        """The share of images whose label has the largest logit."""
        return float(np.mean(self.logits(features.values).argmax(axis=1) == features.labels))


def linear_probe(train: Features, validation: Features, *, penalties: Sequence[float] = PENALTIES) -> Probe:
    """Multinomial logistic regression on standardized features, to its optimum, which no seed changes.

    Minimized is the mean cross-entropy plus penalty / 2 · |kernel|². Features that do not vary are left out.

    Args:
        train: features to learn from.
        validation: features of other images, which choose the penalty and nothing else.
        penalties: those that are tried.

    Returns:
        The probe that is most often right on `validation`; of equals that of the largest penalty.

    Raises:
        InputError: the two are of different layers or classes, or a penalty is not positive.

    Source:
        Alain, Bengio: Understanding intermediate layers using linear classifier probes, 2016, arXiv:1610.01644; the
        minimizer is Nesterov's accelerated gradient with restarts (O'Donoghue, Candès 2012, arXiv:1204.3982).

    Example:

        probe = evaluation.linear_probe(train, validation)
        print(probe.accuracy(test), probe.penalty)
    """
    _check_alike(train, validation)
    if not penalties or not all(penalty > 0 for penalty in penalties):
        raise InputError(f"penalties must be positive numbers. Received: {penalties!r}")
    mean, deviation = train.values.mean(axis=0), train.values.std(axis=0)
    deviation = np.where(deviation > 1e-6 * (1 + np.abs(mean)), deviation, np.inf)  # what does not vary becomes 0
    x = ((train.values - mean) / deviation).astype("float64")
    best: tuple[float, Probe] | None = None
    start = np.zeros((x.shape[1] + 1, len(train.class_names)))
    for penalty in sorted(penalties, reverse=True):
        start = _minimum(x, train.labels, penalty, start)
        kernel, bias = start[:-1].astype("float32"), start[-1].astype("float32")
        probe = Probe(mean, deviation.astype("float32"), kernel, bias, penalty)
        score = probe.accuracy(validation)
        if best is None or score > best[0]:
            best = (score, probe)
    return best[1]


def nearest_neighbors(train: Features, test: Features, *, neighbors: int = 20) -> float:
    """The accuracy of the vote of the nearest training images, by the cosine of their features.

    Args:
        train: features that vote, each with its cosine's weight, exp(cosine / 0.07).
        test: features of the images to be classified.
        neighbors: how many vote.

    Returns:
        The share of `test` that the vote has right.

    Raises:
        InputError: the two are of different layers or classes, or there are fewer training images than neighbors.

    Source:
        Wu, Xiong, Yu, Lin: Unsupervised Feature Learning via Non-Parametric Instance Discrimination, 2018,
        arXiv:1805.01978, section 3.4.
    """
    _check_alike(train, test)
    _check.whole("neighbors", neighbors, 1)
    if neighbors > len(train):
        raise InputError(f"There must be {neighbors} training images or more. Received: {len(train)}")
    known, asked = _unit(train.values), _unit(test.values)
    right = 0
    for first in range(0, len(asked), 1024):
        cosines = asked[first : first + 1024] @ known.T
        nearest = np.argpartition(-cosines, neighbors - 1, axis=1)[:, :neighbors]
        weights = np.exp(np.take_along_axis(cosines, nearest, axis=1) / 0.07)
        votes = np.zeros((len(cosines), len(train.class_names)))
        np.add.at(votes, (np.arange(len(cosines))[:, None], train.labels[nearest]), weights)
        right += int((votes.argmax(axis=1) == test.labels[first : first + 1024]).sum())
    return right / len(asked)


def _check_alike(one: Features, other: Features) -> None:
    if one.class_names != other.class_names or one.layer != other.layer or one.values.shape[1] != other.values.shape[1]:
        raise InputError(
            "Features must be of one layer and one set of classes. "
            f"Received: {one.values.shape[1]} of {one.layer} and {other.values.shape[1]} of {other.layer}"
        )


def _unit(values: np.ndarray) -> np.ndarray:
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)


def _minimum(x: np.ndarray, labels: np.ndarray, penalty: float, start: np.ndarray) -> np.ndarray:
    """Weights [features + 1, classes], the last row the bias, where the objective has no slope any more."""
    weights, ahead, momentum = start.copy(), start.copy(), 1.0
    step = 1 / (0.5 * (_largest_eigenvalue(x) + 1) + penalty)  # the Hessian of cross-entropy is at most half of x's
    for _ in range(_STEPS):
        gradient = _gradient(x, labels, penalty, ahead)
        if np.abs(gradient).max() < _STILL:
            return ahead
        moved = ahead - step * gradient
        if np.sum(gradient * (moved - weights)) > 0:  # uphill: without momentum again
            momentum = 1.0
        longer = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = moved + (momentum - 1) / longer * (moved - weights)
        weights, momentum = moved, longer
    return weights


def _gradient(x, labels, penalty, weights):
    logits = x @ weights[:-1] + weights[-1]
    logits -= logits.max(axis=1, keepdims=True)
    errors = np.exp(logits)
    errors /= errors.sum(axis=1, keepdims=True)
    errors[np.arange(len(x)), labels] -= 1
    errors /= len(x)
    return np.concatenate([x.T @ errors + penalty * weights[:-1], errors.sum(axis=0, keepdims=True)])


def _largest_eigenvalue(x: np.ndarray) -> float:
    """Of x' x / n, by power iteration, with a margin."""
    vector, value = np.ones(x.shape[1]) / np.sqrt(x.shape[1]), 1.0
    for _ in range(30):
        vector = x.T @ (x @ vector) / len(x)
        value = float(np.linalg.norm(vector)) or 1.0
        vector = vector / value
    return 1.2 * value
