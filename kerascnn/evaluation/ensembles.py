"""Several networks' answers put together: the mean, weights fitted to validation answers, and greedy choice."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.evaluation.answers import Answers

_ROUNDS = 20_000
_OPTIMAL = 1e-7  # nats that the loss may be above the least
MEASURES = ("loss", "accuracy")


def combine(members: Sequence[Answers], weights: npt.ArrayLike | None = None) -> Answers:
    """The weighted mean of the probabilities of several networks.

    Args:
        members: answers about the same examples in the same order.
        weights: one each, not negative, one at least positive; they are divided by their sum. None: all the same.

    Returns:
        The answers of the ensemble.

    Raises:
        InputError: the answers are about different examples or classes, or the weights do not fit.

    Example:

        evaluation.report_of(evaluation.combine([answers_of_a, answers_of_b])).top1
    """
    _check_alike(members)
    shares = np.ones(len(members)) if weights is None else np.asarray(weights, np.float64)
    if shares.shape != (len(members),) or not np.isfinite(shares).all() or (shares < 0).any() or not shares.any():
        raise _check.refuse("weights", f"{len(members)} numbers from 0, not all of them 0", weights)
    total = np.full(members[0].logarithms.shape, -np.inf)
    for answers, share in zip(members, shares / shares.sum(), strict=True):
        if share:
            total = np.logaddexp(total, np.log(share) + answers.logarithms.astype(np.float64))
    return Answers(total.astype(np.float32), members[0].labels, members[0].class_names)


def fit_weights(members: Sequence[Answers]) -> np.ndarray:
    """The weights of the mean with the least loss on these answers.

    The loss is convex in the weights; expectation maximization for a mixture of fixed parts finds its minimum, and the
    largest slope tells how far from it the loss can be: it ends at 1e-7 nats, or after 20,000 rounds.

    Args:
        members: answers about a part that was neither trained on nor is to be reported: validation.

    Returns:
        float64 [members], not negative, of sum 1.

    Raises:
        InputError: the answers are about different examples or classes.

    Source:
        Dempster, Laird, Rubin: Maximum Likelihood from Incomplete Data via the EM Algorithm, 1977,
        doi.org/10.1111/j.2517-6161.1977.tb01600.x, section 4.3; the bound: Lindsay 1983,
        doi.org/10.1214/aos/1176346059.

    Example:

        weights = evaluation.fit_weights(validation_answers)
        evaluation.report_of(evaluation.combine(test_answers, weights)).loss
    """
    likely = _of_the_true_class(members)
    weights = np.full(len(members), 1 / len(members))
    for _ in range(_ROUNDS):
        slopes = (likely / (likely @ weights)[:, None]).mean(axis=0)
        if slopes.max() - 1 < _OPTIMAL:
            break
        weights = weights * slopes
    return weights / weights.sum()


def greedy_weights(members: Sequence[Answers], *, rounds: int = 50, measure: str = "loss") -> np.ndarray:
    """Weights by greedy choice: again and again the member that makes the mean best is added, the same perhaps twice.

    Args:
        members: answers about a part that was neither trained on nor is to be reported: validation.
        rounds: how many members are added; of all the means on the way the best counts, the first of equals.
        measure: what is best: "loss", or "accuracy" and among equals the loss.

    Returns:
        How often each was added, divided by their number: float64 [members], of sum 1; many are 0.

    Raises:
        InputError: the answers are about different examples or classes, or an argument is out of its range.

    Source:
        Caruana, Niculescu-Mizil, Crew, Ksikes: Ensemble Selection from Libraries of Models, 2004,
        doi.org/10.1145/1015330.1015432, section 2, with replacement.

    Example:

        weights = evaluation.greedy_weights(validation_answers, measure="accuracy")
    """
    _check.whole("rounds", rounds, 1, 10_000)
    _check.one_of("measure", measure, MEASURES)
    likely = _of_the_true_class(members)
    shares = [answers.probabilities for answers in members] if measure == "accuracy" else []
    labels, counts = members[0].labels, np.zeros(len(members))
    total, mixed = np.zeros(len(labels)), 0.0
    best: tuple[tuple[float, float], np.ndarray] | None = None
    for size in range(1, rounds + 1):
        scores = []
        for i in range(len(members)):
            wrong = 0.0
            if shares:
                wrong = float(((mixed + shares[i]).argmax(axis=1) != labels).mean())
            scores.append((wrong, float(-np.log((total + likely[:, i]) / size).mean())))
        chosen = min(range(len(members)), key=lambda i: scores[i])
        counts[chosen] += 1
        total = total + likely[:, chosen]
        mixed = mixed + shares[chosen] if shares else 0.0
        if best is None or scores[chosen] < best[0]:
            best = scores[chosen], counts / size
    return best[1]


def _of_the_true_class(members) -> np.ndarray:
    """Each member's probability of the true class, [examples, members], in any unit of each example's own.

    The largest of an example becomes 1, so that none underflows: slopes do not change, and losses all by the same.
    """
    _check_alike(members)
    rows = np.arange(len(members[0]))
    logarithms = np.stack([answers.logarithms[rows, answers.labels] for answers in members], 1).astype(np.float64)
    return np.maximum(np.exp(logarithms - logarithms.max(axis=1, keepdims=True)), 1e-300)


def _check_alike(members: Sequence[Answers]) -> None:
    if not members:
        raise InputError("An ensemble needs members. Received: none")
    first = members[0]
    for answers in members[1:]:
        if answers.class_names != first.class_names or len(answers) != len(first):
            raise InputError(
                "Members of an ensemble must answer about the same examples and classes. "
                f"Received: {len(first)} of {len(first.class_names)} and {len(answers)} of {len(answers.class_names)}"
            )
        if not np.array_equal(answers.labels, first.labels):
            raise InputError("Members of an ensemble must answer about the same examples. Received: other labels")
