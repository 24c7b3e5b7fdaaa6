"""Odd command lines and damaged run folders end in status 2 and one line, never in a traceback, in bounded memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import odd_lines

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
