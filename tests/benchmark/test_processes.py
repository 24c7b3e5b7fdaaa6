"""Subjects in processes of their own: the conversation, turns, and what is made of the figures."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kerascnn._errors import InputError
from kerascnn.benchmark import answering, processes, settings, sides
from kerascnn.benchmark.sides import Side, Timing

ANSWERING = Path(answering.__file__)
# A subject that prints, and says how often it was called.
SUBJECT = """
import sys
sys.path.append(sys.argv[1])
import answering

calls = []

def call():
    calls.append(1)
    print("what a library prints")

def prepare(subject):
    if subject["name"] == "odd":
        raise answering.Refused("no\\n such")
    return (None if subject["name"] == "nothing" else call), {"name": subject["name"], "modules": sorted(sys.modules)}

answering._REST = 0
answering.answer(prepare)
sys.stdout.flush()
sys.stderr.write(str(len(calls)))
"""


def test_a_subject_answers_and_what_it_prints_is_no_answer(tmp_path):
    script = tmp_path / "subject.py"
    script.write_text(SUBJECT)
    asked = [{"name": "a", "limit": 5, "clock": "wall"}, {"runs": 2}, {"runs": 3}]
    lines = "".join(json.dumps(record) + "\n" for record in asked)
    command = [sys.executable, str(script), str(ANSWERING.parent)]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    facts, *turns = map(json.loads, done.stdout.splitlines())
    assert facts["facts"]["name"] == "a" and not {"kerascnn", "numpy", "tensorflow"} & set(facts["facts"]["modules"])
    assert [len(turn["seconds"]) for turn in turns] == [2, 3] and all(turn["peak"] > 0 for turn in turns)
    # Three calls of warm-up, and one in each turn that does not count.
    assert done.stderr.endswith("10") and done.stderr.count("what a library prints") == 3 + 3 + 4


@pytest.mark.parametrize("name, answer", [("odd", {"refused": "no such"}), ("nothing", None)])
def test_a_subject_may_be_refused_or_have_nothing_to_time(tmp_path, name, answer):
    script = tmp_path / "subject.py"
    script.write_text(SUBJECT)
    process = processes.Process([sys.executable, str(script), str(ANSWERING.parent)])
    try:
        found = process.ask({"name": name, "limit": 5, "clock": "wall"})
        assert found == answer or (answer is None and found["facts"]["name"] == name)
        with pytest.raises(processes.Ended):
            process.ask({"runs": 1})
    finally:
        process.close()


def test_the_last_words_of_a_process_are_told():
    process = processes.Process([sys.executable, "-c", "import sys; print('{}', flush=True); sys.exit('one\\nlast')"])
    assert process.read() == {}
    with pytest.raises(processes.Ended, match="^last$"):
        process.read()
    process.close()
    process = processes.Process([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])
    with pytest.raises(processes.Ended, match="ended by signal 9"):
        process.read()
    process.close()


def test_memory_is_of_this_process():
    before = answering.memory()
    block = bytearray(64 << 20)
    block[:: 1 << 12] = b"x" * len(block[:: 1 << 12])
    after = answering.memory()
    assert after["peak"] >= after["now"] >= before["now"] + (48 << 20)


def test_the_clock_of_the_processor_does_not_run_while_one_sleeps():
    (wall,) = answering.timed(lambda: answering.time.sleep(0.05), 1)
    (own,) = answering.timed(lambda: answering.time.sleep(0.05), 1, clock="processor")
    assert wall >= 0.05 > own


class Fake:
    """A process whose figures are given."""

    def __init__(self, name, log, answers):
        self.name, self.log, self.answers = name, log, iter(answers)

    def ask(self, question):
        self.log.append((self.name, question))
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self):
        self.log.append((self.name, "closed"))


def test_sides_take_turns_and_ratios_are_of_the_same_turn():
    log = []
    scripts = {
        "a": [{"facts": {"x": 1}}, {"seconds": [1.0, 3.0], "peak": 5}, {"seconds": [10.0], "peak": 7}],
        "b": [{"facts": {}}, {"seconds": [4.0, 4.0], "peak": 1}, {"seconds": [5.0], "peak": 1}],
        "c": [{"refused": "no"}],
        "d": [{"facts": {}}, processes.Ended("crash")],
    }
    made = [Side(name, lambda n=name, s=script: Fake(n, log, s), {"of": name}) for name, script in scripts.items()]
    found = sides.in_turns(made, 2)  # two calls: two turns of one
    questions = [(name, question) for name, question in log if "of" not in question and question != "closed"]
    assert questions == [(name, {"runs": 1}) for name in ("a", "b", "d", "a", "b")]
    assert [name for name, question in log if question == "closed"] == list("abcd")
    assert log[0][1] == {"of": "a", "clock": "wall", "limit": sides.LIMIT}
    a, b = found["a"], found["b"]
    assert a.seconds == 3.0 and a.peak == 7 and a.facts == {"x": 1}
    assert b.ratio(a) == (4 / 2 + 5 / 10) / 2  # the median of two
    assert (found["c"].refused, found["c"].failed) == ("no", False)
    assert (found["d"].refused, found["d"].failed, found["d"].seconds) == ("crash", True, None)


def test_a_slow_side_has_no_further_turn():
    log = []
    script = [{"facts": {}}, {"seconds": [31.0], "peak": 1}]
    found = sides.in_turns([Side("a", lambda: Fake("a", log, script), {})], 5)
    assert found["a"].turns == [[31.0]]


def test_figures_of_a_row_by_hand():
    timing = Timing([[0.5], [0.25]], {"imported": 40_000_000, "parameters": 9, "note": "so"}, 100_000_000)
    row = settings.figures(timing, Timing([[1.0], [1.0]]), 8)
    assert row["ms"] == 375 and row["ratio"] == 0.375 and row["images_per_s"] == pytest.approx(8 / 0.375)
    assert (row["peak_mb"], row["own_mb"], row["calls"], row["note"]) == (100, 60, 2, "so")
    assert settings.cells(row, ["ms", "ratio", "peak_mb", "parameters"]) == ["375.0", "0.38", "100", "9"]
    nothing = settings.figures(Timing(refused="no", failed=True), None, 1)
    assert settings.cells(nothing, ["ms", "ratio", "images_per_s", "peak_mb", "own_mb"]) == ["-"] * 5
    assert nothing["note"] == "no" and nothing["failed"]


@pytest.mark.parametrize(
    "options, words",
    [
        ({"threads": 0}, "threads must be a whole number, at least 1"),
        ({"repeat": 0}, "repeat must be a whole number, at least 1"),
        ({"clock": "sun"}, "clock must be one of wall, processor"),
        ({"image_size": 2.5}, "image_size must be a whole number"),
    ],
)
def test_settings_are_checked(options, words):
    with pytest.raises(InputError, match=words):
        settings.Settings(**options)
