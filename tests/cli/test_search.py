"""kerascnn search: begun, resumed, shown, its best network trained and measured; what cannot be used in one line."""

import json

import numpy as np
import pytest

from kerascnn import InputError, cli, search
from kerascnn.search import catalogue, session

LINE = ["--space", "space.json", "--data", "digits", "--limit", "64", "--epochs", "1", "--filters", "2",
        "--batch_size", "32", "--workers", "0"]  # fmt: skip

MACRO = [*LINE[2:], "--space", "macro", "--out", "a"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A search by evolution of four trials, and the folder that it was begun in."""
    home = tmp_path_factory.mktemp("searches")
    fields = {"one": ["conv_3x3", "max_3x3"], "two": ["identity", "conv_1x1"]}
    (home / "space.json").write_text(json.dumps(fields))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        words = ["search", "evolution", *LINE, "--option", "population=2", "--option", "sample=1"]
        assert cli.main([*words, "--budget", "4", "--out", "found"]) == 0
    return home


def called(capsys, *words):
    assert cli.main([str(word) for word in words]) == 0
    return " ".join(capsys.readouterr().out.split())


def refused(capsys, *words):
    assert cli.main([str(word) for word in words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("kerascnn: ") and error.count("\n") == 1, error
    return error


def test_the_folder_says_what_was_found(folder):
    rows = (folder / "found" / "search.jsonl").read_text().splitlines()[1:]
    values = [json.loads(row)["result"]["value"] for row in rows]
    assert len(rows) == 4 and all(0 <= value <= 1 for value in values)
    best = search.load_best(folder / "found")
    assert best.value == max(values)
    model = best.build((8, 8, 1), classes=10)
    assert model(np.zeros((2, 8, 8, 1))).shape == (2, 10) and model.layers[1].filters == 2


def test_it_goes_on_and_is_shown(folder, capsys):
    before = (folder / "found" / "search.jsonl").read_bytes()
    text = called(capsys, "search", "resume", folder / "found", "--budget", "6")
    assert "6 trials" in text and "candidates a minute" in text
    after = (folder / "found" / "search.jsonl").read_bytes()
    assert after.startswith(before) and after.count(b"\n") == 7
    text = called(capsys, "search", "show", folder / "found")
    assert "6 trials" in text and "Pareto front with macs" in text and "one │" in text
    for name in ("history", "front", "genealogy", "best"):
        assert (folder / "found" / f"{name}.png").read_bytes().startswith(b"\x89PNG"), name


def test_another_search_in_the_folder_is_refused(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    text = refused(capsys, "search", "random", *LINE, "--budget", "4", "--out", "found")
    assert "another search: strategy was evolution, now random" in text


@pytest.mark.after
def test_the_best_is_trained_measured_and_exported(folder, tmp_path, capsys):
    words = ["--epochs", "2", "--limit", "64", "--out", tmp_path / "run"]
    text = called(capsys, "search", "train", folder / "found", *words)
    assert "best: epoch" in text
    text = called(capsys, "evaluate", "--checkpoint", tmp_path / "run", "--out", tmp_path / "measured")
    assert 0 <= json.loads((tmp_path / "measured" / "evaluation.json").read_text())["top1"] <= 1
    called(capsys, "export", "--checkpoint", tmp_path / "run", "--out", tmp_path / "exported")
    assert list((tmp_path / "exported").rglob("saved_model.pb"))


@pytest.mark.parametrize(
    "words, says",
    [
        (["search"], "needs STRATEGY"),
        (["search", "evolve"], "What can be searched by is random, local, evolution"),
        (["search", "random"], "needs --space and --data and --out"),
        (["search", "show"], "needs the folder of a search"),
        (["search", "show", "no/where"], "must be a file; there is none"),
        (["search", "compound", "--data", "digits"], "needs --model and --out"),
        (["search", "random", "more"], "takes flags only. Received: more"),
        (["search", "random", "--space", "darts(x)"], "needs --data and --out"),
        (["search", "random", "--space", "dart", "--data", "digits", "--out", "a"], "space must be one of macro"),
        (["search", "random", "--space", "hierarchical(3)", "--data", "digits", "--out", "a"], "which has one size"),
        (["search", "ppo", *MACRO, "--option", "rat=1"], "option must be one of rate"),
        (["search", "ppo", *MACRO, "--option", "rate"], "takes KEY=VALUE"),
        (["search", "ppo", *MACRO, "--option", "batch=1.5"], "a value such as 20"),
        (["search", "random", *MACRO, "--model", "no_such_network"], "no_such_network"),
        (["search", "random", *MACRO, "--data", "no_such_data"], "no_such_data"),
        (["search", "random", *MACRO, "--recipe", "darts", "--set", "loss=dice"], "loss"),
        (["search", "random", *MACRO, "--timeout", "9"], "timeout must be None without workers"),
        (["search", "pnas", *MACRO], "space must be a Growing space"),
        (["search", "random", *MACRO, "--ema", "0.9"], "ema is a setting of whole"),
        (["search", "random", *MACRO, "--budget", "20x"], "budget must be a number"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(words, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert says in refused(capsys, *words)
    assert not (tmp_path / "a" / "search.json").exists()


def test_strategies_with_options():
    made = catalogue.strategy("hyperband", {"strategy": "evolution", "population": "7", "factor": "2"}, largest=8)
    assert (made.strategy.population, made.factor, made.largest, made.smallest) == (7, 2, 8.0, 1.0)
    assert catalogue.strategy("reinforce", {"leave_one_out": "true", "batch": "4"}).leave_one_out is True
    with pytest.raises(InputError, match="one that halving can wrap"):
        catalogue.strategy("halving", {"strategy": "hyperband"})
    assert catalogue.space("darts(2)").settings() == search.spaces.darts(2).settings()
    assert all(space().size() > 1 for name, space in catalogue.SPACES.items() if name != "pnas_growing")


def test_the_lines_while_it_searches():
    class Lines:
        def __init__(self):
            self.texts = []

        def print(self, text, **options):
            self.texts.append(text)

    lines, ok = Lines(), [search.Result(value) for value in (0.5, 0.4, 0.6)]
    with session.Progress(lines, 10) as progress:
        for number, result in enumerate(ok):
            progress(search.Trial(search.Proposal(number, (0,)), result, False, number + 1, float(number)))
    assert len(lines.texts) == 3 and "trial 3: 0.6000, best 0.6000" in lines.texts[1]
    assert "candidates a minute" in lines.texts[0] and "left" in lines.texts[0]
    assert session._duration(3723) == "1:02:03" and session._duration(63) == "1:03"
