"""The three protocols of a search.

A space holds candidates, a strategy proposes some of them and is told how they did, and an evaluator finds that out. A
candidate is a tuple of whole numbers, its tokens: hashable, plain JSON, and the same to every strategy. The space makes
of them what an evaluator can build.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from kerascnn.search.records import Proposal, Result, Tokens


@runtime_checkable
class Space(Protocol):
    """What can be searched. `kerascnn.search.spaces.TokenSpace` has all of it but for `decode` and `encode`."""

    sizes: tuple[int, ...]  # how many values each token has

    def sample(self, rng: np.random.Generator) -> Tokens:
        """A candidate drawn at random."""
        ...

    def mutate(self, tokens: Tokens, rng: np.random.Generator) -> Tokens:
        """A candidate that differs in one place."""
        ...

    def cross(self, first: Tokens, second: Tokens, rng: np.random.Generator) -> Tokens:
        """A candidate of which each token is that of one or the other."""
        ...

    def neighbors(self, tokens: Tokens) -> Iterator[Tokens]:
        """All candidates that differ in one token."""
        ...

    def wrong(self, tokens: Tokens) -> str | None:
        """What is wrong with a candidate, in words; None where it may be evaluated."""
        ...

    def encode(self, description: Any) -> Tokens:
        """The tokens of what `decode` gives."""
        ...

    def decode(self, tokens: Tokens) -> Any:
        """What an evaluator is given."""
        ...

    def size(self) -> int:
        """How many candidates there are."""
        ...

    def canonical(self, tokens: Tokens) -> str:
        """A hash that is the same for candidates that are the same network."""
        ...

    def to_json(self, tokens: Tokens) -> Any:
        """A candidate as plain JSON values for people and files."""
        ...

    def from_json(self, record: Any) -> Tokens:
        """Reads what `to_json` gave."""
        ...

    def settings(self) -> dict[str, Any]:
        """Plain JSON values that tell one space from another."""
        ...


@runtime_checkable
class Strategy(Protocol):
    """What proposes. `kerascnn.search.strategies.Searcher` has all of it but for `draw` and `learn`.

    What it proposes follows from the seed and the order of calls alone, and a call that gives no proposal changes
    nothing, so that a journal can be replayed.
    """

    def begin(self, space: Space, seed: int) -> None:
        """Forgets everything and begins a search."""
        ...

    def propose(self, n: int) -> list[Proposal]:
        """At most n candidates; fewer, or none, where results must come first or the search has ended."""
        ...

    def report(self, id: int, result: Result) -> None:
        """Takes the result of one of its proposals, in whatever order they end."""
        ...

    def state(self) -> dict[str, Any]:
        """Plain JSON values from which `restore` continues."""
        ...

    def restore(self, space: Space, state: Mapping[str, Any]) -> None:
        """Continues from what `state` gave: what was proposed and not reported is still to be reported."""
        ...

    def settings(self) -> dict[str, Any]:
        """Plain JSON values: its name and its arguments."""
        ...


class Evaluator(Protocol):
    """What finds out how good a candidate is: a function, or an object that is called. It never sees the strategy."""

    def __call__(self, candidate: Any, budget: float | None, seed: int) -> "Result | float":
        """Evaluates what the space's `decode` gave; all that is random follows from the seed."""
        ...
