"""ENAS: a controller draws architectures, whose weights a supernet shares, and learns from how well they do.

Hieu Pham, Melody Y. Guan, Barret Zoph, Quoc V. Le, Jeff Dean: Efficient Neural Architecture Search via Parameter
Sharing, 2018, arXiv:1802.03268.
"""

import dataclasses
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from rich.console import Console

from kerascnn import data
from kerascnn.search.one_shot.child import Child
from kerascnn.search.one_shot.config import EnasConfig
from kerascnn.search.one_shot.controllers import controller_of
from kerascnn.search.one_shot.images import Images, Prepare, halves
from kerascnn.search.one_shot.reinforce import ControllerSteps
from kerascnn.search.one_shot.result import Result
from kerascnn.search.one_shot.session import Row, Session
from kerascnn.search.records import Tokens
from kerascnn.search.spaces import Blocks, Chain


class _Search:
    """The supernet, its controller, and a step of each."""

    def __init__(self, space, source, config: EnasConfig, seed: int):
        self.space, self.config, self.seed = space, config, seed
        self.controller = controller_of(space, config, seed)
        self.child = Child(space, source, config, seed)
        self.controller_steps = ControllerSteps(self.controller, config)
        self.state = [*self.child.state, *self.controller.variables, *self.controller_steps.state]

    def learn(self, images: Images, prepare: Prepare, epoch: int) -> float:
        """An epoch of the weights: each batch goes through an architecture of its own; the mean loss."""
        drawn, _ = self.controller.sample(self.child.batches_of(images), (self.seed, 6, epoch))
        return self.child.learn(drawn, images, prepare, epoch)

    def teach(self, images: Images, prepare: Prepare, epoch: int) -> tuple[float, float]:
        """An epoch of the controller; the mean reward and the mean entropy."""
        rewards, entropies, batches = [], [], iter(())
        for step in range(self.config.controller_steps):
            batch = next(batches, None)
            if batch is None:
                batches = images.batches(self.config.batch_size, (self.seed, 3, epoch, step))
                batch = next(batches)
            drawn, walk = self.controller.sample(self.config.controller_samples, (self.seed, 7, epoch, step))
            pixels = prepare(batch[0])
            found = {tokens: self.child.accuracy(tokens, pixels, batch[1]) for tokens in dict.fromkeys(drawn)}
            self.controller_steps.apply(drawn, [found[tokens] for tokens in drawn])
            rewards += [found[tokens] for tokens in drawn]
            entropies.append(float(tf.reduce_mean(walk.entropy)))
        return float(np.mean(rewards)), float(np.mean(entropies))

    def finals(self, images: Images, prepare: Prepare) -> list[tuple[float, Tokens]]:
        """Accuracy and tokens of architectures drawn at the end, each on the same batches, the best first."""
        drawn, _ = self.controller.sample(self.config.finals, (self.seed, 8))
        return self.child.ranked(drawn, images, prepare)


def enas(
    space: Blocks | Chain,
    source: data.Source,
    config: EnasConfig | None = None,
    out: str | os.PathLike | None = None,
    seed: int = 0,
    *,
    after: Callable[[dict[str, Any]], Any] | None = None,
    console: Console | None = None,
) -> Result:
    """Searches with a controller and shared weights; a killed search is resumed after its last finished epoch.

    The training part of the source is divided in two; no image of its validation and test parts is seen. In an epoch
    the weights pass once over the first part, each batch through an architecture that the controller draws; then the
    controller takes its steps, rewarded with the accuracy on a batch of the second part. At the end `finals`
    architectures are drawn, and the best on `final_batches` batches is the result.

    Departures from the release: no dropout, drop-path and auxiliary head; the architectures of one step of the
    controller are measured on the same batch; weights that a batch does not use stay as they are, where the release's
    momentum and L2 move them; see `ControllerSteps`, `Supernet` and `MacroSupernet` too.

    Args:
        space: `spaces.enas_micro()` or another of `Blocks`, or `spaces.enas_macro()` or another `Chain` of operations.
        source: labeled images of one size.
        config: how; `stages` is for cells alone.
        out: folder of search.json (a row an epoch), state.npz and, of cells, genotype.json and cells.png; None: nothing
            is kept.
        seed: of everything that is random.
        after: is called with each new row.
        console: prints progress there; None: silent.

    Returns:
        The genotype, or the layers of a chain, the rows, and the supernet. A row has "epoch", "loss" of the training
        batches, "reward" and "entropy" of the controller's samples, "baseline", "seconds" and of them
        "learning_seconds", those of the weights; the last one "finals" too: accuracy and architecture, the best first.

    Raises:
        InputError: an argument cannot be used, or the folder holds another search.
        OSError: the folder cannot be written; it holds everything up to the last finished epoch.

    Source:
        Pham, Guan, Zoph, Le, Dean, 2018, arXiv:1802.03268, section 2.2.

    Example:

        from kerascnn import data
        from kerascnn.search import one_shot, spaces

        space = spaces.Blocks(("sep_3x3", "max_3x3", "identity"), 2)
        config = one_shot.EnasConfig(epochs=2, stages=(1, 1), filters=4, controller_steps=5)
        result = one_shot.enas(space, data.load("digits"), config, "searches/enas")
        print(result.genotype)
    """
    config = config or EnasConfig()
    learn, judge, prepare = halves(source, config.share, config.augment, seed)
    search = _Search(space, source, config, seed)
    settings = {
        "search": "enas", "space": space.settings(), "config": dataclasses.asdict(config), "seed": seed,
        "data": {"name": source.name, "train": source.fingerprint["train"]},
    }  # fmt: skip
    session = Session(out, settings, search.state)

    def one(epoch: int) -> tuple[Row, str]:
        began = time.monotonic()
        loss = search.learn(learn, prepare, epoch)
        learning = time.monotonic() - began
        reward, entropy = search.teach(judge, prepare, epoch)
        row = {"loss": loss, "reward": reward, "entropy": entropy, "learning_seconds": round(learning, 3)}
        row["baseline"] = float(search.controller_steps.baseline.numpy())
        if epoch + 1 == config.epochs:
            found = search.finals(judge, prepare)
            row["finals"] = [[accuracy, space.to_json(tokens)] for accuracy, tokens in found]
        return row, f"loss {loss:.3f}, reward {reward:.1%}, entropy {entropy:.2f}"

    session.go_on(config.epochs, one, after, console)
    best = space.from_json(session.rows[-1]["finals"][0][1])
    result = Result(space.decode(best), session.rows, search.child.net, session.folder)
    result.save()
    return result
