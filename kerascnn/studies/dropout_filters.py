"""Dropout and SAF-pooling: what they do to units that die and to filters that are alike."""

import os
import time
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn.explain.activations import activation_statistics
from kerascnn.layers.saf_pooling2d import SAFPooling2D
from kerascnn.studies.rows import shared_rows
from kerascnn.studies.study import Study
from kerascnn.studies.trials import Draws, Trainer, divided, fingerprint, measure_both, step_down

L = keras.layers
KINDS = ("nothing", "dropout", "saf")
LAYERS = ("conv1", "conv2", "conv3", "hidden")
_WHOLE = ("loss", "accuracy", "held_loss", "held_accuracy")  # measured of a network
_EACH = ("dead", "zeros", "cosine", "rank")  # measured of each of its layers


def dropout_filters(
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    width: int = 16,
    hidden: int = 128,
    rate: float = 0.2,
    hidden_rate: float = 0.5,
    steps: int = 800,
    batch_size: int = 64,
    learning_rate: float = 0.03,
    draws: int = 5,
    held_out: float = 0.2,
    seed: int = 0,
    folder: str | os.PathLike | None = None,
) -> Study:
    """Trains one small network without noise, with dropout, and with SAF-pooling in place of its max pooling.

    Three 3x3 convolutions, each with a ReLU and 2x2 max pooling, then a dense ReLU layer and the classifier. A draw has
    the same initial weights and the same order of the examples for all three kinds, so that what differs comes from the
    noise alone. Effects are small next to what the initial weights do: claims are of the mean over draws of the
    difference to the same draw without noise. Momentum 0.9, the rate divided by ten after three quarters of the steps.

    Args:
        images: [n, height, width, channels], in any unit.
        labels: classes [n].
        width: channels of the first convolution; the others have twice and four times as many.
        hidden: units of the dense layer.
        rate: of "dropout" after the ReLUs of the convolutions, and of "saf" at the poolings.
        hidden_rate: of "dropout" after the dense layer.
        steps: of each training.
        batch_size: images of a step.
        learning_rate: of the first steps.
        draws: networks of each kind, of other initial weights and orders.
        held_out: share of the images, the last ones, that are not trained on.
        seed: of the first draw.
        folder: where finished trainings are kept, which several processes may share.

    Returns:
        A `Study` with `loss`, `accuracy`, `held_loss`, `held_accuracy`, float64 [kinds, draws], as at inference; kinds
        are nothing, dropout, saf. Of the layers conv1, conv2, conv3, hidden, float64 [kinds, draws, layers]: `dead`,
        the share of channels or units that give 0 for every held-out image everywhere; `zeros`, the part of ReLU
        outputs that is 0, there too; `cosine`, the mean |cosine| between two filters; `rank`, the stable rank
        |W|_F^2 / |W|_2^2 of all filters of a layer. `units` [layers] is how many there are. What is told of layers is
        NaN where training has diverged.

    Raises:
        InputError: an argument cannot be used, or the folder is another study's.

    Source: Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov: Dropout: A Simple Way to Prevent Neural Networks
    from Overfitting, JMLR 15, 2014, section 7; Hasanpour, Rouhani, Fayyaz, Sabokrou, Adeli: Towards Principled Design
    of Deep Convolutional Networks: Introducing SimpNet, 2018, arXiv:1802.06205.

    Example:

        found = kerascnn.studies.dropout_filters(images, labels, steps=200)
        print(found.arrays["dead"].mean(axis=1), found.claims)
    """
    start = time.perf_counter()
    examples = divided(images, labels, held_out)
    options = {
        "width": _check.whole("width", width, 2, 4096), "hidden": _check.whole("hidden", hidden, 2, 2**20),
        "rate": _check.real("rate", rate, 0.0, 1.0, below=True),
        "hidden_rate": _check.real("hidden_rate", hidden_rate, 0.0, 1.0, below=True),
    }  # fmt: skip
    settings = {
        "images": len(examples.images), "held_out": len(examples.held_images), **options,
        "steps": _check.whole("steps", steps, 1),
        "batch_size": _check.whole("batch_size", batch_size, 1, len(examples.images)),
        "learning_rate": _check.real("learning_rate", learning_rate, 0.0, above=True),
        "draws": _check.whole("draws", draws, 1, 1000), "seed": _check.whole("seed", seed, 0, 2**31 - 1),
    }  # fmt: skip
    trials = [(kind, draw) for kind in KINDS for draw in range(draws)]

    def row(number: int) -> np.ndarray:
        kind, draw = trials[number]
        model = network(examples.shape, examples.classes, kind, (seed, draw), **options)
        schedule = step_down(learning_rate, steps)
        optimizer = keras.optimizers.SGD(schedule, momentum=0.9)
        Trainer(model, examples, optimizer, batch_size, seed=seed + draw).steps(steps)
        return np.array([
            *measure_both(model, examples),
            *measure_layers(model, examples.held_images).ravel(),
        ])  # fmt: skip

    rows = shared_rows(folder, len(trials), row, {**settings, "examples": fingerprint(examples)})
    rows = rows.reshape(len(KINDS), draws, -1)
    arrays = dict(zip(_WHOLE, np.moveaxis(rows[..., : len(_WHOLE)], -1, 0), strict=True))
    of_layers = rows[..., len(_WHOLE) :].reshape(len(KINDS), draws, len(_EACH), len(LAYERS))
    arrays.update(zip(_EACH, np.moveaxis(of_layers, 2, 0), strict=True))
    arrays["units"] = np.array([width, 2 * width, 4 * width, hidden])
    return Study("dropout_filters", settings, arrays, _claims(arrays), time.perf_counter() - start, _plot)


def network(
    shape: tuple[int, ...],
    classes: int,
    kind: str,
    seeds: tuple[int, ...],
    *,
    width: int,
    hidden: int,
    rate: float,
    hidden_rate: float,
) -> keras.Model:
    """Images -> logits; all kinds have the same initial weights for the same seeds.

    Args:
        shape: [height, width, channels] of the images.
        classes: how many.
        kind: one of `KINDS`.
        seeds: of the weights; what is dropped has seeds of its own that follow from them.
        width, hidden, rate, hidden_rate: see `dropout_filters`.
    """
    draws, noise = Draws(*seeds), Draws(*seeds, 1)
    x = inputs = keras.Input(shape, name="image")
    for number, name in enumerate(LAYERS[:3], 1):
        x = L.Conv2D(width * 2 ** (number - 1), 3, padding="same", kernel_initializer=draws.he(), name=name)(x)
        x = L.ReLU(name=f"{name}_relu")(x)
        if kind == "dropout":
            x = L.Dropout(rate, seed=noise.number(), name=f"{name}_dropout")(x)
        if kind == "saf":
            x = SAFPooling2D(2, padding="same", rate=rate, seed=noise.number(), name=f"pool{number}")(x)
        else:
            x = L.MaxPooling2D(2, padding="same", name=f"pool{number}")(x)
    x = L.Dense(hidden, kernel_initializer=draws.he(), name="hidden")(L.Flatten(name="flat")(x))
    x = L.ReLU(name="hidden_relu")(x)
    if kind == "dropout":
        x = L.Dropout(hidden_rate, seed=noise.number(), name="hidden_dropout")(x)
    logits = L.Dense(classes, kernel_initializer=draws.he(), name="classifier")(x)
    return keras.Model(inputs, logits, name=kind)


def measure_layers(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Dead share, zero fraction, mean |cosine| and stable rank of each layer, float64 [4, layers]; NaN where a weight
    is not finite."""
    kernels = [model.get_layer(name).kernel.numpy() for name in LAYERS]
    if not all(np.isfinite(weight.numpy()).all() for weight in model.weights):
        return np.full((len(_EACH), len(LAYERS)), np.nan)
    found = activation_statistics(model, images, [f"{name}_relu" for name in LAYERS], batch_size=500).values()
    dead, zeros = [of.dead.mean() for of in found], [of.zero_fraction.mean() for of in found]
    return np.array([dead, zeros, *zip(*map(diversity, kernels), strict=True)])


def diversity(kernel: np.ndarray) -> tuple[float, float]:
    """(mean |cosine| between two filters, stable rank) of a kernel [..., filters]; a filter of zeros has cosine 0."""
    filters = np.reshape(kernel, (-1, kernel.shape[-1])).astype("float64")
    norms, largest = np.linalg.norm(filters, axis=0), np.linalg.norm(filters, 2)
    filters = filters / np.where(norms > 0, norms, 1.0)
    pairs = np.triu_indices(len(norms), 1)
    cosine = np.abs(filters.T @ filters)[pairs].mean()
    return float(cosine), float((norms**2).sum() / largest**2) if largest else 0.0


def _claims(arrays) -> dict[str, bool]:
    dead, zeros = arrays["dead"] @ arrays["units"], arrays["zeros"].mean(axis=-1)
    cosine, rank = (arrays[name].mean(axis=-1) for name in ("cosine", "rank"))
    claims = {}
    for kind, told in ((1, "dropout"), (2, "SAF-pooling")):
        claims[f"With {told} fewer units are dead"] = _change(dead, kind) < 0
        claims[f"With {told} filters differ more: the mean |cosine| between them is lower"] = _change(cosine, kind) < 0
        claims[f"With {told} filters differ more: their stable rank is higher"] = _change(rank, kind) > 0
        claims[f"With {told} more held-out images are right"] = _change(arrays["held_accuracy"], kind) > 0
    claims["With dropout more ReLU outputs are zero"] = _change(zeros, 1) > 0
    return claims


def _change(values: np.ndarray, kind: int) -> float:
    """The mean difference to the same draws without noise, of those that did not diverge; NaN: there are none."""
    change = values[kind] - values[0]
    change = change[np.isfinite(change)]
    return float(change.mean()) if len(change) else float("nan")


def _plot(study: Study) -> Any:
    from matplotlib.figure import Figure

    arrays, settings = study.arrays, study.settings
    figure = Figure(figsize=(10, 6.4), dpi=100, layout="constrained")
    grid = figure.subplots(2, 3).ravel()
    looks = (("nothing", "#440154", "o"), ("dropout", "#c2820a", "s"), ("SAF-pooling", "#21918c", "^"))
    labels = ("dead units, %", "zeros of ReLU outputs, %", "mean |cosine| of two filters", "stable rank of the filters")
    for axes, name, label in zip(grid, _EACH, labels, strict=False):
        for kind, (told, color, marker) in enumerate(looks):
            values = arrays[name][kind] * (100 if "%" in label else 1)
            _points(axes, np.arange(len(LAYERS)) + 0.22 * (kind - 1), values, color, marker, told)
        axes.set(ylabel=label, xticks=range(len(LAYERS)), xticklabels=LAYERS, ylim=(0, None))
    for kind, (told, color, marker) in enumerate(looks):
        both = np.stack([arrays["accuracy"][kind], arrays["held_accuracy"][kind]], axis=-1)
        _points(grid[4], np.arange(2) + 0.22 * (kind - 1), 100 * both, color, marker, told)
        if kind:
            change = 100 * (arrays["held_accuracy"][kind] - arrays["held_accuracy"][0])
            _points(grid[5], np.array([kind - 1.0]), change[:, None], color, marker, told)
    grid[4].set(ylabel="accuracy, %", xticks=range(2), xticklabels=("training", "held out"), xlim=(-0.5, 1.5))
    grid[5].axhline(0, color="0.3", linestyle="--", linewidth=1)
    grid[5].set(ylabel="held-out accuracy\nbeyond that without noise, points", xticks=range(2))
    grid[5].set(xticklabels=("dropout", "SAF-pooling"), xlim=(-0.5, 1.5))
    for axes in grid:
        axes.grid(alpha=0.3, axis="y")
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    told = "{images} images, {steps} steps of {batch_size}, {draws} draws (bars: their means)".format(**settings)
    figure.suptitle(f"Dropout and SAF-pooling: units and filters of a small network; {told}", fontsize=11)
    return figure


def _points(axes: Any, places: np.ndarray, values: np.ndarray, color: str, marker: str, label: str) -> None:
    """Values [draws, places]: each a point, and a bar at their mean."""
    for draw in values:
        axes.plot(places, draw, marker, color=color, markersize=4, alpha=0.6, label=label)
        label = "_"  # of the first alone
    axes.hlines(values.mean(axis=0), places - 0.1, places + 0.1, color=color, linewidth=2)
