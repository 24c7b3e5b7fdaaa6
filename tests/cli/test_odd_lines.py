"""Odd command lines and damaged run folders end in status 2 and one line, never in a traceback, in bounded memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import odd_lines
import pytest

from kerascnn.cli import command

BASES = {
    "benchmark": ["--only=no_such_op"],
    "completion": ["tcsh"],
    "evaluate": ["--checkpoint=no_run"],
    "explain": ["--checkpoint=no_run", "--out=out"],
    "export": ["--checkpoint=no_run", "--out=out"],
    "info": [],
    "list": ["no_such_network"],
    "predict": ["--checkpoint=no_run"],
    "runs": ["no_such_folder"],
    "search": ["--model=lenet5", "--data=digits", "--data_dir=/no/where", "--out=out"],
    "train": ["--model=lenet5", "--data=digits", "--data_dir=/no/where", "--out=out"],
}


def faults(lines, folder):
    """Runs labeled lines in a process of their own and says which did not end in status 2 and one line."""
    asked, answered = folder / "lines.json", folder / "results.json"
    asked.write_text(json.dumps(list(lines.values())))
    work = folder / "work"
    work.mkdir()
    program = [sys.executable, odd_lines.__file__, str(asked), str(answered)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(ROOT))))}
    done = subprocess.run(program, cwd=work, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads(answered.read_text())
    found = []
    for label, result in zip(lines, results, strict=True):
        error = result["err"]
        sound = not result["raised"] and (
            (result["status"] == 2 and error.startswith("kerascnn: ") and error.count("\n") == 1 and len(error) < 2000)
            or (result["status"] == 0 and not error)
        )
        if not sound:
            found.append(f"{label}: status {result['status']}, {error[-300:]!r} {result['raised'][-400:]}")
    return found, results


ROOT = Path(__file__).parents[2]


def test_every_flag_with_odd_values(tmp_path):
    lines = {}
    for name, found in command.find().items():
        lines |= odd_lines.lines_of(found, BASES.get(name, []))
    assert len(lines) > 400
    found, results = faults(lines, tmp_path)
    assert not found, f"{len(found)} of {len(lines)}:\n" + "\n".join(found)
    assert sum(result["status"] == 2 for result in results) > 0.9 * len(lines)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    from kerascnn import cli

    out = tmp_path_factory.mktemp("run") / "lenet"
    line = "train --model lenet5 --data digits --limit 32 --epochs 1 --batch-size 32 --image_size 32 --out"
    assert cli.main([*line.split(), str(out)]) == 0
    return out


@pytest.mark.after
def test_damaged_run_folders(run, tmp_path):
    config = json.loads((run / "config.json").read_text())
    train = "train --model lenet5 --data digits --limit 32 --epochs 1 --batch-size 32 --image_size 32 --out"
    lines, folders = {}, tmp_path / "folders"

    def add(label, name, contents, *commands):
        folder = odd_lines.copy_run(run, folders / str(len(lines)))
        (folder / name).write_bytes(contents)
        for words in commands:
            lines[f"{words[0]}: {name} {label}"] = [*words, str(folder)]

    resume, evaluate, export = (
        train.split(), ["evaluate", "--limit=1", "--checkpoint"], ["export", f"--out={os.devnull}/x", "--checkpoint"]
    )  # fmt: skip
    for label, record in odd_lines.damaged(config):
        reader = resume if label.startswith(("training", "asked", "kerascnn")) else evaluate
        add(label, "config.json", json.dumps(record).encode(), reader)
    for label, contents in odd_lines.broken((run / "config.json").read_text()):
        add(label, "config.json", contents, resume, evaluate, export)
    history = (run / "history.csv").read_text()
    for label, contents in odd_lines.broken(history):
        add(label, "history.csv", contents, resume)
    names, values = (line.split(",") for line in history.split())
    for index, name in enumerate(names):
        for label, value in {"empty": "", "text": "[/b]", "nan": "nan", "huge": "1e400", "negative": "-1"}.items():
            changed = [*values[:index], value, *values[index + 1 :]]
            add(f"{name} {label}", "history.csv", "\n".join(map(",".join, (names, changed, []))).encode(), resume)
        kept = [[*row[:index], *row[index + 1 :]] for row in (names, values)]
        add(f"{name} missing", "history.csv", "\n".join(map(",".join, (*kept, []))).encode(), resume)
    found, _ = faults(lines, tmp_path)
    assert not found, f"{len(found)} of {len(lines)}:\n" + "\n".join(found)
