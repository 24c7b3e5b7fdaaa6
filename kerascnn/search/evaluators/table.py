"""Results that were recorded once: what a search finds in milliseconds instead of days."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.search.protocol import Space
from kerascnn.search.records import Result, Tokens


class Table:
    """Looks candidates up.

    Args:
        space: whose candidates they are.
        values: of each network, by `space.canonical`, what each of its trainings gave, at least one.
        noisy: a query gives one of a network's trainings, drawn by the seed, as a real evaluation would; False: their
            mean.
        cost: of networks, by the same key, what they cost by name.

    Raises:
        InputError: there is no network, or one without finite values.

    Example:

        table = Table.of(space, {tokens: (0.91, 0.93)}, noisy=False)
        table(space.decode(tokens), None, seed=0).value  # 0.92

    Source:
        One of several trainings is drawn as in Ying et al.: NAS-Bench-101, 2019, arXiv:1902.09635, section 2.4.
    """

    def __init__(
        self,
        space: Space,
        values: Mapping[str, Sequence[float]],
        *,
        noisy: bool = True,
        cost: Mapping[str, Mapping[str, float]] | None = None,
    ):
        if not isinstance(space, Space):
            raise _check.refuse("space", "a space, see kerascnn.search.Space", space)
        self._space, self.noisy = space, _check.flag("noisy", noisy)
        self._values = {key: tuple(map(float, found)) for key, found in values.items()}
        if not self._values:
            raise _check.refuse("values", "values of at least one network", values)
        for key, found in self._values.items():
            if not found or not all(map(math.isfinite, found)):
                raise _check.refuse("values", "finite numbers, at least one of each network", {key: found})
        self._cost = dict(cost or {})
        self._keys: dict[Any, str] = {}  # of candidates that were asked for

    @classmethod
    def of(cls, space: Space, rows: Mapping[Tokens, Sequence[float]], **options: Any) -> "Table":
        """A table of candidates instead of hashes.

        Args:
            space: whose candidates they are.
            rows: of each candidate what its trainings gave; those that are the same network stand together.
            **options: of `Table`.

        Returns:
            The table.

        Raises:
            InputError: see `Table`.
        """
        found: dict[str, list[float]] = {}
        for tokens, values in rows.items():
            found.setdefault(space.canonical(tokens), []).extend(values)
        return cls(space, found, **options)

    def __len__(self) -> int:
        return len(self._values)

    def settings(self) -> dict[str, Any]:
        """Plain JSON values that tell one table from another."""
        return {"networks": len(self), "sum": round(sum(map(sum, self._values.values())), 6), "noisy": self.noisy}

    def best(self) -> float:
        """The largest mean of a network."""
        return max(float(np.mean(found)) for found in self._values.values())

    def mean(self, candidate: Any) -> float:
        """What a network's trainings gave in the mean.

        Args:
            candidate: what the space decodes.

        Returns:
            The mean.

        Raises:
            InputError: it is not in the table.
        """
        return float(np.mean(self._values[self._key(candidate)]))

    def __call__(self, candidate: Any, budget: float | None, seed: int) -> Result:
        """Looks a candidate up.

        Args:
            candidate: what the space decodes.
            budget: is not read.
            seed: draws one of the trainings.

        Returns:
            The value, and the cost where it is known.

        Raises:
            InputError: it is not in the table.
        """
        key = self._key(candidate)
        found = self._values[key]
        value = found[int(np.random.default_rng(seed).integers(len(found)))] if self.noisy else float(np.mean(found))
        return Result(value, cost=self._cost.get(key, {}))

    def _key(self, candidate: Any) -> str:
        key = self._keys.get(candidate)
        if key is None:
            key = self._space.canonical(self._space.encode(candidate))
            if key not in self._values:
                raise InputError(f"The network must be in the table. Received: {str(candidate)[:200]!r}")
            self._keys[candidate] = key
        return key
