"""Double descent of trained networks, by their width and by the length of training."""

import dataclasses
import os
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from kerascnn import _check
from kerascnn.studies.rows import shared_rows
from kerascnn.studies.small_networks import dense_network
from kerascnn.studies.study import Study
from kerascnn.studies.trials import Draws, Examples, Trainer, ascending, divided, fingerprint, pooled

WIDTHS = (2, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256)
_NEARLY = 0.01  # a training error that is nearly zero
_CLEAR = 0.01  # a difference of errors that counts as a rise or a fall
_NEAR = 2.0  # a peak within this factor of the width at the threshold is near it


def double_descent(
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    widths: Sequence[int] = WIDTHS,
    label_noise: float = 0.2,
    pool: int = 1,
    steps: int = 4000,
    checkpoints: int = 24,
    batch_size: int = 100,
    learning_rate: float = 0.003,
    draws: int = 3,
    held_out: float = 0.8,
    seed: int = 0,
    folder: str | os.PathLike | None = None,
) -> Study:
    """Trains networks of rising width on few images, some with wrong labels, and follows the error on other images.

    Networks with too few weights cannot learn the wrong labels; a network that just can has to bend for them, and is
    bad elsewhere; still larger ones learn them by the way. So the test error falls, rises to a peak where the training
    error reaches zero (the interpolation threshold), and falls again. In a large network it does the same while it is
    trained. The networks have one hidden layer of ReLUs and are trained by Adam on the cross-entropy, at one rate,
    without regularization.

    Args:
        images: [n, height, width, channels], in any unit.
        labels: classes [n].
        widths: units of the hidden layer, ascending.
        label_noise: share of the training labels that are replaced, once, by another class; the held out ones are
            right.
        pool: side of the squares of pixels that are averaged first; 1: none.
        steps: of each training.
        checkpoints: how many times errors are taken, at numbers of steps that are evenly spaced on a logarithmic scale.
        batch_size: images of a step.
        learning_rate: of Adam.
        draws: networks of each width, of other initial weights and orders; medians are told.
        held_out: share of the images, the last ones, that are not trained on.
        seed: of the wrong labels and of the first draw.
        folder: where finished trainings are kept, which several processes may share.

    Returns:
        A `Study` with `widths` [w]; `steps` [c], those of the checkpoints; `train_error` and `test_error`,
        float64 [w, c, draws]: shares of the training images whose label, wrong or not, is missed, and of the held out
        ones; NaN from where the loss is no number. `parameters` [w], and `equations` [w]: training images * classes /
        parameters, 1 where there are as many parameters as numbers to fit.

    Raises:
        InputError: an argument cannot be used, or the folder is another study's.

    Source: Belkin, Hsu, Ma, Mandal: Reconciling modern machine learning practice and the bias-variance trade-off, 2019,
    arXiv:1812.11118; Nakkiran, Kaplun, Bansal, Yang, Barak, Sutskever: Deep Double Descent, 2019,
    arXiv:1912.02292, sections 5 and 6.

    Example:

        found = kerascnn.studies.double_descent(images, labels, widths=(4, 16, 128), steps=1000, draws=1)
        print(found.arrays["test_error"][:, -1], found.claims)
    """
    start = time.perf_counter()
    examples = divided(pooled(images, pool), labels, held_out)
    widths = ascending("widths", widths, lambda width: _check.whole("widths", width, 1, 1_000_000))
    label_noise, seed = _check.real("label_noise", label_noise, 0.0, 1.0), _check.whole("seed", seed, 0, 2**31 - 1)
    settings = {
        "images": len(examples.images), "held_out": len(examples.held_images), "widths": widths,
        "label_noise": label_noise, "pool": int(pool), "steps": _check.whole("steps", steps, 1, 10_000_000),
        "checkpoints": _check.whole("checkpoints", checkpoints, 1, 10_000),
        "batch_size": _check.whole("batch_size", batch_size, 1, len(examples.images)),
        "learning_rate": _check.real("learning_rate", learning_rate, 0.0, above=True),
        "draws": _check.whole("draws", draws, 1, 1000), "seed": seed,
    }  # fmt: skip
    wrong = wrong_labels(examples.labels, examples.classes, label_noise, seed)
    examples = dataclasses.replace(examples, labels=wrong)
    at = np.unique(np.rint(np.geomspace(1, steps, checkpoints)).astype(int))
    at[-1] = steps  # of one checkpoint: the last step
    trials = [(width, draw) for width in widths for draw in range(draws)]

    def row(number: int) -> np.ndarray:
        width, draw = trials[number]
        model = dense_network(examples.shape, examples.classes, Draws(seed, draw), (width,))
        trainer = Trainer(model, examples, keras.optimizers.Adam(learning_rate), batch_size, seed=seed + draw)
        return _errors(model, trainer, examples, at)

    rows = shared_rows(folder, len(trials), row, {**settings, "examples": fingerprint(examples)})
    rows = rows.reshape(len(widths), draws, len(at), 2).swapaxes(1, 2)
    inputs = int(np.prod(examples.shape))
    parameters = np.array([(inputs + 1) * width + (width + 1) * examples.classes for width in widths])
    arrays = {
        "widths": np.array(widths), "steps": at, "train_error": rows[..., 0], "test_error": rows[..., 1],
        "parameters": parameters, "equations": len(examples.images) * examples.classes / parameters,
    }  # fmt: skip
    return Study("double_descent", settings, arrays, _claims(arrays), time.perf_counter() - start, _plot)


def wrong_labels(labels: np.ndarray, classes: int, share: float, seed: int) -> np.ndarray:
    """Labels of which a share, rounded to whole labels, is each replaced by one of the other classes."""
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(labels))[: round(share * len(labels))]
    found = labels.copy()
    found[chosen] = (labels[chosen] + random.integers(1, classes, len(chosen))) % classes
    return found


def _errors(model: keras.Model, trainer: Trainer, examples: Examples, at: np.ndarray) -> np.ndarray:
    """Errors on both parts at the checkpoints, [checkpoints, 2]; NaN from where training has failed."""
    found, done = np.full((len(at), 2), np.nan), 0
    parts = ((examples.images, examples.labels), (examples.held_images, examples.held_labels))
    parts = [(tf.constant(images), labels) for images, labels in parts]
    for number, step in enumerate(at):
        if np.isnan(trainer.steps(step - done)[-1]):
            break
        done = step
        for part, (images, labels) in enumerate(parts):
            logits = model(images, training=False).numpy()
            found[number, part] = (logits.argmax(axis=1) != labels).mean() if np.isfinite(logits).all() else np.nan
    return found


def _claims(arrays: dict[str, np.ndarray]) -> dict[str, bool]:
    """None of networks of which none is at the threshold with others on both sides. Where a training has failed there
    is no curve, and so no peak."""
    train, test = (np.median(arrays[name], axis=-1) for name in ("train_error", "test_error"))
    threshold = _threshold(train[:, -1])
    if threshold is None or not 0 < threshold < len(train) - 1:
        return {}
    sound, widths, final = bool(np.isfinite(test).all()), arrays["widths"], test[:, -1]
    valley = int(np.argmin(final[: threshold + 1]))
    peak = valley + int(np.argmax(final[valley:]))
    near = 1 / _NEAR <= widths[peak] / widths[threshold] <= _NEAR
    high = final[peak] > max(final[valley], final[-1]) + _CLEAR
    return {
        "By width, the test error has a peak near where the training error first is nearly zero":
            sound and bool(near and high),
        "The largest network has a lower test error than the one at that threshold":
            sound and bool(final[-1] < final[threshold]),
        "It also has a lower one than the best network below the threshold":
            sound and bool(final[-1] < final[:threshold].min()),
        "While the largest network is trained, its test error falls, rises and falls again":
            sound and _hump(train[-1], test[-1]) and _rises(train[-1], test[-1]),
        "While the one at the threshold is trained, its test error falls and rises":
            sound and _rises(train[threshold], test[threshold]),
    }  # fmt: skip


def _threshold(train: np.ndarray) -> int | None:
    """The first network whose training error is nearly zero."""
    fitted = np.flatnonzero(train <= _NEARLY)
    return int(fitted[0]) if len(fitted) else None


def _fitting(train: np.ndarray) -> int:
    """The first checkpoint with half of the labels right: before it, errors of a random network jump up and down."""
    return int(np.argmax(train <= 0.5)) if (train <= 0.5).any() else len(train) - 1


def _rises(train: np.ndarray, test: np.ndarray) -> bool:
    """Whether the test error falls, and later rises."""
    later = test[_fitting(train) :]
    lowest = np.minimum.accumulate(later)
    return bool((later - lowest).max() > _CLEAR and test[0] > lowest[np.argmax(later - lowest)] + _CLEAR)


def _hump(train: np.ndarray, test: np.ndarray) -> bool:
    """Whether there is a place with lower errors both before and after it."""
    later = test[_fitting(train) :]
    before, after = np.minimum.accumulate(later), np.minimum.accumulate(later[::-1])[::-1]
    return bool((later - np.maximum(before, after)).max() > _CLEAR)


def _plot(study: Study) -> Any:
    from matplotlib.figure import Figure

    arrays, settings = study.arrays, study.settings
    widths, steps, train, test = (arrays[name] for name in ("widths", "steps", "train_error", "test_error"))
    figure = Figure(figsize=(10, 4.6), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for errors, color, line, label in ((test, "#440154", "o-", "held out"), (train, "#21918c", "s--", "training")):
        final = 100 * errors[:, -1]
        left.plot(widths, np.median(final, axis=-1), line, color=color, markersize=4, label=label)
        left.fill_between(widths, final.min(axis=-1), final.max(axis=-1), color=color, alpha=0.15)
    left.set(xscale="log", xlabel="hidden units", ylabel="error, %", title=f"after {settings['steps']} steps")
    threshold = _threshold(np.median(train[:, -1], axis=-1))
    at = sorted({0, len(widths) - 1} | ({threshold} if threshold is not None else set()))
    looks = (("#c2820a", "^"), ("#35b779", "s"), ("#440154", "o"))
    for index, (color, marker) in zip(at, looks[-len(at) :], strict=True):
        label = f"{widths[index]} units" + (", at the threshold" if index == threshold else "")
        for errors, line in ((test, "-"), (train, "--")):
            right.plot(steps, 100 * np.median(errors[index], axis=-1), line, color=color, marker=marker, markersize=3,
                       label=label if line == "-" else None)  # fmt: skip
    if threshold is not None:
        left.axvline(widths[threshold], color="0.5", linewidth=1, linestyle=":")
        left.set(xlabel="hidden units; the line: the first that fit all labels but 1 %")
    right.set(xscale="log", xlabel="steps; broken lines: training error", title="while they are trained")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    told = "{images} images, {label_noise:.0%} wrong labels, {draws} draws: medians".format(**settings)
    figure.suptitle(f"Double descent of networks with one hidden layer; {told}")
    return figure
