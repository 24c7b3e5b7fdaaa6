"""Candidates as tokens: what each means, which are refused, how they are written."""

import copy
import hashlib
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.search.records import Tokens, as_tokens

Rule = Callable[[Any], str | None]  # what `decode` gives -> what is wrong with it, or None


class Coded:
    """Tuples of whole numbers; token i is in [0, sizes[i]).

    A subclass defines `decode` and `encode`, and where it has to `_wrong` (what no network can be made of) and `_form`
    (equal for candidates that are the same network).

    Args:
        sizes: how many values each token has.
        groups: places of tokens of one kind each; `mutate` draws the kind first. None: all are of one kind.

    Raises:
        InputError: a size is less than 1, or a group names no places.
    """

    def __init__(self, sizes: Sequence[int], groups: Sequence[Sequence[int]] | None = None):
        sizes = as_tokens(sizes)
        if not sizes or min(sizes) < 1:
            raise _check.refuse("sizes", "whole numbers, at least 1, of at least one token", sizes)
        self.sizes = sizes
        groups = [range(len(sizes))] if groups is None else groups
        for place in itertools.chain(*groups):
            _check.whole("a place in groups", place, 0, len(sizes) - 1)
        movable = ([place for place in group if sizes[place] > 1] for group in groups)
        self._groups = tuple(tuple(group) for group in movable if group)
        self._rules: tuple[Rule, ...] = ()

    def __getstate__(self):
        return {**vars(self), "_rules": ()}  # functions of a script cannot travel to workers, which only decode

    def decode(self, tokens: Tokens) -> Any:
        """What an evaluator is given.

        Args:
            tokens: a candidate.

        Returns:
            Its description.

        Raises:
            InputError: it is no candidate.
        """
        raise NotImplementedError

    def encode(self, description: Any) -> Tokens:
        """The tokens of what `decode` gives.

        Args:
            description: of a candidate.

        Returns:
            The tokens.

        Raises:
            InputError: the space has no such candidate.
        """
        raise NotImplementedError

    def _wrong(self, tokens: Tokens) -> str | None:
        return None

    def _form(self, tokens: Tokens) -> Any:
        return tokens

    def settings(self) -> dict[str, Any]:
        """Plain JSON values that tell one space from another.

        Returns:
            Its class, the sizes, and how many rules it has.
        """
        return {"space": type(self).__name__, "sizes": list(self.sizes), "rules": len(self._rules)}

    def where(self, rule: Rule):
        """The same space without the candidates that a rule refuses; nothing is built to find that out.

        Args:
            rule: takes what `decode` gives; returns what is wrong with it, such as "2 million weights, more than 1
                million", or None.

        Returns:
            A space that shares everything else with this one.

        Raises:
            InputError: the rule is no function.
        """
        if not callable(rule):
            raise _check.refuse("rule", "a function of a candidate's description", rule)
        restricted = copy.copy(self)
        restricted._rules = (*self._rules, rule)
        return restricted

    def wrong(self, tokens: Tokens) -> str | None:
        """What is wrong with a candidate.

        Args:
            tokens: whatever is to be judged.

        Returns:
            Words; None where it may be evaluated.
        """
        return self._unsound(tokens) or self._refused(as_tokens(tokens))

    def _unsound(self, tokens) -> str | None:
        try:
            tokens = as_tokens(tokens)
        except InputError:
            return "it is no sequence of whole numbers"
        if len(tokens) != len(self.sizes):
            return f"it has {len(tokens)} tokens instead of {len(self.sizes)}"
        for place, (token, size) in enumerate(zip(tokens, self.sizes, strict=True)):
            if not 0 <= token < size:
                return f"token {place} is {token}, not from 0 to {size - 1}"
        return None

    def _refused(self, tokens: Tokens) -> str | None:
        wrong = self._wrong(tokens)
        if wrong or not self._rules:
            return wrong
        description = self.decode(tokens)
        return next((str(words) for rule in self._rules if (words := rule(description)) is not None), None)

    def check(self, tokens: Any) -> Tokens:
        """Tokens, where they are well formed; rules are not asked.

        Args:
            tokens: what may be a candidate.

        Returns:
            The tokens as a tuple.

        Raises:
            InputError: they are not.
        """
        unsound = self._unsound(tokens) or self._wrong(as_tokens(tokens))
        if unsound:
            raise _check.refuse("tokens", f"a candidate of the space ({unsound})", tokens)
        return as_tokens(tokens)

    def canonical(self, tokens: Tokens) -> str:
        """A hash that is the same for candidates that are the same network.

        Args:
            tokens: a candidate.

        Returns:
            32 hexadecimal digits.

        Raises:
            InputError: it is no candidate.
        """
        return digest(self._form(self.check(tokens)))

    def to_json(self, tokens: Tokens) -> Any:
        """A candidate as plain JSON values.

        Args:
            tokens: a candidate.

        Returns:
            What `from_json` reads.

        Raises:
            InputError: it is no candidate.
        """
        return list(self.check(tokens))

    def from_json(self, record: Any) -> Tokens:
        """Reads what `to_json` gave.

        Args:
            record: plain JSON values.

        Returns:
            The candidate.

        Raises:
            InputError: it is none.
        """
        return self.check(record)


def digest(form: Any) -> str:
    """A hash of tuples of text and numbers.

    Args:
        form: equal ones have an equal `repr`.

    Returns:
        32 hexadecimal digits.
    """
    return hashlib.sha256(repr(form).encode()).hexdigest()[:32]
