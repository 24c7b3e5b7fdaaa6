"""What a trained network loses with its blocks: deleted, several, exchanged; and which paths the gradients take."""

import math
import time
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from kerascnn import _check
from kerascnn.explain.prepared import prepared
from kerascnn.studies.examples import checked_examples
from kerascnn.studies.gated import Gated
from kerascnn.studies.study import Study

_COLORS = ("#440154", "#35b779")


def lesions(
    model: keras.Model,
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    draws: int = 5,
    seed: int = 0,
    batch_size: int = 250,
) -> Study:
    """Residual networks behave like ensembles of paths: they stand the loss of a block; plain networks do not.

    Each block is deleted alone: what comes to it goes on, through the shortcut where that changes the map. Then random
    sets of blocks are; then blocks of the same shapes are exchanged, pair by pair. In a network without residual blocks
    it is convolutions that keep the shape of the map, with batch norm and activation. Batch statistics stay as they
    were. For the gradient of the loss with respect to the image, of paths through a number of branches, that many are
    drawn: the gradient goes back through them alone, and through the shortcuts of all other blocks.

    Args:
        model: a functional or built sequential classifier, images -> [n, classes]; it is kept.
        images: [n, height, width, channels], preprocessed as the model takes them.
        labels: classes [n].
        draws: of sets and orders, for each size.
        seed: of them.
        batch_size: images at a time.

    Returns:
        A `Study` with errors in parts of 1: `original` []; `deleted` [blocks]; `several` [blocks, draws] without 1, 2,
        ... of them; `exchanged` and `tau` [swaps, draws], Kendall's correlation of the order with the trained one; of
        residual networks `lengths` [blocks + 1], the mean norm of the gradient along one path through so many branches,
        and `shares`, of all such paths together, which sum to 1; `names` and `opens` of the blocks.

    Raises:
        InputError: an argument cannot be used, or the network has neither residual blocks nor such convolutions.

    Source: Veit, Wilber, Belongie: Residual Networks Behave Like Ensembles of Relatively Shallow Networks, 2016,
    arXiv:1605.06431, sections 4 and 5.

    Example:

        model = kerascnn.create_model("resnet20", weights="fashion_mnist")
        found = kerascnn.studies.lesions(model, images, labels)
        print(found.arrays["original"], found.arrays["deleted"])
    """
    draws, seed = _check.whole("draws", draws, 1, 10_000), _check.whole("seed", seed, 0, 2**31 - 1)
    batch_size = _check.whole("batch_size", batch_size, 1)
    start = time.perf_counter()
    asked = prepared(model)
    images, labels = checked_examples(asked.network, images, labels)
    gated = asked.once("gated", lambda: Gated(asked.network))
    patient = Patient(gated, images, labels, batch_size)
    count, random = len(patient.gated.blocks), np.random.default_rng(seed)
    opens = np.array([block.opens for block in patient.gated.blocks])
    arrays = {
        "names": np.array([block.name for block in patient.gated.blocks]), "opens": opens,
        "original": np.array(patient.error()),
        "deleted": np.array([patient.error(without=[number]) for number in range(count)]),
        "several": np.array([
            [patient.error(without=random.permutation(count)[:size]) for _ in range(draws)]
            for size in range(1, count + 1)
        ]),
    }  # fmt: skip
    orders = [[patient.shuffled(random, swaps) for _ in range(draws)] for swaps in range(1, count + 1)]
    arrays["tau"] = np.array([[kendall(order) for order in row] for row in orders])
    arrays["exchanged"] = np.array([[patient.error(order=order) for order in row] for row in orders])
    if patient.gated.residual:
        arrays["lengths"], arrays["shares"] = patient.gradients(random, draws)
    settings = {"model": model.name, "images": len(images), "draws": draws, "seed": seed}
    return Study("lesions", settings, arrays, _claims(arrays), time.perf_counter() - start, _plot)


class Patient:
    """A network with gates, and the images that it is asked for.

    Args:
        gated: the network.
        images: float32 [n, height, width, channels].
        labels: classes [n].
        batch_size: images at a time.
    """

    def __init__(self, gated: Gated, images: np.ndarray, labels: np.ndarray, batch_size: int):
        self.gated, self._images, self._labels = gated, images, labels
        self._parts = [slice(first, first + batch_size) for first in range(0, len(images), batch_size)]
        self._right = tf.function(self._right_of, reduce_retracing=True)
        self._slope = tf.function(self._slope_of, reduce_retracing=True)

    def error(self, without: Any = (), order: np.ndarray | None = None) -> float:
        """The part of the images that is told wrongly, without some of the blocks, or with weights in another order."""
        numbers = np.ones((len(self.gated.blocks), 3), "float32")
        numbers[list(without), 0] = 0
        order = np.arange(len(numbers)) if order is None else order
        given = tf.constant(numbers), tf.constant(order, tf.int32)
        right = sum(int(self._right(self._images[part], self._labels[part], *given)) for part in self._parts)
        return 1 - right / len(self._images)

    def shuffled(self, random: np.random.Generator, swaps: int) -> np.ndarray:
        """An order after so many exchanges of two blocks of one group."""
        groups = [group for group in self.gated.groups if len(group) > 1]
        order = np.arange(len(self.gated.blocks))
        for _ in range(swaps if groups else 0):
            sizes = np.array([len(group) for group in groups], "float64")
            group = groups[random.choice(len(groups), p=sizes / sizes.sum())]
            one, other = random.choice(group, 2, replace=False)
            order[[one, other]] = order[[other, one]]
        return order

    def gradients(self, random: np.random.Generator, draws: int) -> tuple[np.ndarray, np.ndarray]:
        """The mean norm of the gradient along one path, by the number of branches on it, and all paths' shares."""
        count, part = len(self.gated.blocks), self._parts[0]
        norms = np.zeros(count + 1)
        for length in range(count + 1):
            tries = 1 if length in (0, count) else draws
            for _ in range(tries):
                numbers = np.ones((count, 3), "float32")
                numbers[:, 2] = 0  # through all shortcuts,
                chosen = random.permutation(count)[:length]
                numbers[chosen, 1:] = (0, 1)  # but for these, through their branches
                norms[length] += (
                    float(self._slope(self._images[part], self._labels[part], tf.constant(numbers))) / tries
                )
        weighted = norms * np.array([math.comb(count, length) for length in range(count + 1)], "float64")
        return norms, weighted / (weighted.sum() or 1)

    def _right_of(self, images, labels, numbers, order):
        logits = self.gated.run(images, numbers, order)
        return tf.math.count_nonzero(tf.equal(tf.argmax(logits, axis=1), tf.cast(labels, tf.int64)))

    def _slope_of(self, images, labels, numbers):
        images = tf.convert_to_tensor(images)
        with tf.GradientTape() as tape:
            tape.watch(images)
            logits = self.gated.run(images, numbers, tf.range(len(self.gated.blocks)))
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            total = tf.reduce_sum(losses)
        gradient = tape.gradient(total, images, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return tf.reduce_mean(tf.norm(tf.reshape(gradient, [len(images), -1]), axis=1))


def kendall(order: np.ndarray) -> float:
    """Kendall's correlation of a permutation with 0, 1, ...: 1 less 4 times the inversions over n (n - 1)."""
    count = len(order)
    inversions = sum(int(order[i] > order[j]) for i in range(count) for j in range(i + 1, count))
    return 1 - 4 * inversions / (count * (count - 1)) if count > 1 else 1.0


def _claims(arrays: dict[str, np.ndarray]) -> dict[str, bool]:
    original, deleted, opens = arrays["original"], arrays["deleted"], arrays["opens"]
    if "lengths" not in arrays:
        return {"Without any one of its layers a plain network is right in less than half of the images it knew": bool(
            ((1 - deleted) < (1 - original) / 2).all()
        )}  # fmt: skip
    rest = deleted[~opens]
    claims = {
        "Without a block that opens no stage, most of the images are still known": bool(
            len(rest) and ((1 - rest) > (1 - original) / 2).all()
        ),
        "The error grows smoothly with the number of deleted blocks": _grows(arrays["several"].mean(axis=1)),
        "The gradient along a path falls with its length": _grows(-arrays["lengths"]),
        "Most of the gradient flows along paths through less than half of the blocks": bool(
            arrays["shares"][: (len(deleted) + 1) // 2].sum() > 0.5
        ),
    }
    if opens.any() and len(rest):
        claims["Blocks that open a stage matter more than the others"] = bool(deleted[opens].mean() > rest.mean())
    if arrays["tau"].std() > 0:
        falls = np.corrcoef(arrays["tau"].ravel(), arrays["exchanged"].ravel())[0, 1] < -0.5
        claims["The error grows the more the order of the blocks differs from the trained one"] = bool(falls)
    return claims


def _grows(values: np.ndarray) -> bool:
    """Whether numbers grow on the whole: Kendall's correlation with their places is at least 0.8."""
    return kendall(np.argsort(np.argsort(values, kind="stable"), kind="stable")) >= 0.8


def _plot(study: Study) -> Any:
    from matplotlib.figure import Figure

    arrays = study.arrays
    count, chance = len(arrays["deleted"]), 100 * float(arrays["original"])
    paths = "lengths" in arrays
    figure = Figure(figsize=(10, 7.4 if paths else 4.2), dpi=100, layout="constrained")
    grid = figure.subplots(2, 2) if paths else np.array([figure.subplots(1, 2)])
    places = np.arange(1, count + 1)
    one, several = grid[0]
    kind = "block" if paths else "layer"
    rest = f"other {kind}s" if arrays["opens"].any() else f"{kind}s"
    for opens, color, told in ((False, _COLORS[0], rest), (True, _COLORS[1], "blocks that open a stage")):
        where = arrays["opens"] == opens
        if where.any():
            one.bar(places[where], 100 * arrays["deleted"][where], color=color, label=told)
    one.axhline(chance, color="0.3", linestyle="--", linewidth=1, label="none deleted")
    one.set(xlabel=f"the {kind} that is deleted", ylabel="error, %", ylim=(0, 130), yticks=range(0, 101, 20))
    _spread(several, places, 100 * arrays["several"], f"how many random {kind}s are deleted")
    several.set(ylabel="error, %", ylim=(0, 100))
    if paths:
        exchanged, lengths = grid[1]
        exchanged.scatter(arrays["tau"], 100 * arrays["exchanged"], color=_COLORS[0], s=14)
        exchanged.axhline(chance, color="0.3", linestyle="--", linewidth=1)
        exchanged.set(
            xlabel="Kendall's correlation of the order with the trained one", ylabel="error, %", ylim=(0, 100)
        )
        exchanged.invert_xaxis()
        length = np.arange(count + 1)
        lengths.bar(length, 100 * arrays["shares"], color=_COLORS[1], label="share of all paths' gradient, %")
        lengths.set(xlabel="branches on a path", ylabel="share of the gradient, %")
        other = lengths.twinx()
        other.plot(length, arrays["lengths"], color=_COLORS[0], marker="o", markersize=3, label="norm along one path")
        other.set(ylabel="norm along one path", yscale="log")
        handles = [x for axes in (lengths, other) for x in axes.get_legend_handles_labels()[0]]
        other.legend(handles=handles, fontsize=8)
    one.legend(fontsize=8, loc="upper right")
    for axes in (one, several, *(grid[1][:1] if paths else ())):
        axes.grid(alpha=0.3)
    figure.suptitle(f"{study.settings['model']}: {count} {kind}s, {study.settings['images']} images")
    return figure


def _spread(axes: Any, places: np.ndarray, values: np.ndarray, label: str) -> None:
    """The mean, and the least and the largest of the draws."""
    axes.plot(places, values.mean(axis=1), color=_COLORS[0], label="mean")
    axes.fill_between(places, values.min(axis=1), values.max(axis=1), color=_COLORS[0], alpha=0.2, label="all draws")
    axes.set(xlabel=label)
    axes.legend(fontsize=8)
