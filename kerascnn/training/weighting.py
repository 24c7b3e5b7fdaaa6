"""Weights of classes in the loss, by rules that follow from how many examples each class has. Imports no TensorFlow."""

import contextlib
import inspect
import re
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn._errors import InputError

if TYPE_CHECKING:  # for the hints alone
    import keras

    from kerascnn import data

RULES = ("none", "balanced", "effective")
BETA = 0.999  # of "effective", where none is given
_RULE = "none, balanced, effective, effective(BETA) with BETA in (0, 1), or a number of at least 0 for each class"


def class_weights(counts: npt.ArrayLike, rule: str | Sequence[float] = "balanced") -> tuple[float, ...] | None:
    """The weights of classes by a rule.

    Args:
        counts: of each class how many examples it has, or pixels; `kerascnn.data.class_counts` counts them.
        rule: "balanced": `n / (k n_c)` for n examples of k classes, n_c of them of class c, so that all classes weigh
            alike and the mean over the examples is 1. "effective" or "effective(0.999)": `(1 - b) / (1 - b^n_c)`, the
            inverse of the effective number of examples, times what makes the sum k, for b = 0.999 or as given; b near 1
            is nearly "balanced", b near 0 nearly none. Or the weights themselves, as numbers or as "1,2.5,1". "none".

    Returns:
        A weight for each class; None for "none".

    Raises:
        InputError: there is no such rule, a class has no example although the weights follow from the counts, or the
            number of weights is not that of the classes.

    Source:
        King, Zeng 2001 (doi.org/10.1093/oxfordjournals.pan.a004868), weighting in the form that scikit-learn calls
        "balanced"; Cui et al. 2019 (arXiv:1901.05555), equations 2 and 10.

    Example:

        from kerascnn import training

        training.class_weights([90, 10], "balanced")  # (0.5555555555555556, 5.0)
    """
    counts = np.asarray(counts)
    if counts.ndim != 1 or not len(counts) or counts.dtype.kind not in "iu" or counts.min() < 0:
        raise _check.refuse("counts", "whole numbers of at least 0, one a class", counts)
    rule = check_rule("rule", rule)
    kind, value = _parse(rule)
    if kind == "none":
        return None
    if kind == "given":
        check_number(rule, len(counts))
        return value
    if not counts.min():
        absent = np.flatnonzero(counts == 0)
        raise _check.refuse("class_weights", f"given as numbers where class {absent[0]} has no example", rule)
    each = counts.astype(np.float64)
    if kind == "balanced":
        weights = each.sum() / (len(each) * each)
    else:
        weights = (1 - value) / -np.expm1(each * np.log(value))
        weights *= len(each) / weights.sum()
    return tuple(float(weight) for weight in weights)


def of_source(rule: str, source: "data.Source", tell: Callable[[str], Any]) -> tuple[float, ...] | None:
    """The weights by a rule for the training part of a set, whose examples are counted where they follow from that.

    Args:
        rule: see `class_weights`.
        source: the set.
        tell: is told in a line what they are.

    Raises:
        InputError: see `class_weights`.
    """
    if rule == "none":
        return None
    from kerascnn import data

    counted = rule.startswith(("balanced", "effective"))
    weights = class_weights(data.class_counts(source) if counted else [1] * len(source.class_names), rule)
    low, high = int(np.argmin(weights)), int(np.argmax(weights))
    ends = (f"{weights[place]:.4g} ({source.class_names[place]})" for place in (low, high))
    tell(f"class weights: {' to '.join(ends)}; the validation loss has none")
    return weights


def check_rule(name: str, value: Any) -> str:
    """A rule of `class_weights` as text: numbers become "1.0,2.5".

    Raises:
        InputError: it is none.
    """
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, Collection) and not isinstance(value, str):
        value = ",".join(repr(_check.real(name, weight, 0.0)) for weight in value)
    if not isinstance(value, str) or _parse(value.replace(" ", "")) is None:
        raise _check.refuse(name, _RULE, value)
    return value.replace(" ", "")


def check_number(rule: str, classes: int) -> None:
    """Refuses weights that were given for another number of classes.

    Raises:
        InputError: they were.
    """
    kind, value = _parse(rule)
    if kind == "given" and len(value) != classes:
        raise _check.refuse("class_weights", f"one number for each of the {classes} classes", rule)


def measure_unweighted(model: "keras.Model") -> None:
    """Makes class weights of a model's losses count in training alone: not in `evaluate` and the validation of `fit`.

    So the losses of runs with and without weights can be compared, and what is chosen by the validation loss (an
    epoch, an end, a lower rate) does not follow from the weights.

    Args:
        model: compiled, or to be compiled, with losses of `kerascnn.tasks.losses`. Its `compute_loss` is replaced.

    Raises:
        InputError: its `compute_loss` does not take `training`.

    Example:

        from kerascnn import training
        from kerascnn.tasks.losses import SmoothedCrossentropy

        model.compile("sgd", SmoothedCrossentropy(class_weights=training.class_weights([90, 10])))
        training.measure_unweighted(model)
    """
    from kerascnn.tasks import losses

    own = own_loss(model)

    def compute_loss(x=None, y=None, y_pred=None, sample_weight=None, training=True):
        with contextlib.nullcontext() if training else losses.unweighted():
            return own(x, y, y_pred, sample_weight, training=training)

    model.compute_loss = compute_loss


def own_loss(model: "keras.Model") -> Callable:
    """A model's `compute_loss`, before it is replaced by one that knows training from evaluation.

    Raises:
        InputError: it does not take `training`.
    """
    if "training" not in inspect.signature(model.compute_loss).parameters:
        received = inspect.signature(model.compute_loss)
        raise InputError(f"compute_loss of the model must take training. Received: {received}")
    return model.compute_loss


def _parse(text: str) -> tuple[str, Any] | None:
    """("none" or "balanced", None), ("effective", beta) or ("given", weights); None: something else."""
    if text in ("none", "balanced"):
        return text, None
    effective = re.fullmatch(r"effective(?:\((.*)\))?", text)
    numbers = _numbers([effective[1] or BETA] if effective else text.split(","))
    if effective:
        return ("effective", numbers[0]) if numbers and 0 < numbers[0] < 1 else None
    if numbers is None or min(numbers) < 0 or not max(numbers) or not np.isfinite(max(numbers)):
        return None
    return "given", numbers


def _numbers(texts) -> tuple[float, ...] | None:
    try:
        numbers = tuple(float(text) for text in texts)
    except ValueError:
        return None
    return None if any(np.isnan(numbers)) else numbers
