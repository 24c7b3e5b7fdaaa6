"""The loop of a search: proposals go to evaluators, results to the disk and then to the strategy."""

import dataclasses
import math
import os
import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from kerascnn import __version__, _check
from kerascnn._errors import InputError
from kerascnn._files import ensure_folder
from kerascnn.search.budget import parse_budget
from kerascnn.search.cluster import Cluster
from kerascnn.search.history import FILE, FINISHED, History, Trial
from kerascnn.search.ledger import Ledger
from kerascnn.search.protocol import Evaluator, Space, Strategy
from kerascnn.search.records import NOT_FINITE, Proposal, Result
from kerascnn.search.workers import Workers


def run(
    space: Space,
    strategy: Strategy,
    evaluator: Evaluator,
    *,
    budget: int | str,
    out: str | os.PathLike | None = None,
    seed: int = 0,
    workers: int | Workers | Cluster = 1,
    ahead: int | None = None,
    ordered: bool = False,
    cache: bool = True,
    reward: Callable[[Result], float] | None = None,
    after: Callable[[Trial], Any] | None = None,
) -> History:
    """Searches; where a search with the same settings was killed or has ended, it goes on from its journal.

    Args:
        space: what is searched.
        strategy: what proposes candidates; it begins anew.
        evaluator: `evaluator(space.decode(candidate), budget, seed)` gives a `Result` or a number to be maximized. What
            it raises, NaN, or its end by a limit makes the candidate one that failed.
        budget: how many trials there are to be, those answered from the journal and those that failed included, or how
            long the search may take, "90s", "20m", "8h", "2d", the time before it was resumed included. When the time
            is over, evaluations under way are given up.
        out: folder of the journal `search.jsonl`; None: nothing is kept.
        seed: of the strategy and, by their ids, of the evaluations.
        workers: how many processes evaluate, or limits on them too, or a cluster; 0: this process does.
        ahead: how many proposals may be without a result; None: as many as there are workers.
        ordered: results reach the strategy in the order of its proposals, so that the search follows from the seed and
            `ahead`, however many workers there are. Without it that holds on one worker.
        cache: a candidate that is the same network as an earlier one, with the same budget, gets its result.
        reward: makes the value that is maximized of a result that is ok, from its metrics and cost, instead of its own.
        after: is called with each trial.

    Returns:
        All trials.

    Raises:
        InputError: an argument cannot be used, the folder holds another search, or its strategy no longer proposes what
            it did.

    Example:

        space = Choices({"depth": (1, 2, 3), "width": (8, 16, 32)})
        history = run(space, Evolution(population=10, sample=3), train_one, budget="20m", out="searches/a", workers=2)
        print(space.decode(history.best()[0].tokens))
    """
    for name, value, kind in (("space", space, Space), ("strategy", strategy, Strategy)):
        if not isinstance(value, kind):
            raise _check.refuse(name, f"a {name}, see kerascnn.search.{kind.__name__}", value)
    for name, value in (("evaluator", evaluator), ("reward", reward or max), ("after", after or max)):
        if not callable(value):
            raise _check.refuse(name, "a function", value)
    trials, seconds = parse_budget(budget)
    _check.whole("seed", seed, 0)
    workers = workers if isinstance(workers, Workers | Cluster) else Workers(workers)
    ahead = max(1, workers.count) if ahead is None else _check.whole("ahead", ahead, max(1, workers.count))
    _check.flag("ordered", ordered)
    _check.flag("cache", cache)
    settings = {
        "space": space.settings(), "strategy": strategy.settings(), "evaluator": _name(evaluator), "seed": seed,
        "cache": cache, "reward": reward and _name(reward),
    }  # fmt: skip
    about = {"kerascnn": __version__, "numpy": np.__version__, "python": platform.python_version()}
    ledger = None if out is None else Ledger(ensure_folder(out) / FILE, settings, about)
    search = _Search(space, strategy, seed, ahead, ordered, cache, reward, ledger, after)
    try:
        search.replay(ledger.rows if ledger else [])
        if not search.is_over(trials, seconds):
            running = workers.start(space, evaluator)
            try:
                search.go_on(running, trials, seconds)
            finally:
                running.close()
    finally:
        if ledger:
            ledger.close()
    return History(space, search.trials)


class _Search:
    """The state of a search between two events."""

    def __init__(self, space, strategy, seed, ahead, ordered, cache, reward, ledger, after):
        self._space, self._strategy, self._seed = space, strategy, seed
        self._ahead, self._ordered, self._cache = ahead, ordered, cache
        self._reward, self._ledger, self._after = reward, ledger, after
        self.trials: list[Trial] = []
        self._proposed = 0
        self._open: dict[int, Proposal] = {}  # proposed and not reported, by id, ascending
        self._ready: dict[int, tuple[Result, bool]] = {}  # open ones whose result is there, and whether from the cache
        self._known: dict[tuple, Result] = {}  # results by network and budget
        self._same: dict[
            tuple, list[int]
        ] = {}  # under evaluation: the id that is evaluated, and those that wait for it
        self._finished: dict[int, Result] = {}  # of proposals that were open when the search was killed
        self._before, self._began = 0.0, time.monotonic()
        strategy.begin(space, seed)

    def replay(self, rows: list[dict[str, Any]]) -> None:
        """Brings the strategy where it was, without evaluating anything."""
        for row in rows:
            if FINISHED in row:
                self._finished[row[FINISHED]] = Result.from_json(row.get("result"))
                continue
            trial = Trial.from_json(row, self._space)
            while self._proposed < trial.proposed and self._propose():
                pass
            if self._open.pop(trial.proposal.id, None) != trial.proposal:
                rule = "The strategy must propose again what it did; it has changed, or does not follow from its seed"
                raise InputError(f"{rule}. Received: another proposal {trial.proposal.id} than in the journal")
            self._known.setdefault(self._key(trial.proposal), trial.result)
            self._strategy.report(trial.proposal.id, trial.result)
            self.trials.append(trial)
            self._before = trial.elapsed

    def is_over(self, trials: float, seconds: float) -> bool:
        """Whether the budget is spent."""
        return len(self.trials) >= trials or self._elapsed() >= seconds

    def go_on(self, running, trials: float, seconds: float) -> None:
        """Evaluates until the budget is spent or the strategy has ended."""
        self._began = time.monotonic()  # replaying and starting processes is not the search's time
        for proposal in self._open.values():  # what was under way when the search was killed
            self._admit(proposal, running)
        while not self.is_over(trials, seconds):
            while len(self._open) < self._ahead and self._proposed < trials and (new := self._propose()):
                self._admit(new, running)
            if not self._open:
                break
            if self._next_ready() is None:
                left = seconds - self._elapsed()
                for id, result in running.wait(None if math.isinf(left) else max(0.0, left)):
                    self._finish(id, result)
            else:
                self._report(self._next_ready())  # one at a time: the next proposal is made of what is known by then
        while (id := self._next_ready()) is not None:  # what ended in the last moment is not lost
            self._report(id)

    def _next_ready(self) -> int | None:
        """Whose result reaches the strategy next."""
        if self._ordered:
            first = next(iter(self._open), None)
            return first if first in self._ready else None
        return next(iter(self._ready), None)

    def _propose(self) -> Proposal | None:
        found = self._strategy.propose(1)
        if not found:
            return None
        if len(found) > 1 or not isinstance(found[0], Proposal) or found[0].id != self._proposed:
            raise _check.refuse("what propose(1) gives", f"one Proposal, number {self._proposed}, or none", found)
        self._proposed += 1
        self._open[found[0].id] = found[0]
        return found[0]

    def _key(self, proposal: Proposal) -> tuple:
        return self._space.canonical(proposal.tokens), proposal.budget

    def _admit(self, proposal: Proposal, running) -> None:
        """Answers a proposal from what is known, or has it evaluated."""
        key = self._key(proposal) if self._cache else (proposal.id,)
        if self._cache and key in self._known:
            self._ready[proposal.id] = self._known[key], True
        elif key in self._same:
            self._same[key].append(proposal.id)
        else:
            self._same[key] = [proposal.id]
            if proposal.id in self._finished:
                self._take(key, self._finished.pop(proposal.id))
                return
            running.submit(proposal, int(np.random.SeedSequence((self._seed, proposal.id)).generate_state(1)[0] >> 1))

    def _finish(self, id: int, result: Result) -> None:
        """Takes what an evaluation found, for all that wait for it."""
        key = next(key for key, ids in self._same.items() if ids[0] == id)
        if self._reward and result.ok:
            value = self._reward(result)
            if math.isfinite(value):
                result = dataclasses.replace(result, value=float(value))
            else:
                result = dataclasses.replace(result, status=NOT_FINITE, message=f"the reward is {value}")
        if self._ledger and self._ordered and id != next(iter(self._open)):  # it may have to wait for long
            self._ledger.add({FINISHED: id, "result": result.to_json()})
        self._take(key, result)

    def _take(self, key: tuple, result: Result) -> None:
        self._known[key] = result
        for place, waiting in enumerate(self._same.pop(key)):
            self._ready[waiting] = result, place > 0

    def _report(self, id: int) -> None:
        proposal, (result, cached) = self._open.pop(id), self._ready.pop(id)
        trial = Trial(proposal, result, cached, self._proposed, self._elapsed())
        if self._ledger:
            self._ledger.add(trial.to_json(self._space))
        self._strategy.report(id, result)
        self.trials.append(trial)
        if self._after:
            self._after(trial)

    def _elapsed(self) -> float:
        return self._before + time.monotonic() - self._began


def _name(function: Any) -> Any:
    """What tells one evaluator from another: its settings where it has some, else what it is called."""
    settings = getattr(function, "settings", None)
    own = function if hasattr(function, "__qualname__") else type(function)
    name = f"{own.__module__}.{own.__qualname__}"
    return {"name": name, **settings()} if callable(settings) else name
