"""How sharp the minima are that small and large batches, and small and large steps, lead to."""

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn.studies.flattened import Around
from kerascnn.studies.landscape import normalized
from kerascnn.studies.rows import shared_rows
from kerascnn.studies.small_networks import dense_network
from kerascnn.studies.study import Study
from kerascnn.studies.trials import Draws, Trainer, ascending, divided, fingerprint, measure_both, pooled

MEASURES = ("eigenvalue", "ball", "rise", "steps", "reached", "loss", "accuracy", "held_loss", "held_accuracy")
_LANCZOS, _ASCENT, _DIRECTIONS = 30, 10, 8  # Hessian-vector products; steps in the box; random directions


def sharpness(
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    learning_rates: Sequence[float] = (0.02, 0.06, 0.2),
    batch_sizes: Sequence[int] = (8, 32, 128),
    widths: Sequence[int] = (64, 64),
    pool: int = 1,
    goal: float = 0.03,
    passes: int = 1000,
    radius: float = 1e-3,
    span: float = 0.5,
    draws: int = 2,
    held_out: float = 0.8,
    seed: int = 0,
    folder: str | os.PathLike | None = None,
) -> Study:
    """Trains the same network to the same loss by several rates and batch sizes and compares what is around the ends.

    Large steps and the noise of small batches throw training out of narrow valleys, so that it ends in wide ones, which
    are said to be better on other images. Networks are dense, without batch norm, and trained by plain gradient steps,
    without momentum or weight decay, until the mean loss of a pass is at the goal: at about equal losses curvatures
    can be compared. Three measures are taken of the loss of all training images:

    - `eigenvalue`: the largest one of the Hessian, by Lanczos' method; steps of plain gradient descent are stable below
      2 / eigenvalue.
    - `ball`: Keskar et al.'s, 100 (max L(x + y) - L(x)) / (1 + L(x)) over the box |y_i| <= radius (|x_i| + 1); the
      maximum by ten steps along the gradient's signs.
    - `rise`: of the loss, along random directions whose filters have `span` times the norms of the network's; a mean
      over eight. Unlike the other two it does not change if a layer is scaled up and the next one down.

    Args:
        images: [n, height, width, channels], in any unit.
        labels: classes [n].
        learning_rates: ascending.
        batch_sizes: ascending.
        widths: units of the hidden layers.
        pool: side of the squares of pixels that are averaged first; 1: none.
        goal: mean cross-entropy of a pass at which training ends.
        passes: after so many it ends without, and its network counts for nothing.
        radius: of the box.
        span: of the random directions.
        draws: networks of each rate and size, of other initial weights and orders; medians are told.
        held_out: share of the images, the last ones, that are not trained on.
        seed: of the first draw.
        folder: where finished trainings are kept, which several processes may share.

    Returns:
        A `Study` with `learning_rates` [r], `batch_sizes` [b], and float64 [r, b, draws]: `eigenvalue`, `ball`, `rise`,
        `steps` that were taken, `reached` (1: the goal, 0: not), and, as at inference, `loss`, `accuracy`, `held_loss`,
        `held_accuracy`.

    Raises:
        InputError: an argument cannot be used, or the folder is another study's.

    Source: Keskar, Mudigere, Nocedal, Smelyanskiy, Tang: On Large-Batch Training for Deep Learning, 2016,
    arXiv:1609.04836, section 2; Li et al. 2018, arXiv:1712.09913, section 5; of rates: Jastrzebski et al.: Three
    Factors Influencing Minima in SGD, 2017, arXiv:1711.04623.

    Example:

        found = kerascnn.studies.sharpness(images, labels, batch_sizes=(16, 128), draws=1)
        print(found.arrays["eigenvalue"][..., 0], found.claims)
    """
    start = time.perf_counter()
    examples = divided(pooled(images, pool), labels, held_out)
    count = len(examples.images)
    rates = ascending("learning_rates", learning_rates, lambda x: _check.real("learning_rates", x, 0.0, above=True))
    sizes = ascending("batch_sizes", batch_sizes, lambda x: _check.whole("batch_sizes", x, 1, count))
    if not isinstance(widths, Sequence) or isinstance(widths, str) or not widths:
        raise _check.refuse("widths", "the units of at least one hidden layer", widths)
    settings = {
        "images": count, "held_out": len(examples.held_images), "learning_rates": rates, "batch_sizes": sizes,
        "widths": [_check.whole("widths", width, 1, 100_000) for width in widths], "pool": int(pool),
        "goal": _check.real("goal", goal, 0.0, above=True), "passes": _check.whole("passes", passes, 1),
        "radius": _check.real("radius", radius, 0.0, above=True), "span": _check.real("span", span, 0.0, above=True),
        "draws": _check.whole("draws", draws, 1, 1000), "seed": _check.whole("seed", seed, 0, 2**31 - 1),
    }  # fmt: skip
    trials = [(rate, size, draw) for rate in rates for size in sizes for draw in range(draws)]

    def row(number: int) -> np.ndarray:
        rate, size, draw = trials[number]
        model = dense_network(examples.shape, examples.classes, Draws(seed, draw), widths)
        trainer = Trainer(model, examples, keras.optimizers.SGD(rate), size, seed=seed + draw)
        steps, reached = _train(trainer, count // size, goal, passes)
        surface = Around(model, examples.images, examples.labels)
        return np.array([
            largest_eigenvalue(surface.product, surface.size, _LANCZOS, seed), ball(surface, radius),
            rise(surface, span, seed), steps, reached, *measure_both(model, examples),
        ])  # fmt: skip

    rows = shared_rows(folder, len(trials), row, {**settings, "examples": fingerprint(examples)})
    parts = np.moveaxis(rows.reshape(len(rates), len(sizes), draws, len(MEASURES)), -1, 0)
    arrays = {"learning_rates": np.array(rates), "batch_sizes": np.array(sizes)}
    arrays.update(zip(MEASURES, parts, strict=True))
    return Study("sharpness", settings, arrays, _claims(arrays), time.perf_counter() - start, _plot)


def _train(trainer: Trainer, steps_of_a_pass: int, goal: float, passes: int) -> tuple[int, bool]:
    """(steps taken, whether the goal was reached)."""
    for number in range(1, passes + 1):
        mean = trainer.steps(steps_of_a_pass).mean()
        if not mean > goal:  # or no number
            return number * steps_of_a_pass, bool(mean <= goal)
    return passes * steps_of_a_pass, False


def largest_eigenvalue(product: Callable[[np.ndarray], np.ndarray], size: int, steps: int, seed: int) -> float:
    """Of a symmetric matrix that is known by its products with vectors, by Lanczos' method; NaN if one is not finite.

    All vectors are kept and made orthogonal again, as rounding would bring eigenvalues back that are already found.
    """
    first = np.random.default_rng(seed).standard_normal(size)
    basis, middle, beside = [first / np.linalg.norm(first)], [], []
    for _ in range(min(steps, size)):
        image = np.asarray(product(basis[-1]), "float64")
        if not np.isfinite(image).all():
            return float("nan")
        middle.append(basis[-1] @ image)
        scale = np.linalg.norm(image)
        for _ in range(2):  # once is not enough where little is left
            image = image - np.array(basis).T @ (np.array(basis) @ image)
        beside.append(np.linalg.norm(image))
        if beside[-1] <= 1e-6 * scale or scale == 0:  # the rest of the space is not reached: rounding is left
            break
        basis.append(image / beside[-1])
    off = beside[: len(middle) - 1]
    return float(np.linalg.eigvalsh(np.diag(middle) + np.diag(off, 1) + np.diag(off, -1))[-1])


def ball(surface: Around, radius: float) -> float:
    """Keskar et al.'s sharpness, in percent."""
    bound, moved = radius * (np.abs(surface.point) + 1), np.zeros(surface.size)
    loss = highest = surface.value(moved)
    if not np.isfinite(loss):
        return float("nan")
    for _ in range(_ASCENT):
        moved = np.clip(moved + 0.5 * bound * np.sign(surface.slope(moved)), -bound, bound)
        highest = np.maximum(highest, surface.value(moved))
    return float(100 * (highest - loss) / (1 + loss))


def rise(surface: Around, span: float, seed: int) -> float:
    """Of the loss along random directions in which each filter has the norm of the network's; biases stay."""
    random, found = np.random.default_rng(seed), []
    for _ in range(_DIRECTIONS):
        parts = []
        for variable in surface.variables:
            value = variable.numpy().astype("float64")
            axes = tuple(range(value.ndim - 1))
            drawn = random.standard_normal(value.shape)
            parts.append(np.ravel(normalized(drawn, value, axes) if axes else 0 * drawn))
        found.append(surface.value(span * np.concatenate(parts)))
    return float(np.mean(found) - surface.value(np.zeros(surface.size)))


def _claims(arrays: dict[str, np.ndarray]) -> dict[str, bool]:
    """Of the rates and sizes whose every draw has come to the goal; what has not is at no minimum."""
    reached = arrays["reached"].all(axis=-1)
    eigenvalue, box, risen, accuracy = (
        np.where(reached, np.median(arrays[name], axis=-1), np.nan)
        for name in ("eigenvalue", "ball", "rise", "held_accuracy")
    )
    claims = {}
    if (found := _ends(eigenvalue.T)).size:
        claims["Large steps end in flatter minima, at each batch size: the largest eigenvalue is smaller"] = bool(
            (found[:, 1] < found[:, 0]).all()
        )
    if (found := _ends(eigenvalue)).size:
        claims["Small batches end in flatter minima, at each rate: the largest eigenvalue is smaller"] = bool(
            (found[:, 0] < found[:, 1]).all()
        )
        found = _ends(box)
        claims["So says the rise of the loss in a box around them"] = bool((found[:, 0] < found[:, 1]).all())
        found = _ends(accuracy)
        claims["Small batches end at a higher held-out accuracy, in the mean over the rates"] = bool(
            found[:, 0].mean() > found[:, 1].mean()
        )
    if reached.sum() > 2:
        ranks = [np.argsort(np.argsort(values[reached])) for values in (risen, -accuracy)]
        claims["Minima that are flatter by filter-normalized directions have smaller held-out errors"] = bool(
            np.corrcoef(*ranks)[0, 1] > 0
        )
    return claims


def _ends(table: np.ndarray) -> np.ndarray:
    """The first and the last number of each line that has two, [lines, 2]."""
    lines = [line[np.isfinite(line)] for line in table]
    return np.array([(line[0], line[-1]) for line in lines if len(line) > 1]).reshape(-1, 2)


def _plot(study: Study) -> Any:
    from matplotlib.figure import Figure

    arrays, settings = study.arrays, study.settings
    rates, reached = arrays["learning_rates"], arrays["reached"].all(axis=-1)
    figure = Figure(figsize=(10, 4.4), dpi=100, layout="constrained")
    panels = figure.subplots(1, 3)
    looks = (("#440154", "o-"), ("#21918c", "s--"), ("#c2820a", "^-."), ("#35b779", "D:"))
    labels = {
        "eigenvalue": "largest eigenvalue of the Hessian", "ball": "sharpness in the box, %",
        "held_accuracy": "held-out accuracy, %",
    }  # fmt: skip
    for axes, (name, label) in zip(panels, labels.items(), strict=True):
        for index, size in enumerate(arrays["batch_sizes"]):
            values = np.where(reached[:, index, None], arrays[name][:, index], np.nan)
            values = values * (100 if name == "held_accuracy" else 1)
            color, line = looks[index % len(looks)]
            axes.plot(rates, np.median(values, axis=-1), line, color=color, markersize=5, label=f"batches of {size}")
            axes.fill_between(rates, values.min(axis=-1), values.max(axis=-1), color=color, alpha=0.12)
        axes.set(xscale="log", xlabel="learning rate", ylabel=label, xticks=rates)
        axes.set_xticklabels([f"{rate:g}" for rate in rates])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        if name != "held_accuracy":
            axes.set(yscale="log")
    panels[0].plot(rates, 2 / rates, color="0.5", linewidth=1, label="2 / rate")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(labels) + 2)
    told = "{images} images, trained to a loss of {goal:g}, {draws} draws: medians and ranges".format(**settings)
    figure.suptitle(f"Minima by batch size and learning rate; {told}")
    return figure
