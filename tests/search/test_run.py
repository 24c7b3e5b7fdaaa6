"""The loop of a search in this process: budgets, the journal, the cache, and resuming."""

import concurrent.futures
import dataclasses
import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from kerascnn._errors import InputError
from kerascnn.search import Cluster, History, Result, Workers, run
from kerascnn.search.spaces import Choices, pnas
from kerascnn.search.strategies import Evolution, Hyperband, LocalSearch, RandomSearch, Reinforce, Searcher

SPACE = Choices({f"a{i}": (0, 1, 2, 3) for i in range(4)})
EVOLUTION = {"population": 8, "sample": 3}


def seeded(row, budget, seed):
    noise = float(np.random.default_rng(seed).normal())
    return Result(sum(row.values()) + noise, {"noise": noise}, {"macs": 1.0 + row["a0"]})


def told(history):
    """Everything but times."""
    return [(t.proposal, t.value, t.result.status, t.result.metrics, t.cached, t.proposed) for t in history.trials]


def lines(folder):
    return [json.loads(line) for line in (folder / "search.jsonl").read_text().splitlines()]


def test_the_same_seed_gives_the_same_search(tmp_path):
    first = run(SPACE, Evolution(**EVOLUTION), seeded, budget=60, workers=0, seed=3)
    again = run(SPACE, Evolution(**EVOLUTION), seeded, budget=60, workers=0, seed=3, out=tmp_path)
    other = run(SPACE, Evolution(**EVOLUTION), seeded, budget=60, workers=0, seed=4)
    assert len(first.trials) == 60 and told(first) == told(again) != told(other)
    read = History.read(tmp_path, SPACE)
    assert told(read) == told(first) and read.best()[0].proposal == first.best()[0].proposal
    assert lines(tmp_path)[0]["settings"]["strategy"] == {**Evolution(**EVOLUTION).settings()}


@pytest.mark.parametrize("make", [lambda: Evolution(**EVOLUTION), lambda: Reinforce(batch=3), LocalSearch,
                                  lambda: Hyperband(RandomSearch(), largest=9)])  # fmt: skip
@pytest.mark.parametrize("ahead", [1, 3])
def test_a_resumed_search_is_the_uninterrupted_one(tmp_path, make, ahead):
    whole = run(SPACE, make(), seeded, budget=70, workers=0, ahead=ahead)

    class Killed(Exception):
        pass

    for stop in (1, 13, 14, 40):
        evaluated = []

        def after(trial, stop=stop, evaluated=evaluated):
            evaluated.append(trial.proposal.id)
            if trial.proposal.id >= stop:
                raise Killed

        with pytest.raises(Killed):
            run(SPACE, make(), seeded, budget=70, workers=0, ahead=ahead, out=tmp_path, after=after)
    rest = []
    resumed = run(SPACE, make(), seeded, budget=70, workers=0, ahead=ahead, out=tmp_path, after=rest.append)
    assert told(resumed) == told(whole) and len(rest) < 35
    assert told(run(SPACE, make(), unwanted, budget=70, workers=0, out=tmp_path)) == told(whole)


unwanted = seeded  # by name the same evaluator


def test_a_longer_budget_goes_on_and_a_spent_one_evaluates_nothing(tmp_path):
    calls = []

    def counted(row, budget, seed):
        calls.append(row)
        return seeded(row, budget, seed)

    for budget, total in ((10, 10), (10, 10), (5, 10), (25, 25)):
        history = run(SPACE, RandomSearch(), counted, budget=budget, workers=0, out=tmp_path, cache=False)
        assert len(history.trials) == len(calls) == total
    assert told(history) == told(run(SPACE, RandomSearch(), seeded, budget=25, workers=0, cache=False))


def test_half_a_line_is_no_finished_evaluation(tmp_path):
    whole = run(SPACE, Evolution(**EVOLUTION), seeded, budget=20, workers=0, out=tmp_path)
    file = tmp_path / "search.jsonl"
    text = file.read_bytes()
    for cut in range(1, len(text.splitlines(keepends=True)[-1])):
        file.write_bytes(text[:-cut])
        assert len(History.read(tmp_path, SPACE).trials) == 19
    resumed = run(SPACE, Evolution(**EVOLUTION), seeded, budget=20, workers=0, out=tmp_path)
    assert told(resumed) == told(whole) and len(lines(tmp_path)) == 21
    file.write_bytes(text[:20])  # killed while the first line was written
    assert told(run(SPACE, Evolution(**EVOLUTION), seeded, budget=20, workers=0, out=tmp_path)) == told(whole)


def test_damage_and_other_searches_are_refused(tmp_path):
    run(SPACE, Evolution(**EVOLUTION), seeded, budget=20, workers=0, out=tmp_path)
    file = tmp_path / "search.jsonl"
    text = file.read_bytes()
    again = {"budget": 20, "workers": 0, "out": tmp_path}
    for change, words in (
        ({"seed": 1}, "seed was 0, now 1"),
        ({"strategy": Evolution(population=9, sample=3)}, "strategy.population was 8, now 9"),
        ({"space": Choices({"a": (1, 2)})}, "space.fields.a was null"),
        ({"reward": lambda result: 1.0}, "reward was null, now"),
        ({"cache": False}, "cache was true, now false"),
    ):
        arguments = {"space": SPACE, "strategy": Evolution(**EVOLUTION), "evaluator": seeded, **again, **change}
        with pytest.raises(InputError, match=f"The folder holds another search: .*{words}.* Received: "):
            run(**arguments)
    with pytest.raises(InputError, match="The space must be the one that was searched"):
        History.read(tmp_path, Choices({"a": (1, 2)}))
    rows = text.splitlines(keepends=True)
    for damaged, words in (
        (b"".join([*rows[:5], b"{\n", *rows[5:]]), "damaged .line 6."),
        (b"[1]\n" + text, "damaged .line 1."),
        (text.replace(b'"kerascnn search"', b'"other"'), 'must begin with "format"'),
        (text.replace(b'"version":1', b'"version":2'), "The version of a journal must be 1. Received: 2"),
        (b"".join([*rows[:5], b'{"id":4}\n', *rows[5:]]), "a line of the journal must be"),
        (b"".join([*rows[:5], *rows[6:]]), "must propose again what it did"),
        (b"".join([rows[0], *rows[2:]]), "must propose again what it did"),
    ):
        file.write_bytes(damaged)
        with pytest.raises(InputError, match=words):
            run(SPACE, Evolution(**EVOLUTION), seeded, **again)
        assert file.read_bytes() == damaged
    with pytest.raises(InputError, match="cannot be read .No such file"):
        History.read(tmp_path / "nowhere", SPACE)


def test_settings_that_are_no_json_are_refused(tmp_path):
    @dataclasses.dataclass(eq=False)
    class Weighted(RandomSearch):
        weights: object = None

    with pytest.raises(InputError, match="settings must be plain JSON values. Received: "):
        run(SPACE, Weighted(np.ones(2)), seeded, budget=1, workers=0, out=tmp_path)
    assert not (tmp_path / "search.jsonl").exists()


def test_one_process_writes_a_journal(tmp_path):
    program = (
        "import sys\nfrom kerascnn.search import run\nfrom kerascnn.search.spaces import Choices\n"
        "from kerascnn.search.strategies import RandomSearch\n"
        "run(Choices({'a': (1,)}), RandomSearch(), lambda *_: 1.0, budget=1, workers=0, out=sys.argv[1])"
    )

    def after(trial):
        done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True)
        assert "A journal must be written by one process; another one has it open" in done.stderr

    run(SPACE, RandomSearch(), seeded, budget=1, workers=0, out=tmp_path, after=after)
    assert len(lines(tmp_path)) == 2


def test_what_waits_for_its_turn_is_kept_too(tmp_path):
    """Results that come before that of an earlier proposal are on the disk, and not evaluated again."""
    gate, calls = threading.Event(), []
    first = int(np.random.SeedSequence((0, 0)).generate_state(1)[0] >> 1)

    def counted(row, budget, seed):
        calls.append(seed)
        if seed == first:
            gate.wait(60)
        return seeded(row, budget, seed)

    settings = {"ordered": True, "ahead": 4, "out": tmp_path}
    with concurrent.futures.ThreadPoolExecutor(4) as executor:
        ended = run(SPACE, Evolution(**EVOLUTION), counted, budget="1s", workers=Cluster(executor, 4), **settings)
        gate.set()
    assert ended.trials == History.read(tmp_path, SPACE).trials == []
    assert sorted(row["finished"] for row in lines(tmp_path)[1:]) == [1, 2, 3]
    resumed = run(SPACE, Evolution(**EVOLUTION), counted, budget=30, workers=0, **settings)
    whole = run(SPACE, Evolution(**EVOLUTION), seeded, budget=30, workers=0, **{**settings, "out": None})
    assert told(resumed) == told(whole)
    assert calls.count(first) == 2 and len(set(calls)) == len(calls) - 1


def test_duplicates_are_answered_from_the_cache():
    space, calls = pnas(1), []

    def counted(genotype, budget, seed):
        calls.append(str(genotype))
        return float(len(calls))

    history = run(space, RandomSearch(), counted, budget=400, workers=0, ahead=5)
    assert len(history.trials) == 400 and history.counts() == {"ok": len(calls), "cached": 400 - len(calls)}
    assert len(calls) <= 136  # the same network written otherwise is the same
    first = {}
    for trial in history.trials:
        value = first.setdefault(space.canonical(trial.tokens), trial.value)
        assert trial.value == value
    assert len(history.best(1000)) == len(first) == len(calls)


def test_another_budget_is_another_evaluation():
    calls = []

    def counted(row, budget, seed):
        calls.append((row, budget))
        return budget + row["a0"]

    history = run(SPACE, Hyperband(RandomSearch(), largest=9), counted, budget=40, workers=0)
    assert {budget for _, budget in calls} == {1, 3, 9} and len(set(calls)) == len(calls)
    assert {trial.proposal.budget for trial in history.best(5)} == {9}
    line = history.lineage(history.best()[0])
    assert [trial.proposal.budget for trial in line] == [1, 3, 9][-len(line) :]


def test_failed_candidates_are_counted_and_not_tried_again():
    calls = []

    def fails(row, budget, seed):
        calls.append(row)
        raise ValueError("not today")

    history = run(Choices({"a": (1, 2)}), RandomSearch(), fails, budget=20, workers=0)
    assert len(calls) == 2 and history.counts() == {"failed": 2, "cached": 18} and history.best() == []
    assert history.trials[0].result.message == "ValueError: not today" and history.curve()[-1] == -np.inf


def test_rewards_of_several_aims():
    def reward(result):
        return result.metrics["noise"] / result.cost["macs"] if result.cost["macs"] < 4 else float("nan")

    history = run(SPACE, RandomSearch(), seeded, budget=40, workers=0, reward=reward)
    for trial in history.trials:
        if trial.result.cost["macs"] < 4:
            assert trial.value == pytest.approx(trial.result.metrics["noise"] / trial.result.cost["macs"])
        else:
            assert trial.result.status == "not_finite" and trial.result.message == "the reward is nan"
    assert len({trial.result.status for trial in history.trials}) == 2


def test_a_strategy_that_ends_ends_the_search():
    class Ten(Searcher):
        def draw(self):
            return self.proposal(self.space.sample(self.rng)) if self._count < 10 else None

    assert len(run(SPACE, Ten(), seeded, budget=50, workers=0).trials) == 10


def test_a_strategy_that_miscounts_is_refused():
    class Wrong(Searcher):
        def draw(self):
            return self.proposal((0, 0, 0, 0))

        def propose(self, n=1):
            return super().propose(2)

    with pytest.raises(InputError, match="what propose.1. gives must be one Proposal, number 0, or none. Received: "):
        run(SPACE, Wrong(), seeded, budget=3, workers=0)

    class Invalid(Searcher):
        def draw(self):
            return self.proposal((9, 9))

    with pytest.raises(InputError, match="a candidate of the space .it has 2 tokens instead of 4."):
        run(SPACE, Invalid(), seeded, budget=3, workers=0)


def test_time_is_a_budget_and_goes_on_after_a_pause(tmp_path):
    def slow(row, budget, seed):
        time.sleep(0.05)
        return seeded(row, budget, seed)

    settings = {"workers": 0, "cache": False, "out": tmp_path}
    first = run(SPACE, RandomSearch(), slow, budget="0.4s", **settings)
    assert 1 <= len(first.trials) <= 8
    assert len(run(SPACE, RandomSearch(), slow, budget="0.4s", **settings).trials) == len(first.trials)
    second = run(SPACE, RandomSearch(), slow, budget="1s", **settings)
    assert len(first.trials) < len(second.trials) <= 20
    elapsed = [trial.elapsed for trial in second.trials]
    assert elapsed == sorted(elapsed) and elapsed[-1] > 0.5


def test_no_evaluator_sees_tensorflow():
    """What searches needs neither TensorFlow nor Keras."""
    program = (
        "import sys\nfrom kerascnn.search import run\nfrom kerascnn.search.spaces import nasnet, Choices\n"
        "from kerascnn.search.strategies import Evolution\n"
        "space = nasnet()\nstrategy = Evolution(5, 2)\nstrategy.begin(space, 0)\nstrategy.propose(3)\n"
        "run(Choices({'a': (1, 2)}), strategy, lambda row, budget, seed: row['a'], budget=9, workers=0)\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"space": "cells"}, "space must be a space"),
        ({"strategy": "evolution"}, "strategy must be a strategy"),
        ({"evaluator": None}, "evaluator must be a function. Received: evaluator=None"),
        ({"budget": 0}, 'budget must be a number of trials, at least 1, or a time, such as "90s"'),
        ({"budget": "20 minutes"}, "budget must be"),
        ({"budget": "0s"}, "budget must be"),
        ({"budget": 1.5}, "budget must be"),
        ({"seed": -1}, "seed must be"),
        ({"workers": -1}, "count must be"),
        ({"ahead": 0}, "ahead must be a whole number, at least 1"),
        ({"workers": 4, "ahead": 2}, "ahead must be a whole number, at least 4"),
        ({"ordered": 1}, "ordered must be True or False"),
        ({"after": 1}, "after must be a function"),
    ],
)
def test_bad_arguments(change, words):
    arguments = {"space": SPACE, "strategy": RandomSearch(), "evaluator": seeded, "budget": 1, "workers": 0, **change}
    with pytest.raises(InputError, match=words):
        run(**arguments)


def test_bad_results_and_limits():
    for arguments in (
        (float("nan"),),
        (1.0, {"a": float("inf")}),
        (1.0, [1]),
        (1.0, {}, {}, -1.0),
        (1.0, {}, {}, 0.0, "x"),
    ):
        with pytest.raises(InputError, match="must be"):
            Result(*arguments)
    result = Result(0.5, {"accuracy": 0.5}, {"macs": 3}, 2.5)
    assert Result.from_json(json.loads(json.dumps(result.to_json()))) == result
    with pytest.raises(InputError, match="record must be"):
        Result.from_json({"value": 1.0})
    for limits in ({"count": 0, "timeout": 1}, {"timeout": 0}, {"memory": 0}, {"renew": 0}, {"count": 1.5}):
        with pytest.raises(InputError, match="must be"):
            Workers(**limits)
