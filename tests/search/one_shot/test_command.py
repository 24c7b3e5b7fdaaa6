"""kerascnn search with shared weights: begun, resumed, shown, its result trained; what cannot be used in one line."""

import json

import numpy as np
import pytest

from kerascnn import InputError, cli, search
from kerascnn.search import catalogue
from kerascnn.search.one_shot import command

LINE = ["--space", "banks(1)", "--data", "digits", "--limit", "200", "--epochs", "1", "--filters", "2", "--batch_size",
        "32"]  # fmt: skip
SMALL = ["draws=2", "perturbations=1", "greedy=1", "growth=2", "depth=1", "augment=none", "final_batches=1"]


def called(capsys, *words):
    assert cli.main([str(word) for word in words]) == 0
    return " ".join(capsys.readouterr().out.split())


def refused(capsys, *words):
    assert cli.main([str(word) for word in words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("kerascnn: ") and error.count("\n") == 1, error
    return error


def test_a_search_is_begun_resumed_shown_and_trained(tmp_path, capsys):
    options = [word for each in SMALL for word in ("--option", each)]
    folder = tmp_path / "found"
    text = called(capsys, "search", "smash", *LINE, *options, "--out", folder)
    assert "epoch 1 of 1: loss" in text and "1 epochs in" in text
    best = search.load_best(folder)
    finals = json.loads((folder / "search.json").read_text())["rows"][-1]["finals"]
    assert best.value == finals[0][0] and best.space.to_json(best.tokens) == finals[0][1]
    assert best.build((8, 8, 1), classes=10)(np.zeros((2, 8, 8, 1))).shape == (2, 10)
    before = (folder / "search.json").read_bytes()
    called(capsys, "search", "resume", folder)
    assert (folder / "search.json").read_bytes() == before
    text = called(capsys, "search", "show", folder)
    assert "smash on digits" in text and "loss" in text and "writes" in text
    assert (folder / "best.png").read_bytes().startswith(b"\x89PNG")
    assert "another search: seed was 0, now 1" in refused(
        capsys, "search", "smash", *LINE, *options, "--out", folder, "--seed", "1"
    )
    text = called(capsys, "search", "train", folder, "--epochs", "1", "--limit", "64", "--out", tmp_path / "run")
    assert "best: epoch 1 of 1" in text


@pytest.mark.parametrize(
    "words, says",
    [
        (["darts"], "needs --data and --out"),
        (["enas", *LINE], "needs --out"),
        (["smash", *LINE, "--out", "a", "--budget", "4"], "alone. Received: --budget"),
        (["nao_ws", *LINE, "--out", "a", "--recipe", "darts"], "alone. Received: --recipe"),
        (["darts", *LINE, "--out", "a", "--option", "epochs=3"], "Received: --epochs and --option epochs"),
        (["darts", *LINE, "--out", "a", "--option", "unit=3"], "option must be one of epochs, batch_size, stages"),
        (["darts", *LINE, "--out", "a", "--option", "order=third"], "order must be one of first, second"),
        (["darts", *LINE, "--out", "a"], "space must be an Edges space"),
        (["smash", *LINE[2:], "--space", "darts", "--out", "a"], "space must be a Banks space"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(words, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert says in refused(capsys, "search", *words)
    assert not (tmp_path / "a" / "search.json").exists()


def test_configurations_from_text():
    assert set(command.KINDS) == set(catalogue.ONE_SHOT)
    made = command.config("darts", {"stages": "(1, 2)", "most_skips": "2", "augment": "none", "zero": "false"})
    assert (made.stages, made.most_skips, made.augment, made.zero) == ((1, 2), 2, "none", False)
    assert command.config("nao_ws", {"rate": "1"}).rate == 1.0
    with pytest.raises(InputError, match="most_skips must be a value such as 3"):
        command.config("darts", {"most_skips": "few"})
    for kind in command.KINDS.values():
        assert catalogue.space(kind.space).sizes
