"""DARTS: the choice between operations is a softmax, and descends the loss on images that the weights do not see.

Hanxiao Liu, Karen Simonyan, Yiming Yang: DARTS: Differentiable Architecture Search, 2018, arXiv:1806.09055.
"""

import dataclasses
import itertools
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from rich.console import Console

from kerascnn import data
from kerascnn.cells import Genotype
from kerascnn.search.one_shot import choice
from kerascnn.search.one_shot.architecture_gradient import Inner, architecture_gradient
from kerascnn.search.one_shot.config import DartsConfig
from kerascnn.search.one_shot.images import halves
from kerascnn.search.one_shot.result import Result, plot_alphas
from kerascnn.search.one_shot.session import Session
from kerascnn.search.one_shot.steps import Adam, Momentum
from kerascnn.search.one_shot.supernet import Own, Supernet
from kerascnn.search.spaces import Edges

MEASURED = 16  # batches of the second half that an epoch is measured on


class _Search:
    """The supernet, its architecture, and a step of both."""

    def __init__(self, space: Edges, source, config: DartsConfig, seed: int, own):
        self.config, self.name, self.never = config, space.name, {"zero", *(own or {})}
        zero = ("zero",) if config.zero and "zero" not in space.operations else ()
        operations = (*zero, *space.operations, *(own or {}))
        self.net = Supernet(
            operations, space.nodes, stages=config.stages, filters=config.filters, own=own, seed=seed,
            input_shape=source.image_shape, classes=len(source.class_names),
        )  # fmt: skip
        shape = len(choice.edges(space.nodes)), len(operations)
        rng = np.random.default_rng((seed, 1))
        self.alphas = [
            tf.Variable(rng.normal(0, config.alpha_scale, shape).astype("float32"))
            for _ in choice.KINDS[: 1 if space.shared else 2]
        ]
        self.weights = self.net.weights_of()
        self.steps = Momentum(self.weights, momentum=config.momentum, decay=config.decay, clip=config.clip)
        self.alpha_steps = Adam(self.alphas, betas=(0.5, 0.999), decay=config.alpha_decay)
        self.state = [*self.weights, *self.steps.buffers, *self.alphas, *self.alpha_steps.state]
        self.step = tf.function(self._step, autograph=False)
        self.measure = tf.function(self._measure, autograph=False)

    def loss(self, weights, alphas, images, labels):
        mixes = [tf.nn.softmax(alpha / self.config.temperature) for alpha in alphas]
        mix = {"normal": mixes[0], "reduce": mixes[-1]}
        logits = self.net.logits(images, mix, self.net.packed(weights))
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)), logits

    def _step(self, images, labels, other_images, other_labels, rate, moves_alphas):
        if moves_alphas:
            gradients, _ = architecture_gradient(
                lambda weights, alphas: self.loss(weights, alphas, images, labels)[0],
                lambda weights, alphas: self.loss(weights, alphas, other_images, other_labels)[0],
                self.weights,
                self.alphas,
                Inner(rate, self.config.momentum, self.steps.buffers, self.config.decay),
                order=self.config.order,
            )
            self.alpha_steps.apply(gradients, self.config.alpha_rate)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.weights)
            loss, _ = self.loss(self.weights, self.alphas, images, labels)
        zero = tf.UnconnectedGradients.ZERO
        self.steps.apply(tape.gradient(loss, self.weights, unconnected_gradients=zero), self.weights, rate)
        return loss

    def _measure(self, images, labels):
        loss, logits = self.loss(self.weights, self.alphas, images, labels)
        return tf.stack([loss, tf.reduce_mean(tf.cast(tf.argmax(logits, -1) == labels, tf.float32))])

    def derive(self, alphas) -> Genotype:
        """The genotype of alphas by cell."""
        weights = (choice.softmax(np.array(alphas[kind]) / self.config.temperature) for kind in choice.KINDS)
        cells = (choice.derive_cell(w, self.net.operations, self.net.nodes, never=self.never) for w in weights)
        return Genotype(self.name, *cells)

    def row(self, epoch: int, loss: float, measured) -> dict[str, Any]:
        """What is kept of an epoch."""
        alphas = {"normal": self.alphas[0].numpy().tolist(), "reduce": self.alphas[-1].numpy().tolist()}
        genotype = self.derive(alphas)
        return {
            "epoch": epoch,
            "loss": float(loss),
            "other_loss": float(measured[0]),
            "other_accuracy": float(measured[1]),
            "entropy": [choice.entropy(np.array(alphas[kind]) / self.config.temperature) for kind in choice.KINDS],
            "skips": choice.skips(genotype.normal),
            "parameters": self.net.parameters(genotype),
            "alphas": alphas,
        }


def darts(
    space: Edges,
    source: data.Source,
    config: DartsConfig | None = None,
    out: str | os.PathLike | None = None,
    seed: int = 0,
    *,
    own: "dict[str, Own] | None" = None,
    after: Callable[[dict[str, Any]], Any] | None = None,
    console: Console | None = None,
) -> Result:
    """Searches a cell by gradients; a search that was killed is resumed after its last finished epoch.

    The training part of the source is divided in two; no image of its validation and test parts is seen. For each batch
    the architecture takes a step on a batch of the second half, then the weights one on the batch of the first.

    Departures: the release's batches of the second half are drawn anew each step; here both halves are passed through
    in random orders. `warm_up`, `temperature` and `most_skips` are options that the paper does not have.

    Args:
        space: `spaces.darts()` or another `Edges` space with `concat_all`, of whose operations all are on every edge.
        source: labeled images of one size.
        config: how.
        out: folder of search.json (a row an epoch, with the alphas), state.npz, genotype.json, cells.png and
            alphas.png; None: nothing is kept.
        seed: of everything that is random.
        own: operations beside those of the space; see `Supernet`. A genotype cannot have them.
        after: is called with each new row.
        console: prints progress there; None: silent.

    Returns:
        The genotype, the rows, and the supernet. A row has "epoch", "loss" of the training batches, "other_loss" and
        "other_accuracy" of some batches of the second half, "entropy" of normal and reduction cell, "skips" of the
        derived normal cell, "parameters" of the derived network in the supernet's size, "alphas" and "seconds".

    Raises:
        InputError: an argument cannot be used, or the folder holds another search.
        OSError: the folder cannot be written; it holds everything up to the last finished epoch.

    Source:
        Liu, Simonyan, Yang, 2018, arXiv:1806.09055, algorithm 1.

    Example:

        from kerascnn import data
        from kerascnn.search import one_shot, spaces

        space = spaces.Edges(("sep_3x3", "max_3x3", "identity"), 2, concat_all=True)
        config = one_shot.DartsConfig(epochs=2, stages=(1, 1), filters=4)
        result = one_shot.darts(space, data.load("digits"), config, "searches/darts")
        print(result.genotype)
    """
    choice.edges_of(space)
    config = config or DartsConfig()
    learn, judge, prepare = halves(source, config.share, config.augment, seed)
    search = _Search(space, source, config, seed, own)
    settings = {
        "search": "darts", "space": space.settings(), "config": dataclasses.asdict(config), "seed": seed,
        "data": {"name": source.name, "train": source.fingerprint["train"]}, "operations": search.net.operations,
    }  # fmt: skip
    session = Session(out, settings, search.state)
    while session.epochs < config.epochs and not _collapsed(session.rows, config):
        began, epoch = time.monotonic(), session.epochs
        losses, seconds = [], iter(())
        for number, (pixels, labels) in enumerate(learn.batches(config.batch_size, (seed, 2, epoch))):
            pair = next(seconds, None)
            if pair is None:
                seconds = judge.batches(config.batch_size, (seed, 3, epoch, number))
                pair = next(seconds)
            images = prepare(pixels, (seed, 2 * (epoch * 100_000 + number)))
            others = prepare(pair[0], (seed, 2 * (epoch * 100_000 + number) + 1))
            rate = tf.constant(config.rate_at(epoch), tf.float32)
            losses.append(search.step(images, labels, others, pair[1], rate, epoch >= config.warm_up))
        measured = [
            search.measure(prepare(pixels), labels)
            for pixels, labels in itertools.islice(judge.batches(config.batch_size, (seed, 4)), MEASURED)
        ]
        row = search.row(epoch + 1, np.mean(losses), np.mean(np.array(measured), 0))
        session.end_epoch({**row, "seconds": round(time.monotonic() - began, 3)})
        if after:
            after(session.rows[-1])
        if console:
            told = (
                f"epoch {epoch + 1} of {config.epochs}: loss {row['loss']:.3f}, other half {row['other_accuracy']:.1%}"
            )
            console.print(f"{told}, entropy {row['entropy'][0]:.2f}", highlight=False)
    ended = len(session.rows) > 1 and _collapsed(session.rows, config)
    genotype = search.derive(session.rows[-2 if ended else -1]["alphas"])
    result = Result(genotype, session.rows, search.net, session.folder)
    result.save()
    if session.folder is not None:
        path = session.folder / "alphas.png"
        plot_alphas(session.rows, search.net.operations, space.nodes, path, shared=space.shared)
    return result


def _collapsed(rows, config: DartsConfig) -> bool:
    return bool(rows) and config.most_skips is not None and rows[-1]["skips"] > config.most_skips
