"""What all strategies share: ids, the proposals that are under way, a generator, and a state that is their history."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.search.protocol import Space
from kerascnn.search.records import Proposal, Result, Tokens


class Searcher:
    """A strategy; a subclass defines `draw`, and where it learns, `start` and `learn`.

    `space`, the space, and `rng`, the only source of chance, are there once a search has begun. What `draw` decides
    must follow from them and from what `learn` was told. The arguments of a subclass that is a dataclass are its
    settings.

    Example:

        class Random(Searcher):
            def draw(self):
                return self.proposal(self.space.sample(self.rng))
    """

    space: Space
    rng: np.random.Generator

    def begin(self, space: Space, seed: int = 0) -> None:
        """Forgets everything and begins a search.

        Args:
            space: what is searched.
            seed: of all that is drawn.

        Raises:
            InputError: it is no space, or not one of a kind that the strategy can search.
        """
        if not isinstance(space, Space):
            raise _check.refuse("space", "a space, see kerascnn.search.Space", space)
        self._seed = _check.whole("seed", seed, 0)
        self.space, self.rng = space, np.random.default_rng(self._seed)
        self._count = 0
        self._open: dict[int, Proposal] = {}
        self._history: list[tuple[int, Proposal, Result]] = []  # how many were proposed before each report
        self.start()

    def start(self) -> None:
        """Is called where a search begins."""

    def draw(self) -> Proposal | None:
        """The next proposal, made by `proposal`; None where results must come first or the search has ended. Where it
        is None, nothing has been drawn or changed."""
        raise NotImplementedError

    def learn(self, proposal: Proposal, result: Result) -> None:
        """Takes the result of a proposal."""

    def proposal(self, tokens: Tokens, *, parent: int | None = None, budget: float | None = None) -> Proposal:
        """A proposal with the next id.

        Args:
            tokens: the candidate.
            parent: the id of the proposal that it was made of.
            budget: what its evaluation may cost.

        Returns:
            The proposal.
        """
        return Proposal(self._count, tokens, budget, parent)

    def propose(self, n: int = 1) -> list[Proposal]:
        """What is to be evaluated next.

        Args:
            n: how many at most.

        Returns:
            Proposals; fewer, or none, where results must come first or the search has ended.

        Raises:
            InputError: `n` is less than 1, or the search has not begun.
        """
        _check.whole("n", n, 1)
        self._begun()
        found = []
        while len(found) < n and (proposal := self.draw()) is not None:
            self._open[proposal.id] = proposal
            self._count += 1
            found.append(proposal)
        return found

    def report(self, id: int, result: Result) -> None:
        """Takes the result of a proposal.

        Args:
            id: of the proposal.
            result: of its evaluation.

        Raises:
            InputError: no such proposal is under way, or it is no result.
        """
        self._begun()
        if not isinstance(result, Result):
            raise _check.refuse("result", "a Result", result)
        if id not in self._open:
            raise _check.refuse("id", "that of a proposal whose result is still to come", id)
        proposal = self._open.pop(id)
        self._history.append((self._count, proposal, result))
        self.learn(proposal, result)

    def settings(self) -> dict[str, Any]:
        """Plain JSON values: the name of the strategy and, where it is a dataclass, its arguments.

        Returns:
            Settings by name.
        """
        fields = dataclasses.fields(self) if dataclasses.is_dataclass(self) else ()
        values = {field.name: getattr(self, field.name) for field in fields}
        plain = {name: value.settings() if isinstance(value, Searcher) else value for name, value in values.items()}
        return {"strategy": type(self).__name__, **plain}

    def state(self) -> dict[str, Any]:
        """What `restore` continues from: the seed and the history, as plain JSON values.

        Returns:
            The state.

        Raises:
            InputError: the search has not begun.
        """
        self._begun()
        history = [[count, each.id, list(each.tokens), result.to_json()] for count, each, result in self._history]
        return {"settings": self.settings(), "seed": self._seed, "proposed": self._count, "history": history}

    def restore(self, space: Space, state: Mapping[str, Any]) -> None:
        """Continues from a state: proposes and learns all over again, which takes no evaluation.

        Args:
            space: the same as before.
            state: what `state` gave.

        Raises:
            InputError: it is that of another strategy or space, or damaged.
        """
        keys = {"settings", "seed", "proposed", "history"}
        if not isinstance(state, Mapping) or set(state) != keys:
            raise _check.refuse("state", f"a mapping with {', '.join(sorted(keys))}", state)
        if state["settings"] != self.settings():
            raise _check.refuse("state", f"one of {self.settings()}", state["settings"])
        self.begin(space, state["seed"])
        for count, id, tokens, result in state["history"]:
            self._propose_until(count)
            if id not in self._open or list(self._open[id].tokens) != list(tokens):
                raise InputError(f"The state must be one of this strategy and space. Received: another proposal {id}")
            self.report(id, Result.from_json(result))
        self._propose_until(state["proposed"])

    def under_way(self) -> list[Proposal]:
        """The proposals whose results are still to come.

        Returns:
            Them, in the order in which they were made.
        """
        self._begun()
        return list(self._open.values())

    def _propose_until(self, count: int):
        while self._count < count:
            if not self.propose(1):
                raise InputError(f"The state must be one of this strategy and space. Received: {count} proposals")

    def _begun(self):
        if not hasattr(self, "_open"):
            raise InputError("begin(space, seed) must be called first. Received: a strategy that has not begun")
