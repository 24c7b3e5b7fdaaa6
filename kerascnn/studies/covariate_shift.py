"""Internal covariate shift, and the smoothness of the loss, with and without batch norm."""

import itertools
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
from kerascnn.studies.trials import Draws, Trainer, ascending, cross_entropy, divided, fingerprint, orders

KINDS = ("without batch norm", "with batch norm")
_SHIFTS, _SMOOTHNESS = ("norm", "shift", "cosine"), ("low", "high", "change", "smoothness")


def covariate_shift(
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    depth: int = 14,
    width: int = 8,
    steps: int = 400,
    measures: int = 20,
    spans: Sequence[float] = (0.5, 1.0, 2.0, 4.0),
    batch_size: int = 64,
    learning_rate: float = 0.1,
    draws: int = 3,
    held_out: float = 0.2,
    seed: int = 0,
    folder: str | os.PathLike | None = None,
) -> Study:
    """Measures internal covariate shift and the smoothness of the loss while a network trains, with and without norms.

    The shift of a layer is how much the gradient of its kernel changes when the layers before it, and only they, take
    the step that is due: G at the weights, G' with the earlier layers' new ones, of the same batch; a norm is part of
    its convolution's layer. Smoothness is how much the loss and its gradient change along that step. The networks are
    plain ones, see `small_network`, trained by gradient descent without momentum: a step is the rate times a gradient.

    Args:
        images: [n, height, width, channels], in any unit.
        labels: classes [n].
        depth: layers, 6 * blocks + 2.
        width: channels of the first stage; the others have twice and four times as many.
        steps: of each training.
        measures: at how many of them it measures, a divisor of `steps`; evenly spaced from the first.
        spans: ascending lengths of the moves along the gradient, in steps.
        batch_size: images of a step.
        learning_rate: of all steps.
        draws: networks of each kind, of other initial weights and orders.
        held_out: share of the images, the last ones, that are not trained on.
        seed: of the first draw.
        folder: where finished trainings are kept, which several processes may share.

    Returns:
        A `Study` with `at` [t]: numbers of steps before each measurement; `loss`, float64 [kinds, draws, t]: the mean
        of the steps from there to the next; `norm` of G, `shift`: the norm of G - G', and their `cosine`, float64
        [kinds, draws, t, depth]; `low`, `high`: the range of the loss over the moves, `change`: the largest norm of the
        gradient's change, `smoothness`: the largest quotient of that by the move's length, float64 [kinds, draws, t].
        NaN where training had diverged before; infinite where only a move does. Kinds are without, with batch norm.

    Raises:
        InputError: an argument cannot be used, or the folder is another study's.

    Source: Santurkar, Tsipras, Ilyas, Madry: How Does Batch Normalization Help Optimization?, 2018, arXiv:1805.11604.

    Example:

        found = kerascnn.studies.covariate_shift(images, labels, depth=8, steps=100, draws=1)
        print(found.arrays["cosine"].mean(axis=(1, 2)), found.claims)
    """
    start = time.perf_counter()
    examples = divided(images, labels, held_out)
    blocks = blocks_of("depth", depth)
    settings = {
        "images": len(examples.images), "held_out": len(examples.held_images), "depth": 6 * blocks + 2,
        "width": _check.whole("width", width, 1, 4096), "steps": _check.whole("steps", steps, 1),
        "measures": _check.whole("measures", measures, 1, steps),
        "spans": ascending("spans", spans, lambda span: _check.real("spans", span, 0.0, above=True)),
        "batch_size": _check.whole("batch_size", batch_size, 1, len(examples.images)),
        "learning_rate": _check.real("learning_rate", learning_rate, 0.0, above=True),
        "draws": _check.whole("draws", draws, 1, 1000), "seed": _check.whole("seed", seed, 0, 2**31 - 1),
    }  # fmt: skip
    if steps % measures:
        raise _check.refuse("measures", f"a divisor of steps={steps}", measures)
    trials, every = [(kind, draw) for kind in KINDS for draw in range(draws)], steps // measures

    def row(number: int) -> np.ndarray:
        kind, draw = trials[number]
        model = small_network(
            examples.shape, examples.classes, Draws(seed, draw), blocks=blocks, widths=(width, 2 * width, 4 * width),
            shortcuts=False, batch_norm=kind == KINDS[1],
        )  # fmt: skip
        trainer = Trainer(model, examples, keras.optimizers.SGD(learning_rate), batch_size, seed=seed + draw)
        probe, batches = Probe(model, learning_rate), orders(len(examples.images), batch_size, seed + draw)
        found = np.full((measures, 1 + 3 * len(probe.layers) + len(_SMOOTHNESS)), np.nan)
        for at, order in enumerate(itertools.islice(batches, 0, steps, every)):  # of the steps that are next
            batch = examples.images[order], examples.labels[order]
            found[at, 1:] = *probe.shifts(*batch).ravel(), *probe.smoothness(*batch, settings["spans"])
            found[at, 0] = trainer.steps(every).mean()
            if np.isnan(found[at, 0]):
                break
        return found

    rows = shared_rows(folder, len(trials), row, {**settings, "examples": fingerprint(examples)})
    rows = rows.reshape(len(KINDS), draws, measures, -1)
    of_layers = np.moveaxis(rows[..., 1 : -len(_SMOOTHNESS)].reshape(*rows.shape[:-1], 3, -1), -2, 0)
    arrays = {"at": every * np.arange(measures), "loss": rows[..., 0], **dict(zip(_SHIFTS, of_layers, strict=True))}
    arrays.update({name: rows[..., place - len(_SMOOTHNESS)] for place, name in enumerate(_SMOOTHNESS)})
    return Study("covariate_shift", settings, arrays, _claims(arrays), time.perf_counter() - start, _plot)


class Probe:
    """Asks for gradients at weights that a network does not have; its own, and its statistics, are left alone.

    Args:
        model: a chain of layers -> logits. A layer begins at each one that has a kernel; those that follow without one,
            such as its norm, are parts of it.
        rate: of the step that is due.
    """

    def __init__(self, model: keras.Model, rate: float):
        self._model, self._rate, self._variables = model, rate, model.trainable_variables
        places = {id(variable): place for place, variable in enumerate(self._variables)}
        self.layers, self._kernels, self._groups = [], [], [0] * len(places)  # names, kernels' places, whose layer
        for layer in model.layers:
            if hasattr(layer, "kernel"):
                self.layers.append(layer.name)
                self._kernels.append(places[id(layer.kernel)])
            for variable in layer.trainable_variables:
                self._groups[places[id(variable)]] = len(self.layers) - 1
        self._gradient = tf.function(self._gradient_of)

    def shifts(self, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Float64 [3, layers]: the norm of G, that of G - G' and their cosine, NaN where one of them is 0."""
        old = self._values()
        _, gradients = self._gradient(old, images, labels)
        new = [value - self._rate * gradient for value, gradient in zip(old, gradients, strict=True)]
        found = np.full((3, len(self.layers)), np.nan)
        for number, kernel in enumerate(self._kernels):
            mixed = [new[x] if group < number else old[x] for x, group in enumerate(self._groups)]
            _, others = self._gradient(mixed, images, labels)
            one, other = gradients[kernel], others[kernel]
            norms = _norm([one]), _norm([other])
            found[:2, number] = norms[0], np.nan_to_num(_norm([one - other]), nan=np.inf)
            if min(norms) > 0 and np.isfinite(norms).all():
                found[2, number] = np.sum(one.numpy() / norms[0] * (other.numpy() / norms[1]), dtype="float64")
        return found

    def smoothness(self, images: np.ndarray, labels: np.ndarray, spans: Sequence[float]) -> np.ndarray:
        """Float64 [4]: the lowest and the highest loss after moves of so many steps, infinite where it overflows; the
        largest change of the gradient, and quotient of that by the move's length, NaN without one."""
        old, found = self._values(), []
        _, gradients = self._gradient(old, images, labels)
        for span in spans:
            moved = [x - span * self._rate * gradient for x, gradient in zip(old, gradients, strict=True)]
            loss, others = self._gradient(moved, images, labels)
            found.append((float(loss), _norm([one - other for one, other in zip(gradients, others, strict=True)])))
        losses, changes = np.nan_to_num(np.array(found).T, nan=np.inf)
        lengths = self._rate * _norm(gradients) * np.array(spans)
        return np.array([losses.min(), losses.max(), changes.max(), max(changes / lengths) if all(lengths) else np.nan])

    def _values(self):
        return [tf.constant(variable.numpy()) for variable in self._variables]

    def _gradient_of(self, values, images, labels):
        with tf.GradientTape() as tape:
            tape.watch(values)
            with keras.StatelessScope(list(zip(self._variables, values, strict=True))):
                loss = cross_entropy(self._model(images, training=True), labels)
        return loss, tape.gradient(loss, values)


def _norm(values: Sequence[tf.Tensor]) -> float:
    return float(np.sqrt(sum(np.sum(value.numpy().astype("float64") ** 2) for value in values)))


def _claims(arrays: dict[str, np.ndarray]) -> dict[str, bool]:
    end = np.median(np.nan_to_num(arrays["loss"][..., -1], nan=np.inf), axis=1)
    common = np.isfinite(arrays["loss"]).all(axis=0)  # both kinds still train: [draws, t]

    def typical(values: np.ndarray) -> np.ndarray:
        """The median of each kind, over what both have; where there is nothing NaN, of which no comparison holds."""
        plain, norm = values[:, common]
        both = ~(np.isnan(plain) | np.isnan(norm))  # no gradient has no direction
        return np.array([np.median(plain[both]), np.median(norm[both])] if both.any() else [np.nan, np.nan])

    low, high = arrays["low"], arrays["high"]
    spread = typical(np.subtract(high, low, where=np.isfinite(high), out=np.full_like(high, np.inf)))
    cosine, shift = (typical(arrays[name][..., 1:]) for name in ("cosine", "shift"))  # before the first there is none
    change, smoothness = typical(arrays["change"]), typical(arrays["smoothness"])
    told = {
        "With batch norm the training loss is lower in the end": end[1] < end[0],
        "Batch norm does not lower internal covariate shift: gradients turn as far or farther": cosine[1] <= cosine[0],
        "Batch norm does not lower internal covariate shift: gradients change as much or more": shift[1] >= shift[0],
        "With batch norm the loss varies less along the gradient": spread[1] < spread[0],
        "With batch norm the gradient changes less along itself": change[1] < change[0],
        "With batch norm that change by the length of the move is smaller": smoothness[1] < smoothness[0],
    }
    return {claim: bool(holds) for claim, holds in told.items()}


def _plot(study: Study) -> Any:
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator

    arrays, settings = study.arrays, study.settings
    figure = Figure(figsize=(10, 6.6), dpi=100, layout="constrained")
    panels = figure.subplots(2, 3).ravel()
    told = (
        ("loss", "training loss"), ("cosine", "cosine of G and G'"), ("shift", "norm of G - G'"),
        ("high", "loss along the gradient"), ("change", "change of the gradient along it"),
        ("smoothness", "change by length"),
    )  # fmt: skip
    for kind, (color, line) in enumerate((("#c2820a", "o--"), ("#440154", "s-"))):
        for axes, (name, label) in zip(panels, told, strict=True):
            by_layer = name in _SHIFTS
            low, middle, high = _quartiles(arrays[name][kind])
            if name == "high":  # the range, from the lowest loss to the highest
                low, high = _quartiles(arrays["low"][kind])[1], middle
            places = np.arange(1, settings["depth"] + 1) if by_layer else arrays["at"]
            axes.plot(places, middle, line, color=color, markersize=3, label=KINDS[kind])
            axes.fill_between(places, low, high, color=color, alpha=0.2)
            axes.set(xlabel="layer" if by_layer else "step", ylabel=label, xticks=places[:: 1 + len(places) // 7])
            if name != "cosine":
                axes.set_yscale("log", nonpositive="mask")
                axes.yaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
                axes.yaxis.set_major_formatter("{x:g}")
                axes.yaxis.set_minor_locator(NullLocator())
            axes.grid(alpha=0.3)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    text = (
        "Covariate shift and smoothness; {depth} layers, rate {learning_rate:g}, {draws} draws: medians, middle halves"
    )
    figure.suptitle(text.format(**settings), fontsize=11)
    return figure


def _quartiles(values: np.ndarray) -> np.ndarray:
    """[..., n] -> [3, n], of what is finite."""
    chosen = [column[np.isfinite(column)] for column in values.reshape(-1, values.shape[-1]).T]
    return np.array([np.quantile(x, (0.25, 0.5, 0.75)) if len(x) else np.full(3, np.nan) for x in chosen]).T
