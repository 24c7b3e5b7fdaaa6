"""Deeper plain networks train worse than shallow ones; residual networks do not."""

import os
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn.studies.rows import shared_rows
from kerascnn.studies.small_networks import small_network
from kerascnn.studies.study import Study
from kerascnn.studies.trials import Draws, Trainer, ascending, divided, fingerprint, measure_both, step_down

KINDS = ("plain", "residual")
_STAGES = 3


def degradation(
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    depths: Sequence[int] = (8, 20, 44),
    width: int = 8,
    steps: int = 800,
    batch_size: int = 64,
    learning_rate: float = 0.1,
    draws: int = 3,
    held_out: float = 0.2,
    seed: int = 0,
    folder: str | os.PathLike | None = None,
) -> Study:
    """Trains plain and residual networks of rising depth for the same number of steps and compares what they learned.

    A deeper plain network could copy a shallower one and let its other layers be the identity; that training does not
    find this is the degradation problem, which shows in the training loss and is no overfitting. The networks are He et
    al.'s for small images, with batch norm, narrower, see `small_network`; momentum 0.9, weight decay 0.0001, the rate
    divided by ten after three quarters of the steps.

    Args:
        images: [n, height, width, channels], in any unit.
        labels: classes [n].
        depths: ascending, each 6 * blocks + 2.
        width: channels of the first stage; the others have twice and four times as many.
        steps: of each training.
        batch_size: images of a step.
        learning_rate: of the first steps.
        draws: networks of each kind and depth, of other initial weights and orders; medians are told.
        held_out: share of the images, the last ones, that are not trained on.
        seed: of the first draw.
        folder: where finished trainings are kept, which several processes may share.

    Returns:
        A `Study` with `depths` [d]; `loss`, `accuracy`, `held_loss`, `held_accuracy`, float64 [kinds, d, draws]: of the
        training images as at inference, and of the held out ones; kinds are plain, residual.

    Raises:
        InputError: an argument cannot be used, or the folder is another study's.

    Source: He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, 2015, arXiv:1512.03385, figure 6.

    Example:

        found = kerascnn.studies.degradation(images, labels, depths=(8, 20), steps=200, draws=1)
        print(found.arrays["loss"], found.claims)
    """
    start = time.perf_counter()
    examples = divided(images, labels, held_out)
    depths = ascending("depths", depths, lambda depth: _check.whole("depths", depth, 8, 10_000))
    if any((depth - 2) % (2 * _STAGES) for depth in depths):
        raise _check.refuse("depths", "6 * blocks + 2 each", depths)
    settings = {
        "images": len(examples.images), "held_out": len(examples.held_images), "depths": depths,
        "width": _check.whole("width", width, 1, 4096), "steps": _check.whole("steps", steps, 1),
        "batch_size": _check.whole("batch_size", batch_size, 1, len(examples.images)),
        "learning_rate": _check.real("learning_rate", learning_rate, 0.0, above=True),
        "draws": _check.whole("draws", draws, 1, 1000), "seed": _check.whole("seed", seed, 0, 2**31 - 1),
    }  # fmt: skip
    trials = [(kind, depth, draw) for kind in KINDS for depth in depths for draw in range(draws)]

    def row(number: int) -> np.ndarray:
        kind, depth, draw = trials[number]
        blocks, widths = (depth - 2) // (2 * _STAGES), (width, 2 * width, 4 * width)
        seeds = Draws(seed, draw)
        model = small_network(
            examples.shape, examples.classes, seeds, blocks=blocks, widths=widths, shortcuts=kind == "residual"
        )
        rate = step_down(learning_rate, steps)
        optimizer = keras.optimizers.SGD(rate, momentum=0.9, weight_decay=1e-4)
        Trainer(model, examples, optimizer, batch_size, seed=seed + draw).steps(steps)
        return np.array(measure_both(model, examples))

    rows = shared_rows(folder, len(trials), row, {**settings, "examples": fingerprint(examples)})
    parts = np.moveaxis(rows.reshape(len(KINDS), len(depths), draws, 4), -1, 0)
    arrays = {"depths": np.array(depths)}
    arrays.update(zip(("loss", "accuracy", "held_loss", "held_accuracy"), parts, strict=True))
    return Study("degradation", settings, arrays, _claims(arrays), time.perf_counter() - start, _plot)


def _claims(arrays) -> dict[str, bool]:
    plain, residual = np.median(np.nan_to_num(arrays["loss"], nan=np.inf), axis=-1)
    if len(plain) < 2:
        return {}
    return {
        "The deepest plain network has a higher training loss than the shallowest": bool(plain[-1] > plain[0]),
        "The deepest residual network has none higher than the shallowest": bool(residual[-1] <= residual[0]),
        "At the largest depth the residual network is ahead of the plain one": bool(residual[-1] < plain[-1]),
    }


def _plot(study: Study) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.4), dpi=100, layout="constrained")
    looks = (("#c2820a", "o-"), ("#440154", "s-"))
    depths = study.arrays["depths"]
    for axes, names, label in zip(
        figure.subplots(1, 2),
        (("loss", "held_loss"), ("accuracy", "held_accuracy")),
        ("loss", "accuracy, %"),
        strict=True,
    ):
        for kind, (color, line) in enumerate(looks):
            for name, style, part in zip(names, (line, line.replace("-", "--")), ("training", "held out"), strict=True):
                values = study.arrays[name][kind] * (100 if "accuracy" in name else 1)
                axes.plot(depths, np.median(values, axis=-1), style, color=color, label=f"{KINDS[kind]}, {part}")
                axes.fill_between(depths, values.min(axis=-1), values.max(axis=-1), color=color, alpha=0.12)
        axes.set(xlabel="layers", ylabel=label, xticks=depths)
        axes.grid(alpha=0.3)
    axes.legend()
    told = "{images} images, {steps} steps of {batch_size}, {draws} draws: medians and ranges".format(**study.settings)
    figure.suptitle(f"Degradation: plain and residual networks by depth; {told}")
    return figure
