"""What the controllers of ENAS share: an LSTM that draws an architecture token by token, each knowing those before it.

Pham, Guan, Zoph, Le, Dean: Efficient Neural Architecture Search via Parameter Sharing, 2018, arXiv:1802.03268,
sections 2.2 to 2.4; constants and connections as released (melodyguan/enas).
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kerascnn.search.one_shot.config import EnasConfig
from kerascnn.search.records import Tokens
from kerascnn.search.spaces import TokenSpace

_LARGEST_WEIGHT = 0.1  # first weights are uniform up to it


class Walk(NamedTuple):
    """What a controller made of n architectures."""

    tokens: Any  # int32 [n, length]
    log_probability: Any  # float32 [n]
    entropy: Any  # float32 [n]: of the distributions along the way
    skips: Any  # float32 [n, decisions]: probabilities of the skips of a chain


@dataclasses.dataclass
class State:
    """Where a walk is."""

    given: Any  # int32 [n, length], or None: tokens are drawn
    noise: Any  # float32 [n, length, largest size], uniform: they are drawn by it
    c: Any
    h: Any
    tokens: dict[int, Any]
    log_probability: Any
    entropy: Any
    skips: list[Any]


class Controller:
    """What both controllers share: weights, an LSTM, and choosing by logits.

    Args:
        space: what is drawn from.
        config: `units`, `tanh`, `operation_tanh`, `temperature` and, for the first of two cells, `favored`, `bonus`
            and `bias` are used.
        seed: of the first weights.
    """

    def __init__(self, space: TokenSpace, config: EnasConfig, seed: int):
        self.space, self._config = space, config
        self._rng = np.random.default_rng((seed, 5))
        self._weights: dict[str, tf.Variable] = {}
        units = config.units
        for name, shape in (("lstm", (2 * units, 4 * units)), ("start", (1, units))):
            self._make(name, shape)
        for name, shape in (("attend_earlier", (units, units)), ("attend", (units, units)), ("score", (units, 1))):
            self._make(name, shape)
        self._draw = tf.function(lambda noise: self._walk(None, noise), autograph=False, reduce_retracing=True)
        self._score = tf.function(lambda given: self._walk(given, None), autograph=False, reduce_retracing=True)

    def _make(self, name: str, shape: Sequence[int]) -> None:
        values = self._rng.uniform(-_LARGEST_WEIGHT, _LARGEST_WEIGHT, shape)
        self._weights[name] = tf.Variable(values.astype("float32"), name=name)

    @property
    def variables(self) -> list[tf.Variable]:
        """All weights."""
        return list(self._weights.values())

    def sample(self, count: int, seed: tuple[int, ...]) -> tuple[list[Tokens], Walk]:
        """Draws architectures.

        Args:
            count: how many.
            seed: whole numbers from which they follow.

        Returns:
            The tokens of each, and the walk, whose log-probabilities `score` gives too.
        """
        shape = count, len(self.space.sizes), max(self.space.sizes)
        noise = np.random.default_rng(seed).random(shape, "float32")
        walk = self._draw(tf.constant(noise))
        return [tuple(map(int, row)) for row in walk.tokens.numpy()], walk

    def score(self, tokens: Sequence[Tokens]) -> Walk:
        """Walks along given architectures; gradients reach the weights.

        Args:
            tokens: candidates of the space.

        Returns:
            The walk.

        Raises:
            InputError: one is no candidate.
        """
        checked = [self.space.check(candidate) for candidate in tokens]
        return self.walk(tf.constant(checked, tf.int32))

    def walk(self, tokens: Any) -> Walk:
        """The same without checks, for use within other functions.

        Args:
            tokens: int32 [n, length].

        Returns:
            The walk.
        """
        return self._walk(tokens, None) if tf.inside_function() else self._score(tokens)

    def _walk(self, given, noise) -> Walk:
        count = tf.shape(noise if given is None else given)[0]
        zero = tf.zeros([count, self._config.units])
        state = State(given, noise, zero, zero, {}, tf.zeros([count]), tf.zeros([count]), [])
        self._run(state, tf.repeat(self._weights["start"], count, 0))
        tokens = tf.stack([state.tokens[place] for place in range(len(self.space.sizes))], 1)
        skips = tf.stack(state.skips, 1) if state.skips else tf.zeros([count, 0])
        return Walk(tokens, state.log_probability, state.entropy, skips)

    def _run(self, state: State, start: Any) -> None:
        raise NotImplementedError

    def _step(self, state: State, x: Any) -> Any:
        """One step of the LSTM, without biases; its output [n, units]."""
        gates = tf.concat([x, state.h], -1) @ self._weights["lstm"]
        i, f, o, g = tf.split(gates, 4, -1)
        state.c = tf.sigmoid(i) * tf.tanh(g) + tf.sigmoid(f) * state.c
        state.h = tf.sigmoid(o) * tf.tanh(state.c)
        return state.h

    def _attention(self, state: State, earlier: list[Any]) -> Any:
        """A number for each of the earlier steps [n, steps]."""
        seen = tf.stack([h @ self._weights["attend_earlier"] for h in earlier], 1)
        return (tf.tanh(seen + (state.h @ self._weights["attend"])[:, None]) @ self._weights["score"])[..., 0]

    def _bounded(self, logits: Any, divisor: float = 1.0) -> Any:
        logits = logits / self._config.temperature
        constant = self._config.tanh / divisor
        return constant * tf.tanh(logits) if constant else logits

    def _choose(self, state: State, place: int, logits: Any) -> Any:
        """A token [n], given or drawn; logits [n, size]."""
        logs = tf.nn.log_softmax(logits)
        if state.given is None:
            uniform = tf.clip_by_value(state.noise[:, place, : logits.shape[-1]], 1e-7, 1 - 1e-6)
            token = tf.argmax(logs - tf.math.log(-tf.math.log(uniform)), -1, tf.int32)
        else:
            token = state.given[:, place]
        state.tokens[place] = token
        state.log_probability += tf.gather(logs, token, batch_dims=1)
        state.entropy -= tf.reduce_sum(tf.exp(logs) * logs, -1)
        return token
