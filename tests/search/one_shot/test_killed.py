"""SIGKILL at any moment of a search, and the same result in the end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
from conftest import stripes
from kerascnn import data
from kerascnn.search import one_shot, spaces

images, labels = stripes()
source = data.from_arrays({{part: (images, labels) for part in ("train", "validation", "test")}}, ("a", "b", "c"))
small = {{"epochs": 6, "batch_size": 16, "stages": (1, 1), "filters": 2}}
if sys.argv[1] == "darts":
    config = one_shot.DartsConfig(**small)
    one_shot.darts(spaces.Edges(("sep_3x3", "identity"), 1, concat_all=True), source, config, sys.argv[2])
elif sys.argv[1] == "smash":
    small.pop("stages")
    config = one_shot.SmashConfig(**small, growth=2, depth=1, draws=4, perturbations=1, greedy=1)
    one_shot.smash(spaces.Banks(1, 2, 2), source, config, sys.argv[2])
elif sys.argv[1] == "nao_ws":
    config = one_shot.NaoConfig(**small, every=2, pool=8, seeds=3, renewed=3, fresh=1, units=8, steps=20, finals=5)
    one_shot.nao_ws(spaces.Blocks(("sep_3x3", "identity"), 1), source, config, sys.argv[2])
else:
    config = one_shot.EnasConfig(**small, controller_steps=2, units=8, finals=5)
    one_shot.enas(spaces.Blocks(("sep_3x3", "identity"), 1), source, config, sys.argv[2])
"""


def start(script, search, out):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen([sys.executable, script, search, out], env=environment, stderr=subprocess.DEVNULL)


def rows(folder):
    found = json.loads((folder / "search.json").read_text())["rows"]
    return [{name: value for name, value in row.items() if "seconds" not in name} for row in found]


@pytest.mark.after
@pytest.mark.parametrize("search", ["darts", "enas", "smash", "nao_ws"])
def test_a_killed_search_ends_as_if_it_had_not_been(tmp_path, search):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(folder=str(Path(__file__).parent)))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(script, search, whole).wait(timeout=300) == 0
    for least, delay in ((1, 0.0), (3, 0.03)):
        process, end = start(script, search, killed), time.monotonic() + 300
        while time.monotonic() < end and process.poll() is None:
            if (killed / "search.json").exists() and len(rows(killed)) >= least:
                time.sleep(delay)
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() in (-signal.SIGKILL, 0)
    assert start(script, search, killed).wait(timeout=300) == 0
    assert rows(killed) == rows(whole) and len(rows(whole)) == 6
    if search != "smash":
        assert (killed / "genotype.json").read_text() == (whole / "genotype.json").read_text()
