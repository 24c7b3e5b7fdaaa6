"""What all spaces share: drawing, changing, crossing and counting candidates that are tokens."""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.search.records import Tokens
from kerascnn.search.spaces.coded import Coded

TRIES = 10_000  # draws until a candidate must have been valid
LARGEST = 1_000_000  # candidates of a space that is still enumerated


class TokenSpace(Coded):
    """A space of tuples of whole numbers; token i is in [0, sizes[i]).

    A subclass defines `decode` and `encode`, and where it has to `_wrong` (what no network can be made of) and `_form`
    (equal for candidates that are the same network). The arguments are those of `Coded`.
    """

    def sample(self, rng: np.random.Generator) -> Tokens:
        """A candidate, all equally likely.

        Args:
            rng: draws.

        Returns:
            The candidate.

        Raises:
            InputError: ten thousand draws in a row were refused.
        """
        sizes = np.array(self.sizes)
        return self._first(lambda: tuple(_generator(rng).integers(sizes).tolist()))

    def _first(self, draw: Callable[[], Tokens]) -> Tokens:
        for _ in range(TRIES):
            tokens = draw()
            wrong = self._refused(tokens)
            if wrong is None:
                return tokens
        rule = f"The rules must leave candidates that can be found; {TRIES:,} draws in a row were refused"
        raise InputError(f"{rule}. Received: the last one was refused because {wrong}")

    def mutate(self, tokens: Tokens, rng: np.random.Generator) -> Tokens:
        """A candidate of which one token is another: first its kind is drawn, then its place, then its value.

        Args:
            tokens: a candidate.
            rng: draws.

        Returns:
            The other candidate.

        Raises:
            InputError: it is no candidate, the space has only one, or ten thousand mutations were refused.
        """
        tokens, rng = self.check(tokens), _generator(rng)
        if not self._groups:
            raise InputError("The space must have two candidates or more to mutate one. Received: a space of one")
        return self._first(lambda: self._mutate(tokens, rng))

    def _mutate(self, tokens: Tokens, rng: np.random.Generator) -> Tokens:
        group = self._groups[rng.integers(len(self._groups))]
        place = group[rng.integers(len(group))]
        moved = (tokens[place] + 1 + int(rng.integers(self.sizes[place] - 1))) % self.sizes[place]
        return (*tokens[:place], moved, *tokens[place + 1 :])

    def cross(self, first: Tokens, second: Tokens, rng: np.random.Generator) -> Tokens:
        """A candidate of which each token is that of one or the other, equally likely.

        Args:
            first, second: candidates.
            rng: draws.

        Returns:
            The candidate.

        Raises:
            InputError: one is no candidate, or ten thousand mixtures were refused.
        """
        pair, rng = np.array([self.check(first), self.check(second)]), _generator(rng)
        places = np.arange(len(self.sizes))
        return self._first(lambda: tuple(pair[rng.integers(2, size=len(places)), places].tolist()))

    def neighbors(self, tokens: Tokens) -> Iterator[Tokens]:
        """All candidates that differ in one token.

        Args:
            tokens: a candidate.

        Yields:
            The others, in the order of their places and values.

        Raises:
            InputError: it is no candidate.
        """
        tokens = self.check(tokens)
        for place, size in enumerate(self.sizes):
            for value in range(size):
                other = (*tokens[:place], value, *tokens[place + 1 :])
                if value != tokens[place] and self._refused(other) is None:
                    yield other

    def size(self) -> int:
        """How many candidates there are.

        Returns:
            The count.

        Raises:
            InputError: some are refused, and there are too many to be counted one by one.
        """
        plain = not self._rules and type(self)._wrong is Coded._wrong
        return math.prod(self.sizes) if plain else sum(1 for _ in self.enumerate())

    def enumerate(self) -> Iterator[Tokens]:
        """All candidates, in ascending order.

        Yields:
            Tokens.

        Raises:
            InputError: there are more than a million.
        """
        product = math.prod(self.sizes)
        if product > LARGEST:
            raise InputError(f"A space that is enumerated must have at most {LARGEST:,} candidates. "
                             f"Received: one of {product:.3g}")  # fmt: skip
        for tokens in itertools.product(*map(range, self.sizes)):
            if self._refused(tokens) is None:
                yield tokens


def _generator(rng: Any) -> np.random.Generator:
    if not isinstance(rng, np.random.Generator):
        raise _check.refuse("rng", "a numpy.random.Generator", rng)
    return rng
