"""What a search has found: its trials, the best of them, how it got there."""

import dataclasses
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from kerascnn import _check
from kerascnn._errors import InputError
from kerascnn.search import ledger
from kerascnn.search.protocol import Space
from kerascnn.search.records import Proposal, Result, Tokens

FILE = "search.jsonl"  # in the folder of a search
FINISHED = "finished"  # begins a line of a result that waits for those before it


@dataclasses.dataclass(frozen=True)
class Trial:
    """A proposal and its result."""

    proposal: Proposal
    result: Result
    cached: bool  # answered by an earlier trial
    proposed: int  # how many proposals had been made when it was reported
    elapsed: float  # seconds of search when it was reported

    @property
    def tokens(self) -> Tokens:
        """The candidate."""
        return self.proposal.tokens

    @property
    def value(self) -> float:
        """What was maximized; minus infinity of a candidate that failed."""
        return self.result.value

    def to_json(self, space: Space) -> dict[str, Any]:
        """A line of the journal.

        Args:
            space: writes the candidate.

        Returns:
            Plain JSON values.
        """
        own = {"id": self.proposal.id, "candidate": space.to_json(self.tokens), "result": self.result.to_json()}
        for name in ("budget", "parent"):
            if getattr(self.proposal, name) is not None:
                own[name] = getattr(self.proposal, name)
        return {**own, "cached": self.cached, "proposed": self.proposed, "elapsed": round(self.elapsed, 6)}

    @classmethod
    def from_json(cls, row: dict[str, Any], space: Space) -> "Trial":
        """Reads what `to_json` gave.

        Args:
            row: plain JSON values.
            space: reads the candidate.

        Returns:
            An equal trial.

        Raises:
            InputError: it is no trial of this space.
        """
        needed = {"id", "candidate", "result", "cached", "proposed", "elapsed"}
        if not needed <= set(row) <= needed | {"budget", "parent"}:
            raise _check.refuse("a line of the journal", f"a mapping with {', '.join(sorted(needed))}", row)
        tokens = space.from_json(row["candidate"])
        proposal = Proposal(row["id"], tokens, row.get("budget"), row.get("parent"))
        elapsed = _check.real("elapsed", row["elapsed"], 0.0)
        proposed = _check.whole("proposed", row["proposed"], 1)
        return cls(proposal, Result.from_json(row["result"]), _check.flag("cached", row["cached"]), proposed, elapsed)


@dataclasses.dataclass(frozen=True)
class History:
    """The trials of a search, in the order in which they were reported."""

    space: Space
    trials: list[Trial]

    @classmethod
    def read(cls, folder: str | os.PathLike, space: Space) -> "History":
        """Reads the journal of a search, while it runs, too.

        Args:
            folder: of the search.
            space: that was searched.

        Returns:
            The history.

        Raises:
            InputError: there is no journal, it is damaged, or that of another space.
        """
        settings, rows = ledger.read(Path(folder) / FILE)
        if settings.get("space") != space.settings():
            raise InputError(f"The space must be the one that was searched. Received: {settings.get('space')}")
        return cls(space, [Trial.from_json(row, space) for row in rows if FINISHED not in row])

    def best(self, count: int = 1) -> list[Trial]:
        """The best trials of different candidates, each with its largest budget.

        Args:
            count: how many at most.

        Returns:
            Trials that did not fail, the best first.

        Raises:
            InputError: `count` is less than 1.
        """
        _check.whole("count", count, 1)
        largest = max((trial.proposal.budget or math.inf for trial in self.trials if trial.result.ok), default=None)
        found: dict[str, Trial] = {}
        for trial in sorted(self.trials, key=lambda trial: -trial.value):
            if trial.result.ok and (trial.proposal.budget or math.inf) == largest:
                found.setdefault(self.space.canonical(trial.tokens), trial)
        return list(found.values())[:count]

    def curve(self) -> np.ndarray:
        """The best value so far after each trial.

        Returns:
            float64 [trials]; minus infinity until one has not failed.
        """
        return np.maximum.accumulate([trial.value for trial in self.trials]) if self.trials else np.empty(0)

    def lineage(self, trial: Trial) -> list[Trial]:
        """A trial and what it comes from.

        Args:
            trial: of this history.

        Returns:
            From the first ancestor to the trial.
        """
        by_id = {each.proposal.id: each for each in self.trials}
        line = [trial]
        while (parent := line[-1].proposal.parent) is not None and parent in by_id:
            line.append(by_id[parent])
        return line[::-1]

    def counts(self) -> dict[str, int]:
        """How many trials ended how: by status, and those that were answered by an earlier one as "cached".

        Returns:
            Counts greater than zero.
        """
        found: dict[str, int] = {}
        for trial in self.trials:
            name = "cached" if trial.cached else trial.result.status
            found[name] = found.get(name, 0) + 1
        return found
