"""The records that pass between a space, a strategy and an evaluator: tokens, proposals, results."""

import dataclasses
import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerascnn import _check

Tokens = tuple[int, ...]

OK, FAILED, NOT_FINITE, TIMEOUT, OUT_OF_MEMORY, CRASHED = STATUSES = (
    "ok", "failed", "not_finite", "timeout", "out_of_memory", "crashed",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Proposal:
    """A candidate that a strategy wants to be evaluated.

    Args:
        id: counts the proposals of a search, from 0.
        tokens: the candidate.
        budget: what the evaluation may cost, in the evaluator's unit, such as epochs; None: the evaluator's own.
        parent: the proposal that it was made of, if there is one.

    Raises:
        InputError: an argument is something else.
    """

    id: int
    tokens: Tokens
    budget: float | None = None
    parent: int | None = None

    def __post_init__(self):
        _check.whole("id", self.id, 0)
        object.__setattr__(self, "tokens", as_tokens(self.tokens))
        if self.budget is not None:
            _check.real("budget", self.budget, 0.0, above=True)
        if self.parent is not None:
            _check.whole("parent", self.parent, 0, self.id)


@dataclasses.dataclass(frozen=True)
class Result:
    """What an evaluation found.

    Args:
        value: what the search maximizes; minus infinity where the status is not "ok", whatever is given.
        metrics: other measures by name, such as the accuracy.
        cost: what the candidate costs, by name, such as its multiply-adds.
        seconds: how long the evaluation took.
        status: one of `STATUSES`.
        message: why it failed.

    Raises:
        InputError: an argument is something else; of a result that is "ok" all numbers are finite.
    """

    value: float
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    cost: Mapping[str, float] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    status: str = OK
    message: str = ""

    def __post_init__(self):
        _check.one_of("status", self.status, STATUSES)
        value = _check.real("value", self.value) if self.ok else -math.inf
        object.__setattr__(self, "value", value)
        object.__setattr__(self, "seconds", _check.real("seconds", self.seconds, 0.0))
        for name in ("metrics", "cost"):
            given = getattr(self, name)
            if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
                raise _check.refuse(name, "numbers by name", given)
            found = {key: _check.real(f"{name}[{key!r}]", number) for key, number in given.items()}
            object.__setattr__(self, name, found)
        if not isinstance(self.message, str):
            raise _check.refuse("message", "text", self.message)

    @property
    def ok(self) -> bool:
        """Whether the candidate was evaluated."""
        return self.status == OK

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, which `from_json` reads; what says nothing is left out."""
        record = {name: value for name, value in dataclasses.asdict(self).items() if value or name == "status"}
        return {**record, "value": self.value if self.ok else None}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Result":
        """Reads what `to_json` gave.

        Args:
            record: plain JSON values.

        Returns:
            An equal result.

        Raises:
            InputError: it is no result.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(record, Mapping) or not {"value", "status"} <= set(record) <= names:
            raise _check.refuse("record", f"a mapping with some of {', '.join(sorted(names))}", record)
        return cls(**record)


def as_result(found: Any, seconds: float = 0.0) -> Result:
    """The result of what an evaluator gave.

    Args:
        found: a `Result`, or the value alone, a number.
        seconds: how long it took; stands where the evaluator gives no time itself.

    Returns:
        The result. A value that is no finite number makes it one of a failed candidate.

    Raises:
        InputError: it is neither.
    """
    if isinstance(found, Result):
        return found if found.seconds else dataclasses.replace(found, seconds=seconds)
    if not isinstance(found, numbers.Real) or isinstance(found, bool):
        raise _check.refuse("What an evaluator gives", "a Result or a number", found)
    if not math.isfinite(found):
        return Result(0.0, seconds=seconds, status=NOT_FINITE, message=f"the value is {float(found)}")
    return Result(float(found), seconds=seconds)


def as_tokens(given: Any) -> Tokens:
    """Tokens as they are compared and written.

    Args:
        given: a sequence of whole numbers, NumPy's too.

    Returns:
        A tuple of `int`.

    Raises:
        InputError: it is something else.
    """
    if type(given) is tuple and all(type(token) is int for token in given):
        return given
    sound = isinstance(given, Sequence | np.ndarray) and not isinstance(given, str | bytes)
    if not sound or not all(isinstance(token, numbers.Integral) and not isinstance(token, bool) for token in given):
        raise _check.refuse("tokens", "a sequence of whole numbers", given)
    return tuple(int(token) for token in given)
