"""kerascnn study."""

import json

import pytest

from kerascnn import studies
from kerascnn.cli import main


def test_a_study(tmp_path, capsys):
    options = ["--set", "schemes=he,xavier", "--set", "width=32", "--set", "activation=relu"]
    assert main(["study", "initialization", *options, "--out", str(tmp_path)]) == 0
    assert "Xavier's lose a factor" in capsys.readouterr().out
    record = json.loads((tmp_path / "study.json").read_text())
    assert record["settings"]["schemes"] == ["he", "xavier"] and record["settings"]["width"] == 32
    assert main(["study"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in studies.STUDIES)


@pytest.mark.parametrize(
    "words, told",
    [
        (["nothing", "--out", "x"], "NAME"), (["initialization"], "--out"),
        (["initialization", "--out", "x", "--set", "epochs=3"], "has the options"),
        (["initialization", "--out", "x", "--set", "width=wide"], "whole number"),
        (["initialization", "--out", "x", "--set", "width=8", "--set", "width=9"], "once"),
        (["initialization", "--out", "x", "--model", "resnet20"], "no network"),
        (["effective_field", "--out", "x"], "--model"),
    ],
)  # fmt: skip
def test_what_is_refused(words, told, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["study", *words]) != 0
    output = capsys.readouterr()
    assert told in output.err + output.out and not list(tmp_path.iterdir())
