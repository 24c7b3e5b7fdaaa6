"""NAO with shared weights: a pool of architectures trains one supernet, and is renewed by decoding better ones.

Luo, Tian, Qin, Chen, Liu: Neural Architecture Optimization, 2018, arXiv:1808.07233, section 4.4.
"""

import dataclasses
import os
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from rich.console import Console

from kerascnn import data
from kerascnn.search.one_shot.child import Child, Ranked
from kerascnn.search.one_shot.config import NaoConfig
from kerascnn.search.one_shot.images import halves
from kerascnn.search.one_shot.result import Result
from kerascnn.search.one_shot.session import Row, Session
from kerascnn.search.records import Tokens
from kerascnn.search.spaces import CellSpace, Chain
from kerascnn.search.strategies.latent import Latent
from kerascnn.search.strategies.nao import badness, decoded, twins_of

_TRIES = 100  # draws until a candidate must be new


class _Search:
    """The supernet, the pool, and how it is renewed."""

    def __init__(self, space, source, config: NaoConfig, seed: int):
        self.space, self.config, self.seed = space, config, seed
        self.child = Child(space, source, config, seed)
        first = drawn(space, config.pool, set(), np.random.default_rng((seed, 10)))
        self.pool = tf.Variable(np.array(first, "int32"), trainable=False)
        self.state = [*self.child.state, self.pool]

    def architectures(self) -> list[Tokens]:
        """The pool."""
        return [tuple(map(int, tokens)) for tokens in self.pool.numpy()]

    def renew(self, ranked: Ranked, epoch: int) -> Row:
        """The best stay; what is decoded along the slopes of the best, and random ones, take the others' places."""
        config, rng = self.config, np.random.default_rng((self.seed, 11, epoch))
        tokens, values = np.array([each for _, each in ranked]), [accuracy for accuracy, _ in ranked]
        latent = Latent(self.space.sizes, rng, units=config.units, embedding=config.embedding, layers=config.layers,
                        hidden=config.hidden)  # fmt: skip
        latent.fit(tokens, badness(values), steps=config.steps, rate=config.model_rate, trade=config.trade,
                   twin=twins_of(self.space, rng))  # fmt: skip
        known = {self.space.canonical(each) for _, each in ranked}
        new = [each for each, _ in decoded(self.space, latent, tokens[: config.seeds], known, config.renewed, 1.0,
                                           config.longest)]  # fmt: skip
        kept = [each for _, each in ranked][: config.pool - config.renewed - config.fresh]
        known |= {self.space.canonical(each) for each in new}
        self.pool.assign(np.array([*kept, *new, *drawn(self.space, config.pool - len(kept) - len(new), known, rng)]))
        same = [a == tuple(b) for a, b in zip(latent.decode(latent.encode(tokens)), tokens.tolist(), strict=True)]
        return {"decoded": len(new), "reconstructed": float(np.mean(same)), "pool_accuracy": float(np.mean(values))}


def drawn(space: Any, count: int, known: Collection[str], rng: np.random.Generator) -> list[Tokens]:
    """Random architectures, of a hundred draws the first that is new, else the last.

    Args:
        space: of the architectures.
        count: how many.
        known: hashes of those that are not new.
        rng: draws.

    Returns:
        Tokens.
    """
    seen, found = set(known), []
    while len(found) < count:
        for _ in range(_TRIES):
            tokens = space.sample(rng)
            if (key := space.canonical(tokens)) not in seen:
                break
        seen.add(key)
        found.append(tokens)
    return found


def nao_ws(
    space: CellSpace | Chain,
    source: data.Source,
    config: NaoConfig | None = None,
    out: str | os.PathLike | None = None,
    seed: int = 0,
    *,
    after: Callable[[Row], Any] | None = None,
    console: Console | None = None,
) -> Result:
    """Searches with a pool of architectures that share their weights; a killed search is resumed after its last
    finished epoch.

    The training part of the source is divided in two; no image of its validation and test parts is seen. In an epoch
    the weights pass once over the first part, each batch through an architecture of the pool. After every `every`
    epochs the pool is ranked by the accuracy on batches of the second part; an encoder, a predictor and a decoder,
    those of the strategy `NAO`, learn from that, and what they decode along the slopes of the best, with some random
    ones, takes the places of the worst. The best of the last pool is the result.

    Departures from the release: no dropout, drop-path and auxiliary head; all architectures are ranked on the same
    batches; each place of an architecture has its own embeddings; fewer steps of encoder and decoder.

    Args:
        space: `spaces.enas_micro()` or another space of cells, or `spaces.enas_macro()` or another `Chain` of
            operations.
        source: labeled images of one size.
        config: how; `stages` is for cells alone.
        out: folder of search.json (a row an epoch), state.npz and, of cells, genotype.json and cells.png; None: nothing
            is kept.
        seed: of everything that is random.
        after: is called with each new row.
        console: prints progress there; None: silent.

    Returns:
        The genotype, or the layers of a chain, the rows, and the supernet. A row has "epoch", "loss" of the training
        batches and "seconds"; where the pool was renewed "pool_accuracy", the mean before, "decoded", how many of the
        new architectures were decoded, and "reconstructed", which share of the old ones is decoded from its own code;
        the last one "finals": accuracy and architecture, the best first.

    Raises:
        InputError: an argument cannot be used, or the folder holds another search.
        OSError: the folder cannot be written; it holds everything up to the last finished epoch.

    Source:
        Luo, Tian, Qin, Chen, Liu, 2018, arXiv:1808.07233, algorithm 1 and section 4.4.

    Example:

        from kerascnn import data
        from kerascnn.search import one_shot, spaces

        space = spaces.Blocks(("sep_3x3", "max_3x3", "identity"), 2)
        config = one_shot.NaoConfig(epochs=2, every=1, stages=(1, 1), filters=4, pool=20, seeds=5, renewed=8, fresh=2,
                                    steps=100)
        result = one_shot.nao_ws(space, data.load("digits"), config, "searches/nao_ws")
        print(result.genotype)
    """
    config = config or NaoConfig()
    learn, judge, prepare = halves(source, config.share, config.augment, seed)
    search = _Search(space, source, config, seed)
    settings = {
        "search": "nao_ws", "space": space.settings(), "config": dataclasses.asdict(config), "seed": seed,
        "data": {"name": source.name, "train": source.fingerprint["train"]},
    }  # fmt: skip
    session = Session(out, settings, search.state)

    def one(epoch: int) -> tuple[Row, str]:
        pool = search.architectures()
        chosen = np.random.default_rng((seed, 6, epoch)).integers(len(pool), size=search.child.batches_of(learn))
        loss = search.child.learn([pool[i] for i in chosen], learn, prepare, epoch)
        row, words = {"loss": loss}, f"loss {loss:.3f}"
        if epoch + 1 == config.epochs:
            ranked = search.child.ranked(pool, judge, prepare)
            row["finals"] = _written(space, ranked[: config.finals])
            words += f", best {ranked[0][0]:.1%}"
        elif (epoch + 1) % config.every == 0:
            row |= search.renew(search.child.ranked(pool, judge, prepare), epoch)
            words += f", pool {row['pool_accuracy']:.1%}, {row['decoded']} decoded"
        return row, words

    session.go_on(config.epochs, one, after, console)
    best = space.from_json(session.rows[-1]["finals"][0][1])
    result = Result(space.decode(best), session.rows, search.child.net, session.folder)
    result.save()
    return result


def _written(space: Any, ranked: Sequence[tuple[float, Tokens]]) -> list[list[Any]]:
    return [[accuracy, space.to_json(tokens)] for accuracy, tokens in ranked]
