"""Neural architecture optimization: the best candidates are encoded, moved to where better ones are expected, decoded.

Luo, Tian, Qin, Chen, Liu: Neural Architecture Optimization, 2018, arXiv:1808.07233.
"""

import dataclasses
from collections.abc import Callable, Collection

import numpy as np
import numpy.typing as npt

from kerascnn import _check
from kerascnn.search.protocol import Space
from kerascnn.search.records import Proposal, Result, Tokens
from kerascnn.search.spaces import Blocks, Growing
from kerascnn.search.strategies.latent import Latent
from kerascnn.search.strategies.searcher import Searcher

_TRIES = 100  # random draws until one must be new
Twin = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(eq=False)
class NAO(Searcher):
    """Draws `first` candidates at random; then, again and again, learns to encode, to judge and to decode all that were
    evaluated, moves the best `seeds` of them against the slope of the prediction, farther and farther until `batch`
    new candidates are decoded, and proposes those. Where the longest step gives too few, the others are random.

    Departures: the networks go on from their last weights in each round; each place has its own embeddings, so that any
    space of tokens will do; fewer units and larger steps, for hundreds of candidates instead of thousands.

    Args:
        first: random candidates at first, at least 2.
        batch: candidates of a round.
        seeds: the best candidates, from which a round begins.
        units: of the encoder's and the decoder's LSTM.
        embedding: numbers that stand for a token.
        layers, hidden: number and width of the predictor's layers before its last.
        steps: of Adam in a round, each on 50 candidates.
        rate: of Adam.
        trade: weight of the predictions in the loss; the tokens have the rest.
        decay: L2.
        stride, longest: the steps along the slope are `stride`, 2 `stride`, and so on up to `longest`.
        twins: of cells of sums, the networks also see both orders of the halves of each sum.

    Raises:
        InputError: an argument is out of range.

    Source:
        Luo et al., 2018, algorithm 1; about 1,000 candidates in three rounds, 100 seeds, 96 units, embeddings of 32,
        1,000 epochs of batches of 50 at rate 0.001, weights 0.8 and 0.2, L2 0.0001, no hidden layers, steps of 10, 20
        and 30 (as released, renqianluo/NAO).
    """

    first: int = 40
    batch: int = 40
    seeds: int = 20
    units: int = 32
    embedding: int = 16
    layers: int = 1
    hidden: int = 64
    steps: int = 200
    rate: float = 0.01
    trade: float = 0.8
    decay: float = 1e-4
    stride: float = 1.0
    longest: float = 100.0
    twins: bool = True

    def __post_init__(self):
        _check.whole("first", self.first, 2)
        for name in ("batch", "seeds", "units", "embedding", "hidden", "steps"):
            _check.whole(name, getattr(self, name), 1)
        _check.whole("layers", self.layers, 0)
        _check.real("rate", self.rate, 0.0, above=True)
        _check.real("trade", self.trade, 0.0, 1.0)
        _check.real("decay", self.decay, 0.0)
        _check.real("stride", self.stride, 0.0, above=True)
        _check.real("longest", self.longest, self.stride)
        _check.flag("twins", self.twins)

    def start(self) -> None:
        """Begins with new networks, drawn by the seed."""
        self.latent = Latent(self.space.sizes, self.rng, units=self.units, embedding=self.embedding,
                             layers=self.layers, hidden=self.hidden)  # fmt: skip
        self._told: list[tuple[Proposal, float]] = []
        self._queue: list[tuple[Tokens, int | None]] = []
        self._known: set[str] = set()  # hashes of what was proposed

    def draw(self) -> Proposal | None:
        """The next candidate; None while the last of a round are evaluated."""
        if self._count >= self.first and not self._queue:
            if self._open:
                return None
            if len(self._told) > 1:
                self._plan()
        tokens, parent = self._queue.pop() if self._queue else (self._random(), None)
        self._known.add(self.space.canonical(tokens))
        return self.proposal(tokens, parent=parent)

    def _random(self) -> Tokens:
        """A random candidate; of a hundred draws the first new one, else the last."""
        for _ in range(_TRIES):
            tokens = self.space.sample(self.rng)
            if self.space.canonical(tokens) not in self._known:
                break
        return tokens

    def learn(self, proposal: Proposal, result: Result) -> None:
        """Keeps the result for the next round; those of failed candidates are not learned from."""
        if result.ok:
            self._told.append((proposal, result.value))

    def _plan(self) -> None:
        """The candidates of the next round."""
        values = np.array([value for _, value in self._told])
        tokens = np.array([proposal.tokens for proposal, _ in self._told])
        twin = twins_of(self.space, self.rng) if self.twins else None
        self.latent.fit(tokens, badness(values), steps=self.steps, rate=self.rate, trade=self.trade, decay=self.decay,
                        twin=twin)  # fmt: skip
        best = np.argsort(-values, kind="stable")[: self.seeds]
        found = decoded(self.space, self.latent, tokens[best], self._known, self.batch, self.stride, self.longest)
        planned = [(new, self._told[best[place]][0].id) for new, place in found]
        planned += [(self._random(), None) for _ in range(self.batch - len(planned))]
        self._queue = planned[::-1]


def badness(values: npt.ArrayLike) -> np.ndarray:
    """What the predictor learns: 0 for the best value, 1 for the worst, 0 for all where they are equal.

    Args:
        values: [n], finite.

    Returns:
        float64 [n].
    """
    values = np.asarray(values, "float64")
    width = float(np.ptp(values))
    return (values.max() - values) / width if width else np.zeros_like(values)


def decoded(
    space: Space,
    latent: Latent,
    candidates: npt.ArrayLike,
    known: Collection[str],
    count: int,
    stride: float = 1.0,
    longest: float = 100.0,
) -> list[tuple[Tokens, int]]:
    """New candidates along the slopes of the predictions, by longer and longer steps.

    Args:
        space: of the candidates.
        latent: the networks.
        candidates: tokens [n, length] to begin from, the best first.
        known: hashes of candidates that are not new.
        count: how many at most.
        stride, longest: the steps are `stride`, 2 `stride`, and so on up to `longest`.

    Returns:
        Candidates that are different networks, and the place of the one that each was made of; those of the shortest
        steps first.
    """
    found: dict[str, tuple[Tokens, int]] = {}
    point, times = latent.encode(candidates), 0
    while len(found) < count and (times := times + 1) * stride <= longest * (1 + 1e-9):
        for place, tokens in enumerate(latent.decode(latent.descend(point, times * stride))):
            if space.wrong(tokens) is None and (key := space.canonical(tokens)) not in known:
                found.setdefault(key, (tokens, place))
    return list(found.values())[:count]


def twins_of(space: Space, rng: np.random.Generator) -> Twin | None:
    """Draws tokens that are the same networks.

    Args:
        space: of the candidates.
        rng: draws.

    Returns:
        Of cells of sums of two, a function of tokens [n, length] that exchanges the halves of some sums; else None.
    """
    if not isinstance(space, Blocks | Growing):
        return None
    first = 1 if isinstance(space, Growing) else 0  # the number of blocks

    def twin(tokens: np.ndarray) -> np.ndarray:
        halves = tokens[:, first:].reshape(len(tokens), -1, 2, 2)
        turned = np.where(rng.random((*halves.shape[:2], 1, 1)) < 0.5, halves[:, :, ::-1], halves)
        return np.concatenate([tokens[:, :first], turned.reshape(len(tokens), -1)], 1)

    return twin
