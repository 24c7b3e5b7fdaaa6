"""Batch norm lets networks learn at rates at which they otherwise diverge."""

import os
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn.studies.rows import shared_rows
from kerascnn.studies.small_networks import blocks_of, small_network
from kerascnn.studies.study import Study
from kerascnn.studies.trials import Draws, Trainer, ascending, divided, fingerprint, measure

KINDS = ("without batch norm", "with batch norm")
_MEASURED = ("loss", "accuracy", "held_loss", "held_accuracy")


def batch_norm_rates(
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    rates: Sequence[float] = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
    depth: int = 14,
    width: int = 8,
    steps: int = 400,
    batch_size: int = 64,
    draws: int = 3,
    held_out: float = 0.2,
    seed: int = 0,
    folder: str | os.PathLike | None = None,
) -> Study:
    """Trains the same network with and without batch norm at rising learning rates, each for the same number of steps.

    Large steps make the activations of a network without norms grow with its depth, until the loss overflows or no ReLU
    is open; batch norm sets their scale anew in each layer. The networks are plain ones for small images, see
    `small_network`; a training has one rate from its first step to its last, momentum 0.9 and no weight decay.

    A training has diverged where its loss is no longer finite; it has learned where its loss at the end is below half
    of that of always telling the shares of the classes.

    Args:
        images: [n, height, width, channels], in any unit.
        labels: classes [n].
        rates: learning rates, ascending.
        depth: layers, 6 * blocks + 2.
        width: channels of the first stage; the others have twice and four times as many.
        steps: of each training.
        batch_size: images of a step.
        draws: networks of each kind and rate, of other initial weights and orders; medians are told.
        held_out: share of the images, the last ones, that are not trained on.
        seed: of the first draw.
        folder: where finished trainings are kept, which several processes may share.

    Returns:
        A `Study` with `rates` [r]; `loss`, float64 [kinds, r, draws]: the mean of the last tenth of the steps, in
        training; `accuracy`, `held_loss`, `held_accuracy`, alike: of the training images and those held out, at
        inference; `diverged`, bool [kinds, r, draws], where those are NaN; `guess`: the loss of the classes' shares.
        Kinds are without, with batch norm.

    Raises:
        InputError: an argument cannot be used, or the folder is another study's.

    Source: Ioffe, Szegedy: Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
    Shift, 2015, arXiv:1502.03167, section 3.3; Bjorck, Gomes, Selman, Weinberger: Understanding Batch Normalization,
    2018, arXiv:1806.02375.

    Example:

        found = kerascnn.studies.batch_norm_rates(images, labels, rates=(0.01, 0.1, 1.0), depth=8, steps=200, draws=1)
        print(found.arrays["diverged"].sum(axis=-1), found.claims)
    """
    start = time.perf_counter()
    examples = divided(images, labels, held_out)
    blocks = blocks_of("depth", depth)
    settings = {
        "images": len(examples.images), "held_out": len(examples.held_images), "depth": 6 * blocks + 2,
        "rates": ascending("rates", rates, lambda rate: _check.real("rates", rate, 0.0, above=True)),
        "width": _check.whole("width", width, 1, 4096), "steps": _check.whole("steps", steps, 1),
        "batch_size": _check.whole("batch_size", batch_size, 1, len(examples.images)),
        "draws": _check.whole("draws", draws, 1, 1000), "seed": _check.whole("seed", seed, 0, 2**31 - 1),
    }  # fmt: skip
    trials = [(kind, rate, draw) for kind in KINDS for rate in settings["rates"] for draw in range(draws)]

    def row(number: int) -> np.ndarray:
        kind, rate, draw = trials[number]
        model = small_network(
            examples.shape, examples.classes, Draws(seed, draw), blocks=blocks, widths=(width, 2 * width, 4 * width),
            shortcuts=False, batch_norm=kind == KINDS[1],
        )  # fmt: skip
        optimizer = keras.optimizers.SGD(rate, momentum=0.9)
        losses = Trainer(model, examples, optimizer, batch_size, seed=seed + draw).steps(steps)
        _, accuracy = measure(model, examples.images, examples.labels)
        found = [losses[-max(1, steps // 10) :].mean(), accuracy]
        found += measure(model, examples.held_images, examples.held_labels)
        # The last step may have been the one too many, which only the measured loss then tells.
        return np.array(found) if np.isfinite(found).all() else np.full(len(_MEASURED), np.nan)

    rows = shared_rows(folder, len(trials), row, {**settings, "examples": fingerprint(examples)})
    parts = np.moveaxis(rows.reshape(len(KINDS), len(settings["rates"]), draws, len(_MEASURED)), -1, 0)
    arrays = {"rates": np.array(settings["rates"]), **dict(zip(_MEASURED, parts, strict=True))}
    arrays["diverged"] = np.isnan(arrays["loss"])
    shares = np.bincount(examples.labels) / len(examples.labels)
    arrays["guess"] = np.array(-np.sum(shares * np.log(np.where(shares > 0, shares, 1))))
    return Study("batch_norm_rates", settings, arrays, _claims(arrays), time.perf_counter() - start, _plot)


def learned(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Which trainings have learned, see `batch_norm_rates`; one that has diverged has not."""
    return arrays["loss"] < arrays["guess"] / 2


def _claims(arrays: dict[str, np.ndarray]) -> dict[str, bool]:
    loss = np.median(np.where(arrays["diverged"], np.inf, arrays["loss"]), axis=-1)
    held = np.median(np.where(arrays["diverged"], 0.0, arrays["held_accuracy"]), axis=-1)
    most = 2 * learned(arrays).sum(axis=-1) > arrays["loss"].shape[-1]
    highest = np.where(most, arrays["rates"], 0.0).max(axis=1)  # 0: at none
    best = loss.argmin(axis=1)
    plain = held[0, best[0]]
    gain, gain_there = held[1, best[1]] - plain, held[1, best[0]] - plain
    return {
        "With batch norm networks learn at higher rates than without": bool(highest[1] > highest[0]),
        "Each at its best rate, batch norm has the lower training loss after the same number of steps": bool(
            loss[1].min() < loss[0].min()
        ),
        "Each at its best rate, batch norm is right more often on held-out images": bool(gain > 0),
        "It is the higher rate that helps: at the best rate without it, batch norm gains less than half of that": bool(
            gain > 0 and gain_there < gain / 2
        ),
    }


def _plot(study: Study) -> Any:
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch
    from matplotlib.ticker import LogLocator, NullLocator

    arrays, settings = study.arrays, study.settings
    rates, draws = arrays["rates"], settings["draws"]
    figure = Figure(figsize=(10, 4.8), dpi=100, layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    colors, places = ("#c2820a", "#440154"), np.arange(len(rates))
    for kind, (color, line) in enumerate(zip(colors, ("o--", "s-"), strict=True)):
        for axes, name, scale in ((left, "loss", 1), (middle, "held_accuracy", 100)):
            values = scale * arrays[name][kind]
            # Where at least half have diverged there is no median.
            typical = np.median(np.where(arrays["diverged"][kind], np.inf, values), axis=-1)
            axes.plot(rates, np.where(np.isfinite(typical), typical, np.nan), line, color=color, label=KINDS[kind])
            axes.plot(rates, values, line[0], color=color, alpha=0.35, markersize=4, linestyle="none")
        states = (learned(arrays)[kind], ~(learned(arrays)[kind] | arrays["diverged"][kind]), arrays["diverged"][kind])
        bottom = np.zeros(len(rates))
        for state, look in zip(states, _looks(color), strict=True):
            right.bar(places + (kind - 0.5) * 0.4, state.sum(axis=-1), 0.36, bottom=bottom, edgecolor=color, **look)
            bottom += state.sum(axis=-1)
    left.axhline(float(arrays["guess"]), color="0.4", linestyle=":", label="guessing by the classes' shares")
    lowest = np.nanmin(arrays["loss"]) if np.isfinite(arrays["loss"]).any() else arrays["guess"] / 100
    left.set(ylabel="training loss, last tenth of the steps", yscale="log", ylim=(lowest / 1.3, 2 * arrays["guess"]))
    middle.set(ylabel="held-out accuracy, %", ylim=(0, 100))
    left.yaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
    left.yaxis.set_major_formatter("{x:g}")
    left.yaxis.set_minor_locator(NullLocator())
    for axes in (left, middle):
        axes.set(xlabel="learning rate", xscale="log", xlim=(rates[0] / 1.5, rates[-1] * 1.5))
        axes.grid(alpha=0.3)
    right.set(xlabel="learning rate", ylabel="trainings")
    right.set_xticks(places, [f"{rate:g}" for rate in rates], rotation=45)
    right.set_yticks(range(0, draws + 1, max(1, draws // 5)))
    states = zip(_looks("0.3"), ("learned: loss below half of guessing", "loss above it", "diverged"), strict=True)
    handles = [*left.get_legend_handles_labels()[0], *(Patch(edgecolor="0.3", label=x, **look) for look, x in states)]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8)
    told = "{depth} layers, {images} images, {steps} steps of {batch_size}, {draws} draws and their medians"
    figure.suptitle(f"Learning rates with and without batch norm; {told.format(**settings)}", fontsize=11)
    return figure


def _looks(color: str) -> tuple[dict[str, Any], ...]:
    """Of the bars of what learned, what did not, what diverged."""
    return {"facecolor": color}, {"facecolor": "white"}, {"facecolor": "white", "hatch": "xxxx"}
