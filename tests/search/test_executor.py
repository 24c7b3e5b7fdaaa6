"""Evaluations in processes of their own: limits, crashes, kills, and what they cost."""

import concurrent.futures
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kerascnn._errors import InputError
from kerascnn.search import Cluster, Workers, run
from kerascnn.search.spaces import Choices
from kerascnn.search.strategies import Evolution, RandomSearch, Searcher

SPACE = Choices({f"a{i}": (0, 1, 2, 3) for i in range(4)})


def told(history):
    return [(t.proposal, t.value, t.cached) for t in history.trials]


class Each(Searcher):
    """All candidates in order."""

    def draw(self):
        return self.proposal((self._count,)) if self._count < self.space.size() else None


def test_trouble_is_a_failed_candidate(evaluators):
    space = Choices({"trouble": tuple(range(10))})
    workers = Workers(1, timeout=3.0, memory=600 * 2**20)
    history = run(space, Each(), evaluators.troubled, budget=10, workers=workers)
    assert [trial.result.status for trial in history.trials] == [
        "ok", "failed", "not_finite", "failed", "out_of_memory", "crashed", "crashed", "failed", "timeout",
        "out_of_memory",
    ]  # fmt: skip
    messages = [trial.result.message for trial in history.trials]
    assert messages[1] == "ValueError: two lines" and messages[2] == "the value is nan"
    assert messages[3].startswith("SystemExit") and messages[4] == "MemoryError: no more"
    assert messages[5] == messages[6] == "its process ended" and "a Result or a number" in messages[7]
    assert messages[8] == "it took longer than 3 seconds" and "MiB of memory, more than 600" in messages[9]
    assert 3 <= history.trials[8].result.seconds < 6


def test_workers_are_used_again_and_replaced(evaluators):
    def processes(workers):
        history = run(SPACE, RandomSearch(), evaluators.process, budget=9, workers=workers, cache=False)
        return [trial.result.metrics["process"] for trial in history.trials]

    kept, renewed = processes(1), processes(Workers(1, renew=3))
    assert len(set(kept)) == 1 and kept[0] != os.getpid()
    assert len(set(renewed)) == 3 and renewed[0] == renewed[2] != renewed[3]


def test_in_order_the_search_does_not_depend_on_the_workers(evaluators):
    slow = evaluators.Slow(0.01)
    one = run(SPACE, Evolution(8, 3), slow, budget=40, workers=1, ahead=3, ordered=True)
    three = run(SPACE, Evolution(8, 3), slow, budget=40, workers=3, ordered=True)
    assert told(one) == told(three)
    assert told(run(SPACE, Evolution(8, 3), slow, budget=40)) == told(
        run(SPACE, Evolution(8, 3), slow, budget=40, workers=0)
    )


def test_several_workers_work_at_the_same_time(evaluators, tmp_path):
    """Each evaluation waits until three have begun, in three processes."""
    history = run(SPACE, RandomSearch(), evaluators.Meeting(3, tmp_path), budget=3, workers=3, cache=False)
    assert history.counts() == {"ok": 3}
    assert len({trial.result.metrics["process"] for trial in history.trials}) == 3


def test_the_time_of_the_budget_ends_what_is_under_way(evaluators, tmp_path):
    began = time.monotonic()
    history = run(SPACE, RandomSearch(), evaluators.Slow(60, tmp_path), budget="2s")
    assert history.trials == [] and time.monotonic() - began < 10
    assert ended(tmp_path)


def numbers(folder):
    return [int(file.name) for file in Path(folder).iterdir() if file.name.isdigit()]


def ended(folder, seconds=10.0):
    """Whether the workers that left their number in a folder end in time."""
    found, until = numbers(folder), time.monotonic() + seconds
    while any(Path(f"/proc/{number}").exists() for number in found) and time.monotonic() < until:
        time.sleep(0.05)
    return found and not any(Path(f"/proc/{number}").exists() for number in found)


DRIVER = """
import sys
from search_evaluators import Slow
from kerascnn.search import run
from kerascnn.search.spaces import Choices
from kerascnn.search.strategies import Evolution

if __name__ == "__main__":
    space = Choices({f"a{i}": (0, 1, 2, 3) for i in range(4)})
    slow, count, workers = Slow(0.03, sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    run(space, Evolution(8, 3), slow, budget=count, out=sys.argv[1], workers=workers)
"""


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.after)])
def test_kill_the_driver_again_and_again(evaluators, tmp_path, workers):
    """No finished evaluation is lost, no worker is left, and on one worker the search is the uninterrupted one."""
    script, out, folder = tmp_path / "driver.py", tmp_path / "out", tmp_path / "numbers"
    script.write_text(DRIVER)
    folder.mkdir()
    journal, total, rng = out / "search.jsonl", 100, random.Random(0)
    command = [sys.executable, str(script), str(out), str(folder), str(total), str(workers)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    kept = []
    for _ in range(4):
        driver = subprocess.Popen(command, env=environment)
        wanted = len(kept) + rng.randint(3, 8)
        until = time.monotonic() + 60
        while time.monotonic() < until and driver.poll() is None:
            if journal.exists() and len(journal.read_bytes().splitlines()) > 1 + wanted:
                break
            time.sleep(0.002)
        time.sleep(rng.random() * 0.05)
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        rows = [json.loads(line) for line in journal.read_bytes().rpartition(b"\n")[0].splitlines()[1:]]
        assert rows[: len(kept)] == kept and wanted <= len(rows) < total
        kept = rows
    assert ended(folder)
    subprocess.run(command, env=environment, check=True)
    rows = [json.loads(line) for line in journal.read_text().splitlines()[1:]]
    assert rows[: len(kept)] == kept and len(rows) == total and ended(folder)
    assert sorted(row["id"] for row in rows) == list(range(total))
    if workers == 1:
        whole = run(SPACE, Evolution(8, 3), evaluators.seeded, budget=total, workers=0)
        assert [(row["id"], row["result"]["value"]) for row in rows] == [(t.proposal.id, t.value) for t in whole.trials]


def test_kill_workers_again_and_again(evaluators, tmp_path):
    """At work it is a candidate that failed; at rest nothing is lost; the search ends."""
    rng, killed = random.Random(0), []

    def after(trial):
        if trial.proposal.id % 5 == 0:
            alive = [n for n in numbers(tmp_path) if n not in killed and Path(f"/proc/{n}").exists()]
            if alive:
                killed.append(rng.choice(alive))
                os.kill(killed[-1], signal.SIGKILL)

    history = run(
        SPACE, RandomSearch(), evaluators.Slow(0.02, tmp_path), budget=50, workers=2, cache=False, after=after
    )
    counts = history.counts()
    assert len(history.trials) == 50 and len(killed) >= 3
    assert counts.get("crashed", 0) <= len(killed) and counts["ok"] >= 50 - len(killed)


def test_an_executor_of_ones_own(evaluators):
    with concurrent.futures.ThreadPoolExecutor(3) as executor:
        cluster = run(SPACE, Evolution(8, 3), evaluators.seeded, budget=40, workers=Cluster(executor, 3), ordered=True)
        failing = run(SPACE, RandomSearch(), evaluators.broken, budget=3, workers=Cluster(executor, 1))
    here = run(SPACE, Evolution(8, 3), evaluators.seeded, budget=40, workers=0, ahead=3, ordered=True)
    assert told(cluster) == told(here) and failing.counts() == {"failed": 3}
    with pytest.raises(InputError, match="executor must be like those of concurrent.futures"):
        Cluster("address:8786", 2)


def test_a_lost_machine_is_a_failed_candidate(evaluators):
    class Lossy:
        def submit(self, function, *arguments):
            future = concurrent.futures.Future()
            future.set_exception(ConnectionError("the worker is gone"))
            return future

    history = run(SPACE, RandomSearch(), evaluators.total, budget=3, workers=Cluster(Lossy(), 1))
    assert [t.result.message for t in history.trials] == ["ConnectionError: the worker is gone"] * 3


def test_what_cannot_be_sent_to_a_process_is_said(evaluators, monkeypatch):
    with pytest.raises(InputError, match="must be such that processes can be given them: .* no lambdas. Received: "):
        run(SPACE, RandomSearch(), lambda row, budget, seed: 1.0, budget=1)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if "modules" not in path])
    with pytest.raises(InputError, match='must be able to import the evaluator; .* if __name__ == "__main__"'):
        run(SPACE, RandomSearch(), evaluators.total, budget=1)
