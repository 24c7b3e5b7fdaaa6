"""The way of a training through the space of its weights, seen in the plane in which most of it lies."""

import os
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn.studies.flattened import Flattened
from kerascnn.studies.rows import shared_rows
from kerascnn.studies.small_networks import small_network
from kerascnn.studies.study import Study
from kerascnn.studies.trials import Draws, Trainer, ascending, divided, fingerprint

_LOW, _HIGH = 0.4, 0.9  # what the source says of the first two components


def trajectory(
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    batch_sizes: Sequence[int] = (16, 128),
    blocks: int = 1,
    width: int = 8,
    steps: int = 600,
    every: int = 10,
    learning_rate: float = 0.1,
    weight_decay: float = 5e-4,
    points: int = 21,
    margin: float = 0.2,
    held_out: float = 0.2,
    seed: int = 0,
    folder: str | os.PathLike | None = None,
) -> Study:
    """Keeps a network's weights while it trains, and draws their way over the loss in the plane that has most of it.

    In random directions of a space of thousands of dimensions a training hardly moves. The principal components of
    what the kept weights differ by from the last ones are where it does. That the first two have most of the variance
    is said to show that training takes place in few dimensions; the components of a random walk in many dimensions are
    told beside them, as its first two alone have three quarters.

    The networks are residual `small_network`s with batch norm, which differ in the batch size alone; momentum 0.9, the
    rate divided by ten after half of the steps and after three quarters. The loss in the plane is as at inference, with
    the statistics of the trained network, as in the source.

    Args:
        images: [n, height, width, channels], in any unit.
        labels: classes [n].
        batch_sizes: ascending, images of a step; a training for each.
        blocks: in each of the three stages, of two convolutions.
        width: channels of the first stage; the others have twice and four times as many.
        steps: of each training, a multiple of `every`, at least twice.
        every: how many steps apart weights are kept.
        learning_rate: of the first steps.
        weight_decay: of all weights.
        points: of the grid, along each component.
        margin: how far the grid goes beyond the way, in lengths of the way along each component.
        held_out: share of the images, the last ones, that are not trained on.
        seed: of the weights and orders.
        folder: where finished trainings are kept, which several processes may share.

    Returns:
        A `Study` with `variance` [batch sizes, kept], the share of each component, `random_walk` [kept], that of a
        random walk; `way` [batch sizes, kept, 2], coordinates of the kept weights from the last ones; `loss` [batch
        sizes, kept], of the training images then; `at` [batch sizes, 2, points], the grid, and `surface` [batch sizes,
        points, points], the training loss there: rows are of the second component. All of a training that diverges
        are NaN.

    Raises:
        InputError: an argument cannot be used, or the folder is another study's.

    Source: Li, Xu, Taylor, Studer, Goldstein: Visualizing the Loss Landscape of Neural Nets, 2018, arXiv:1712.09913,
    section 7; random walks: Antognini, Sohl-Dickstein: PCA of high dimensional random walks with comparison to neural
    network training, 2018, arXiv:1806.08805.

    Example:

        found = kerascnn.studies.trajectory(images, labels, batch_sizes=(64,), steps=200)
        print(found.arrays["variance"][0, :2].sum(), found.claims)
    """
    start = time.perf_counter()
    examples = divided(images, labels, held_out)
    count = len(examples.images)
    settings = {
        "images": count, "held_out": len(examples.held_images),
        "batch_sizes": ascending("batch_sizes", batch_sizes, lambda one: _check.whole("batch_sizes", one, 1, count)),
        "blocks": _check.whole("blocks", blocks, 1, 1000), "width": _check.whole("width", width, 1, 4096),
        "steps": _check.whole("steps", steps, 2), "every": _check.whole("every", every, 1, steps // 2),
        "learning_rate": _check.real("learning_rate", learning_rate, 0.0, above=True),
        "weight_decay": _check.real("weight_decay", weight_decay, 0.0),
        "points": _check.whole("points", points, 3, 1001),
        "margin": _check.real("margin", margin, 0.0, above=True), "seed": _check.whole("seed", seed, 0, 2**31 - 1),
    }  # fmt: skip
    if steps % every:
        raise _check.refuse("steps", f"a multiple of every={every}", steps)
    kept = steps // every + 1

    def row(number: int) -> np.ndarray:
        options = {"blocks": blocks, "widths": (width, 2 * width, 4 * width)}
        model = small_network(examples.shape, examples.classes, Draws(seed), **options)
        loss = Flattened(model)
        weights, losses = [loss.vector()], [loss.measure(loss.vector(), examples.images, examples.labels)[0]]

        def keep(step: int) -> None:
            if (step + 1) % every == 0:
                weights.append(loss.vector())
                losses.append(loss.measure(weights[-1], examples.images, examples.labels)[0])

        rate = keras.optimizers.schedules.PiecewiseConstantDecay(
            [steps // 2, 3 * steps // 4], [learning_rate, learning_rate / 10, learning_rate / 100]
        )
        optimizer = keras.optimizers.SGD(rate, momentum=0.9, weight_decay=weight_decay)
        Trainer(model, examples, optimizer, settings["batch_sizes"][number], seed).steps(steps, keep)
        if len(weights) < kept or not np.isfinite(weights).all():
            return np.full(4 * kept + 2 * points + points**2, np.nan)
        directions, way, variance = components(np.array(weights))
        at = [axis(along, points, margin) for along in way.T]
        surface = [
            loss.measure(weights[-1] + a * directions[0] + b * directions[1], examples.images, examples.labels)[0]
            for b in at[1]
            for a in at[0]
        ]
        return np.concatenate([variance, way.ravel(), losses, *at, surface])

    rows = shared_rows(folder, len(batch_sizes), row, {**settings, "examples": fingerprint(examples)})
    parts = np.split(rows, np.cumsum([kept, 2 * kept, kept, 2 * points]), axis=1)
    arrays = {
        "variance": parts[0], "random_walk": random_walk(kept), "way": parts[1].reshape(-1, kept, 2), "loss": parts[2],
        "at": parts[3].reshape(-1, 2, points), "surface": parts[4].reshape(-1, points, points),
    }  # fmt: skip
    return Study("trajectory", settings, arrays, _claims(arrays), time.perf_counter() - start, _plot)


def components(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The principal components of a way.

    Args:
        weights: [kept, n], in their order.

    Returns:
        The first two, unit vectors [2, n]; the coordinates of the weights along them [kept, 2], those of the last ones
        being 0 and those of the first ones not negative; and the share of the variance of each component [kept].
    """
    moves = weights - weights[-1]
    _, sizes, found = np.linalg.svd(moves - moves.mean(axis=0), full_matrices=False)
    variance = np.zeros(len(weights))
    variance[: len(sizes)] = sizes**2 / max(np.sum(sizes**2), np.finfo(float).tiny)
    directions = found[:2]
    directions = directions * np.where(directions @ moves[0] < 0, -1, 1)[:, None]
    return directions, moves @ directions.T, variance


def axis(values: np.ndarray, points: int, margin: float) -> np.ndarray:
    """Places along a component, some beyond all values; one of them is 0, where the trained network is."""
    low, high = values.min(), values.max()
    beyond = margin * ((high - low) or 1.0)
    found = np.linspace(low - beyond, high + beyond, points)
    found[np.abs(found).argmin()] = 0.0
    return found


def random_walk(kept: int) -> np.ndarray:
    """The share of the variance that each component of a random walk has, in the limit of many dimensions."""
    walk = np.tril(np.ones((kept, kept)))
    sizes = np.linalg.svd(walk - walk.mean(axis=0), compute_uv=False)
    return sizes**2 / np.sum(sizes**2)


def _claims(arrays) -> dict[str, bool]:
    both = arrays["variance"][:, :2].sum(axis=1)
    return {
        "The first two components have 40 to 90 % of the variance of the weights": bool(
            ((both >= _LOW) & (both <= _HIGH)).all()
        )
    }


def _plot(study: Study) -> Any:
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    arrays, sizes = study.arrays, study.settings["batch_sizes"]
    figure = Figure(figsize=(10, 4.4), dpi=100, layout="constrained")
    *planes, right = figure.subplots(1, len(sizes) + 1)
    finite = arrays["surface"][np.isfinite(arrays["surface"])]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.1, 1.0)
    low = max(low, 1e-4)
    levels, shown = np.geomspace(low * 0.999, max(high, low) * 1.001, 25), None
    for axes, size, at, surface, way in zip(planes, sizes, arrays["at"], arrays["surface"], arrays["way"], strict=True):
        axes.set(title=f"loss, batches of {size}", xlabel="first component", ylabel="second component")
        if np.isnan(way).any():
            axes.text(0.5, 0.5, "diverged", ha="center", transform=axes.transAxes)
            continue
        surface = np.clip(np.nan_to_num(surface, nan=high, posinf=high), low, high)
        shown = axes.contourf(*at, surface, levels=levels, cmap="viridis", norm=LogNorm())
        crossed = levels[::3][(levels[::3] > surface.min()) & (levels[::3] < surface.max())]
        if len(crossed):
            axes.contour(*at, surface, levels=crossed, colors="white", linewidths=0.4)
        axes.plot(*way.T, ".-", color="white", markersize=4, linewidth=1)
        axes.plot(*way[-1], "*", color="#c2820a", markeredgecolor="white", markersize=13)
    if shown is not None:
        ticks = [tick for tick in (0.001, 0.01, 0.1, 1, 10, 100, 1000) if levels[0] < tick < levels[-1]]
        bar = figure.colorbar(shown, ax=planes, pad=0.02, ticks=ticks)
        bar.ax.yaxis.set_major_formatter("{x:g}")
        bar.ax.minorticks_off()
    numbers = np.arange(1, min(10, arrays["variance"].shape[1]) + 1)
    looks = (("#440154", "o-"), ("#21918c", "s-"), ("#35b779", "^-"), ("#c2820a", "v-"))
    for number, (size, variance) in enumerate(zip(sizes, arrays["variance"], strict=True)):
        color, line = looks[number % len(looks)]
        right.plot(numbers, 100 * np.cumsum(variance)[: len(numbers)], line, color=color, label=f"batches of {size}")
    walk = 100 * np.cumsum(arrays["random_walk"])[: len(numbers)]
    right.plot(numbers, walk, "x--", color="gray", label="random walk")
    right.set(xlabel="components", ylabel="share of the variance, %", ylim=(0, 102), xticks=numbers[1::2])
    right.grid(alpha=0.3)
    right.legend(loc="lower right")
    told = "{images} images, {steps} steps, weights kept every {every}".format(**study.settings)
    figure.suptitle(f"The way of a training in the plane of its first two components: {told}")
    return figure
