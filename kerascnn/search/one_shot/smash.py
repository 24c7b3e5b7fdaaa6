"""SMASH: a hypernetwork generates weights for any architecture, and random ones are ranked by how well they then do.

Andrew Brock, Theodore Lim, J. M. Ritchie, Nick Weston: SMASH: One-Shot Model Architecture Search through HyperNetworks,
2017, arXiv:1708.05344.
"""

import dataclasses
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from rich.console import Console

from kerascnn import _check, data
from kerascnn._errors import InputError
from kerascnn.search.one_shot.child import Batch, Ranked, accuracy, judging, ranking
from kerascnn.search.one_shot.config import SmashConfig
from kerascnn.search.one_shot.images import Images, Prepare, halves
from kerascnn.search.one_shot.result import Result
from kerascnn.search.one_shot.session import Row, Session
from kerascnn.search.one_shot.smash_supernet import SmashSupernet
from kerascnn.search.one_shot.steps import Adam
from kerascnn.search.records import Tokens
from kerascnn.search.spaces import Banks, TokenSpace

_MEASURED = 8  # random architectures that an epoch is measured on
_TRIES = 10_000  # perturbations until one must have been another candidate


def perturbed(space: TokenSpace, tokens: Tokens, changed: float, rng: np.random.Generator) -> Tokens:
    """Another candidate near one: some of its tokens are drawn anew.

    Args:
        space: of the candidates.
        tokens: a candidate.
        changed: how likely a token is drawn anew.
        rng: draws.

    Returns:
        The other candidate.

    Raises:
        InputError: it is no candidate, `changed` is not in (0, 1], or ten thousand draws gave no other one.
    """
    tokens = space.check(tokens)
    _check.real("changed", changed, 0.0, 1.0, above=True)
    for _ in range(_TRIES):
        anew = rng.integers(space.sizes)
        moved = tuple(np.where(rng.random(len(tokens)) < changed, anew, tokens).tolist())
        if moved != tokens and space.wrong(moved) is None:
            return moved
    raise InputError(f"A candidate must have others near it; {_TRIES:,} draws gave none. Received: {tokens}")


class _Search:
    """The supernet and a step of all its weights."""

    def __init__(self, space: Banks, source, config: SmashConfig, seed: int):
        self.space, self.config, self.seed = space, config, seed
        self.net = SmashSupernet(
            space, filters=config.filters, growth=config.growth, depth=config.depth, input_shape=source.image_shape,
            classes=len(source.class_names), seed=seed,
        )  # fmt: skip
        self.weights = self.net.weights_of()
        self._rule = Adam(self.weights, betas=(0.5, 0.999), epsilon=1e-4, clip=config.clip)
        self._apply = tf.function(self._rule.apply, autograph=False)
        self.state = [*self.weights, *self._rule.state]

    def learn(self, images: Images, prepare: Prepare, epoch: int) -> float:
        """An epoch: each batch goes through a random architecture; the mean loss."""
        losses, rng = [], np.random.default_rng((self.seed, 6, epoch))
        count = max(1, len(images.labels) // self.config.batch_size)
        for number, (pixels, labels) in enumerate(images.batches(self.config.batch_size, (self.seed, 2, epoch))):
            choice, x = (
                self.space.decode(self.space.sample(rng)),
                prepare(pixels, (self.seed, epoch * 100_000 + number)),
            )
            with tf.GradientTape() as tape:
                logits = self.net.logits(x, choice)
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
            gradients = tape.gradient(loss, self.weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            self._apply(list(map(tf.convert_to_tensor, gradients)), tf.constant(self._rate(epoch + number / count)))
            losses.append(loss)
        return float(np.mean(losses))

    def _rate(self, epoch: float) -> np.float32:
        return np.float32(self.config.rate_at(epoch))

    def measure(self, batches: list[Batch], epoch: int) -> float:
        """The mean accuracy of random architectures."""
        rng = np.random.default_rng((self.seed, 7, epoch))
        drawn = [self.space.decode(self.space.sample(rng)) for _ in range(_MEASURED)]
        return float(np.mean([accuracy(self.net, choice, batches[:1]) for choice in drawn]))

    def find(self, batches: list[Batch]) -> Ranked:
        """Random architectures, perturbations of the best of them, and a walk from there, by accuracy."""
        config, rng = self.config, np.random.default_rng((self.seed, 8))
        found = ranking(self.net, self.space, [self.space.sample(rng) for _ in range(config.draws)], batches)
        near = [perturbed(self.space, found[0][1], config.changed, rng) for _ in range(config.perturbations)]
        found += ranking(self.net, self.space, near, batches)
        best = min(found, key=_order)
        for _ in range(config.greedy):
            new = perturbed(self.space, best[1], config.changed, rng)
            found.append((accuracy(self.net, self.space.decode(new), batches), new))
            best = found[-1] if found[-1][0] > best[0] else best
        return sorted(dict.fromkeys(found), key=_order)


def _order(pair: tuple[float, Tokens]):
    return -pair[0], pair[1]


def smash(
    space: Banks,
    source: data.Source,
    config: SmashConfig | None = None,
    out: str | os.PathLike | None = None,
    seed: int = 0,
    *,
    after: Callable[[Row], Any] | None = None,
    console: Console | None = None,
) -> Result:
    """Searches with generated weights; a killed search is resumed after its last finished epoch.

    The training part of the source is divided in two; no image of its validation and test parts is seen. In an epoch
    the hypernetwork and the shared weights pass once over the first part, each batch through another random
    architecture. At the end random architectures are ranked by their accuracy on batches of the second part, then
    perturbations of the best one, then perturbations of whatever is best so far.

    How far the ranking is that of networks trained by themselves must be shown for each space and set: where the task
    is easy, weights that are generated for another architecture may do as well.

    Departures from the release: see `Hypernetwork`, `SmashSupernet` and `bank_network`; kernels have their sizes from
    the first epoch on, and neither groups nor gates.

    Args:
        space: `spaces.Banks()`, whose layers choose "kernel" and "dilation".
        source: labeled images of one size.
        config: how.
        out: folder of search.json (a row an epoch) and state.npz; None: nothing is kept.
        seed: of everything that is random.
        after: is called with each new row.
        console: prints progress there; None: silent.

    Returns:
        The blocks of the best architecture, the rows, and the supernet. A row has "epoch", "loss" of the training
        batches, "accuracy", the mean of some random architectures on a batch of the second part, and "seconds"; the
        last one "finals" too: accuracy and architecture, the best first.

    Raises:
        InputError: an argument cannot be used, or the folder holds another search.
        OSError: the folder cannot be written; it holds everything up to the last finished epoch.

    Source:
        Brock, Lim, Ritchie, Weston, 2017, arXiv:1708.05344, algorithm 1.

    Example:

        from kerascnn import data
        from kerascnn.search import one_shot, spaces

        space = spaces.Banks(blocks=2, layers=2, banks=3)
        config = one_shot.SmashConfig(epochs=2, filters=4, depth=2, draws=10, perturbations=2, greedy=2)
        result = one_shot.smash(space, data.load("digits"), config, "searches/smash")
        print(result.genotype)
    """
    config = config or SmashConfig()
    learn, judge, prepare = halves(source, config.share, config.augment, seed)
    search = _Search(space, source, config, seed)
    settings = {
        "search": "smash", "space": space.settings(), "config": dataclasses.asdict(config), "seed": seed,
        "data": {"name": source.name, "train": source.fingerprint["train"]},
    }  # fmt: skip
    session, batches = Session(out, settings, search.state), judging(judge, prepare, config, seed)

    def one(epoch: int) -> tuple[Row, str]:
        loss = search.learn(learn, prepare, epoch)
        row = {"loss": loss, "accuracy": search.measure(batches, epoch)}
        words = f"loss {loss:.3f}, random architectures {row['accuracy']:.1%}"
        if epoch + 1 == config.epochs:
            ranked = search.find(batches)
            row["finals"] = [[value, space.to_json(tokens)] for value, tokens in ranked[: config.finals]]
            words += f", best {ranked[0][0]:.1%}"
        return row, words

    session.go_on(config.epochs, one, after, console)
    best = space.from_json(session.rows[-1]["finals"][0][1])
    result = Result(space.decode(best), session.rows, search.net, session.folder)
    result.save()
    return result
