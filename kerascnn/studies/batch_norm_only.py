"""Random filters do much when batch norm alone learns to scale and shift what they find."""

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
from kerascnn.studies.small_networks import blocks_of, small_network
from kerascnn.studies.study import Study
from kerascnn.studies.trials import Draws, Trainer, ascending, divided, fingerprint, measure_both, step_down

EVERYTHING, NORMS, RANDOM, CLASSIFIER = KINDS = ("everything", "batch norm", "random weights", "classifier")
_MEASURED = ("loss", "accuracy", "held_loss", "held_accuracy")
_EDGES = np.linspace(-1, 2, 61)  # of the histogram of scales; its last bins have what lies beyond


def batch_norm_only(
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    depths: Sequence[int] = (8, 14, 26),
    width: int = 8,
    near: float = 0.01,
    steps: int = 400,
    batch_size: int = 64,
    learning_rate: float = 0.1,
    draws: int = 3,
    held_out: float = 0.2,
    seed: int = 0,
    folder: str | os.PathLike | None = None,
) -> Study:
    """Trains only the scales and shifts of batch norm, beside everything, as many random weights, or the classifier.

    Whatever does not train keeps its random start to the bit; moving statistics are no weights and always follow. The
    random weights are two of each filter, as many as its batch norm has. The networks are residual ones for small
    images, see `small_network`; scales start evenly distributed from 0 to 1, shifts at 0; momentum 0.9, no weight
    decay, which would draw scales to zero, and the rate divided by ten after three quarters of the steps.

    Args:
        images: [n, height, width, channels], in any unit.
        labels: classes [n].
        depths: ascending, each 6 * blocks + 2.
        width: channels of the first stage; the others have twice and four times as many.
        near: a scale of a smaller absolute value is near zero: its feature is off.
        steps: of each training.
        batch_size: images of a step.
        learning_rate: of the first steps.
        draws: networks of each kind and depth, of other initial weights and orders; medians are told.
        held_out: share of the images, the last ones, that are not trained on.
        seed: of the first draw.
        folder: where finished trainings are kept, which several processes may share.

    Returns:
        A `Study` with `depths` [d]; `loss`, `accuracy`, `held_loss`, `held_accuracy`, float64 [kinds, d, draws]: of the
        training images and of those held out, at inference, NaN where training has diverged; `trained` [kinds, d]: how
        many numbers train; `off`, float64 [kinds, d, draws]: the share of scales near zero; `scales`, float64 [kinds,
        d, draws, bins]: their histogram between `edges`, which sums to 1. Kinds are everything, batch norm, random
        weights, classifier.

    Raises:
        InputError: an argument cannot be used, or the folder is another study's.

    Source: Frankle, Schwab, Morcos: Training BatchNorm and Only BatchNorm: On the Expressive Power of Random Features
    in CNNs, 2020, arXiv:2003.00152.

    Example:

        found = kerascnn.studies.batch_norm_only(images, labels, depths=(8, 14), steps=200, draws=1)
        print(found.arrays["trained"], found.arrays["held_accuracy"], found.claims)
    """
    start = time.perf_counter()
    examples = divided(images, labels, held_out)
    settings = {
        "images": len(examples.images), "held_out": len(examples.held_images),
        "depths": ascending("depths", depths, lambda depth: 6 * blocks_of("depths", depth) + 2),
        "width": _check.whole("width", width, 1, 4096), "near": _check.real("near", near, 0.0, above=True),
        "steps": _check.whole("steps", steps, 1),
        "batch_size": _check.whole("batch_size", batch_size, 1, len(examples.images)),
        "learning_rate": _check.real("learning_rate", learning_rate, 0.0, above=True),
        "draws": _check.whole("draws", draws, 1, 1000), "seed": _check.whole("seed", seed, 0, 2**31 - 1),
    }  # fmt: skip
    trials = [(kind, depth, draw) for kind in KINDS for depth in settings["depths"] for draw in range(draws)]

    def row(number: int) -> np.ndarray:
        kind, depth, draw = trials[number]
        blocks, widths, seeds = blocks_of("depths", depth), (width, 2 * width, 4 * width), Draws(seed, draw)
        model = small_network(examples.shape, examples.classes, seeds, blocks=blocks, widths=widths)
        random = np.random.default_rng(seeds.number())
        for scale in _scales(model):
            scale.assign(random.uniform(size=scale.shape))
        masks = train_only(model, kind, random)
        rate = step_down(learning_rate, steps)
        Trainer(model, examples, MaskedSGD(masks, rate, momentum=0.9), batch_size, seed=seed + draw).steps(steps)
        found = measure_both(model, examples)
        scales = np.concatenate([scale.numpy() for scale in _scales(model)])
        found += [np.mean(abs(scales) < near), *np.histogram(np.clip(scales, -1, 2), _EDGES)[0] / len(scales)]
        free = sum(int(np.prod(x.shape) if mask is None else mask.sum())
                   for x, mask in zip(model.trainable_variables, masks, strict=True))  # fmt: skip
        # A loss that is no longer finite ends training: nothing that it leaves is a result.
        return np.array([free, *(found if np.isfinite(found).all() else np.full(len(found), np.nan))])

    rows = shared_rows(folder, len(trials), row, {**settings, "examples": fingerprint(examples)})
    rows = rows.reshape(len(KINDS), len(settings["depths"]), draws, -1)
    arrays = {"depths": np.array(settings["depths"]), "trained": rows[:, :, 0, 0].astype("int64")}
    arrays.update({name: rows[..., place] for place, name in enumerate((*_MEASURED, "off"), 1)})
    arrays.update(scales=rows[..., len(_MEASURED) + 2 :], edges=_EDGES)
    return Study("batch_norm_only", settings, arrays, _claims(arrays), time.perf_counter() - start, _plot)


class MaskedSGD(keras.optimizers.SGD):
    """Gradient descent on some numbers of each variable; the others keep their bits.

    Args:
        masks: for each trainable variable of a network which of its numbers train, None: all.
        options: of `keras.optimizers.SGD`, without weight decay, which is no part of the gradient.
    """

    def __init__(self, masks: Sequence[np.ndarray | None], *args: Any, **options: Any):
        super().__init__(*args, **options)
        self._which = tuple(masks)

    def apply(self, grads, trainable_variables=None):
        pairs = zip(grads, self._which, strict=True)
        # No product: zero times an overflow would be NaN.
        grads = [grad if mask is None else tf.where(mask, grad, tf.zeros_like(grad)) for grad, mask in pairs]
        super().apply(grads, trainable_variables)


def train_only(model: keras.Model, kind: str, random: np.random.Generator) -> list[np.ndarray | None]:
    """Sets which variables of a network train.

    Args:
        model: of `small_network`, new: all of its weights train.
        kind: one of `KINDS`.
        random: chooses weights for the kind of that name.

    Returns:
        For each variable that trains now which of its numbers do, None: all.
    """
    parts = {NORMS: keras.layers.BatchNormalization, RANDOM: keras.layers.Conv2D, CLASSIFIER: keras.layers.Dense}
    for layer in model.layers:
        for variable in layer.trainable_variables:  # the layer itself stays trainable: its moving statistics follow
            variable.trainable = kind == EVERYTHING or isinstance(layer, parts[kind])
    if kind != RANDOM:
        return [None for _ in model.trainable_variables]
    return [random.random(x.shape).reshape(-1, x.shape[-1]).argsort(axis=0).argsort(axis=0).reshape(x.shape) < 2
            for x in model.trainable_variables]  # fmt: skip


def _scales(model: keras.Model) -> list[keras.Variable]:
    return [layer.gamma for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]


def _claims(arrays: dict[str, np.ndarray]) -> dict[str, bool]:
    held = dict(zip(KINDS, np.median(np.nan_to_num(arrays["held_accuracy"], nan=0.0), axis=-1), strict=True))
    off = float(np.median(arrays["off"][KINDS.index(NORMS), -1]))  # NaN, thus in no range, where one has diverged
    claims = {
        "At each depth batch norm alone is right more often than as many random weights from elsewhere": bool(
            (held[NORMS] > held[RANDOM]).all()
        ),
        "In the deepest network around a third of its scales, a quarter to a half, end near zero": 0.25 <= off <= 0.5,
    }
    if len(arrays["depths"]) > 1:
        deeper = bool(held[NORMS][-1] > held[NORMS][0])
        claims["Batch norm alone is right more often in the deepest network than in the shallowest"] = deeper
    return claims


def _plot(study: Study) -> Any:
    from matplotlib.figure import Figure

    arrays, settings = study.arrays, study.settings
    figure = Figure(figsize=(10, 4.6), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    looks = dict(
        zip(KINDS, (("#35b779", "^:"), ("#440154", "s-"), ("#c2820a", "o--"), ("#21918c", "D-.")), strict=True)
    )
    for kind, (color, line) in looks.items():
        values = 100 * arrays["held_accuracy"][KINDS.index(kind)]
        label = f"{kind} ({', '.join(f'{count:,}' for count in arrays['trained'][KINDS.index(kind)])})"
        left.plot(arrays["depths"], np.median(values, axis=-1), line, color=color, label=label)
        left.fill_between(arrays["depths"], values.min(axis=-1), values.max(axis=-1), color=color, alpha=0.12)
    left.set(xlabel="layers", ylabel="held-out accuracy, %", xticks=arrays["depths"], ylim=(0, 100))
    told = {CLASSIFIER: "at the start", NORMS: "batch norm alone", EVERYTHING: "everything"}
    for kind, name in told.items():
        place = KINDS.index(kind)
        share, color = np.mean(arrays["off"][place, -1]), "0.4" if kind == CLASSIFIER else looks[kind][0]
        label = f"{name}: {100 * share:.1f} % below {settings['near']:g}"
        heights = 100 * arrays["scales"][place, -1].mean(axis=0)
        line = {CLASSIFIER: ":", NORMS: "-", EVERYTHING: "--"}[kind]
        right.stairs(heights, arrays["edges"], color=color, linestyle=line, linewidth=1.6, label=label)
    right.set(xlabel="scale of batch norm", ylabel=f"scales of {arrays['depths'][-1]} layers, %", xlim=(-1, 2))
    for axes, title in ((left, "what trains (how many numbers, by depth)"), (right, "after training")):
        axes.grid(alpha=0.3)
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, -0.16), fontsize=8, title=title, ncols=1)
    told = "{images} images, {steps} steps of {batch_size}, {draws} draws: medians and ranges".format(**settings)
    figure.suptitle(f"Training batch norm alone; {told}", fontsize=11)
    return figure
