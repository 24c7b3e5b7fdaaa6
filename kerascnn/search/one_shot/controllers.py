"""The two controllers of ENAS, of cells and of chains.

Pham, Guan, Zoph, Le, Dean: Efficient Neural Architecture Search via Parameter Sharing, 2018, arXiv:1802.03268,
sections 2.3 and 2.4; constants and connections as released (melodyguan/enas).
"""

from typing import Any

import numpy as np
import tensorflow as tf

from kerascnn import _check
from kerascnn.search.one_shot.config import EnasConfig
from kerascnn.search.one_shot.controller import Controller, State
from kerascnn.search.spaces import Blocks, Chain, TokenSpace


class BlockController(Controller):
    """Draws cells of blocks: of each node both sources, by attention to the nodes before it, then both operations.

    The arguments are those of `Controller`; the space is one of `Blocks`.

    Raises:
        InputError: it is another space, or a favored operation is none of it.
    """

    def __init__(self, space: Blocks, config: EnasConfig, seed: int):
        if not isinstance(space, Blocks):
            raise _check.refuse("space", "a Blocks space, such as spaces.enas_micro()", space)
        for operation in config.favored:
            _check.one_of("each of favored", operation, space.operations)
        super().__init__(space, config, seed)
        count = len(space.operations)
        self._make("operation", (config.units, count))
        self._make("embedding", (count, config.units))
        favored = np.array([operation in config.favored for operation in space.operations])
        self._weights["bias"] = tf.Variable(np.where(favored, config.bias, 0.0).astype("float32"), name="bias")
        bonus = np.where(favored, config.bonus, -config.bonus) if favored.any() else np.zeros(count)
        self._bonus = bonus.astype("float32")

    def _run(self, state: State, start: Any) -> None:
        nodes, place = self.space.nodes, 0
        for cell in range(1 if self.space.shared else 2):
            x, earlier, anchors = start, [], []
            for _ in range(2):  # the two inputs of a cell
                earlier.append(self._step(state, x))
                anchors.append(tf.zeros_like(state.h))
            for _ in range(nodes):
                known = tf.stack(anchors, 1)
                for side in (0, 2):
                    self._step(state, x)
                    logits = self._bounded(self._attention(state, earlier))
                    x = tf.gather(known, self._choose(state, place + side, logits), batch_dims=1)
                for side in (1, 3):
                    logits = self._step(state, x) @ self._weights["operation"] + self._weights["bias"]
                    logits = self._bounded(logits, self._config.operation_tanh)
                    logits = logits + self._bonus if cell == 0 else logits
                    x = tf.gather(self._weights["embedding"], self._choose(state, place + side, logits))
                earlier.append(self._step(state, x))
                anchors.append(state.h)
                x, place = start, place + 4


class ChainController(Controller):
    """Draws chains: of each layer its values, then of each earlier layer whether it is read beside the last one.

    The arguments are those of `Controller`; the space is one of `Chain`. With the number q that attention gives a skip,
    bounded by `tanh`, it is drawn with probability sigmoid(2 q), the softmax over (-q, q) of the release.

    Raises:
        InputError: it is another space.
    """

    def __init__(self, space: Chain, config: EnasConfig, seed: int):
        if not isinstance(space, Chain):
            raise _check.refuse("space", "a Chain space, such as spaces.enas_macro()", space)
        super().__init__(space, config, seed)
        bits = space.layers * (space.layers - 1) // 2 if space.skips else 0
        self._sizes = space.sizes[: (len(space.sizes) - bits) // space.layers]
        for field, size in enumerate(self._sizes):
            self._make(f"value{field}", (config.units, size))
            self._make(f"embedding{field}", (size, config.units))

    def _run(self, state: State, start: Any) -> None:
        x, earlier, anchors, place = start, [], [], 0
        for layer in range(self.space.layers):
            for field in range(len(self._sizes)):
                logits = self._bounded(self._step(state, x) @ self._weights[f"value{field}"])
                x = tf.gather(self._weights[f"embedding{field}"], self._choose(state, place, logits))
                place += 1
            self._step(state, x)
            x = start
            if layer and self.space.skips:
                scores = self._bounded(self._attention(state, earlier))
                read = []
                for i in range(layer):
                    read.append(self._choose(state, place + i, tf.stack([-scores[:, i], scores[:, i]], -1)))
                    state.skips.append(tf.sigmoid(2 * scores[:, i]))
                place += layer
                chosen = tf.cast(tf.stack(read, 1), tf.float32)[..., None]
                x = tf.reduce_sum(chosen * tf.stack(anchors, 1), 1) / (1.0 + tf.reduce_sum(chosen, 1))
            anchors.append(state.h)
            earlier.append(state.h)


def controller_of(space: TokenSpace, config: EnasConfig, seed: int) -> Controller:
    """The controller for a space.

    Args:
        space: `Blocks` or `Chain`.
        config: its constants.
        seed: of its first weights.

    Returns:
        A `BlockController` or a `ChainController`.

    Raises:
        InputError: it is another space.
    """
    if not isinstance(space, Blocks | Chain):
        raise _check.refuse("space", "a Blocks or a Chain space, such as spaces.enas_micro()", space)
    return (BlockController if isinstance(space, Blocks) else ChainController)(space, config, seed)


def skip_penalty(skips: Any, target: float) -> Any:
    """The mean over all decisions of the divergence of a skip's distribution from that with a target probability.

    Args:
        skips: probabilities [n, decisions].
        target: the probability that a skip should have.

    Returns:
        The divergence of Kullback and Leibler, in nats; 0 where there is nothing to decide.

    Source:
        Pham et al., 2018, arXiv:1802.03268, section 3.2. Departure: the release takes the probability for sigmoid(q),
        where it draws with sigmoid(2 q).
    """
    if not skips.shape[-1]:
        return tf.zeros([])
    p = tf.clip_by_value(skips, 1e-6, 1 - 1e-6)
    return tf.reduce_mean(p * tf.math.log(p / target) + (1 - p) * tf.math.log((1 - p) / (1 - target)))
