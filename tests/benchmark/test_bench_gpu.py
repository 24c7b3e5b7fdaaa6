"""tools/bench_gpu.py without a GPU: what it says then, its table from invented figures, its checks where torch is."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "bench_gpu.py"
PEERS_PYTHON = os.environ.get("KERASCNN_PEERS_PYTHON")


@pytest.fixture(scope="module")
def tool():
    """The tool as a module; it imports torch only when it measures."""
    spec = importlib.util.spec_from_file_location("bench_gpu", TOOL)
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_gpu"] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    yield module
    del sys.modules["bench_gpu"]


def test_a_line_says_that_there_is_no_gpu(tool, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert tool.main([]) == 2
    error = capsys.readouterr().err
    assert error.startswith("bench_gpu: no GPU can be used, because") and error.endswith("has no torch\n")
    cuda = SimpleNamespace(is_available=lambda: False)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(__version__="9.9", cuda=cuda))
    assert tool.main(["--only", "lrn"]) == 2
    assert capsys.readouterr().err == "bench_gpu: no GPU was found: torch 9.9 sees none\n"


def test_lines_of_the_table(tool):
    row = tool.Row("lrn 1x2x3x4 forward", "float32", 2e-7, 1e-7, 12e-6, 48e-6, 10e-6, "floor 1.3")
    assert row.right()
    figures = row.line()[len("lrn 1x2x3x4 forward") :].split()
    assert figures == ["float32", "2.0e-07", "1.0e-07", "12.0", "48.0", "0.25", "10.0", "1.20", "floor", "<=", "1.3:",
                       "yes"]  # fmt: skip
    assert len(tool.HEAD) == len(row.line().split("  floor <=")[0]) + len("  target")
    late = tool.Row("deform", "bfloat16", 1e-2, 1e-2, 30e-6, 50e-6, 10e-6, "ratio 0.5", star=True)
    assert "50.0*" in late.line() and late.line().endswith("ratio <= 0.5: no")
    assert tool.Row("conv2d", "float32", 1e-6, 1e-7).line().split()[-1] == "1.0e-07"  # nothing was timed
    wrong = [tool.Row("conv2d", "float32", error, 1e-7) for error in (1e-3, float("nan"), float("inf"))]
    assert not any(row.right() for row in wrong) and all(row.line().endswith("WRONG") for row in wrong)
    assert tool.Row("conv2d", "float32", 1e-3, 3e-4).right()


def test_bytes_of_the_floor(tool):
    op = tool.Op("conv", {"x": (1, 2, 3, 4), "w": (1, 1, 4, 5)}, (1, 2, 3, 5), None, None, None, last=True)
    assert op.bytes(False, 4) == 4 * (24 + 20 + 30)
    assert op.bytes(True, 2) == 2 * (3 * (24 + 20) + 2 * 30)  # inputs twice read, gradients once written
    pool = tool.Op("pool", {"x": (2, 4)}, (2, 2), None, None, None, last=True, state=(2, 2))
    assert pool.bytes(False, 4) == 4 * (8 + 4) + 4
    assert pool.bytes(True, 4) == 4 * (2 * 8 + 2 * 4) + 2 * 4


@pytest.mark.parametrize("line, words", [("--dtypes int8", "Received: int8"), ("--repeat 0", "Received: 0")])
def test_bad_arguments_are_refused(tool, capsys, line, words):
    with pytest.raises(SystemExit) as stop:
        tool.main(line.split())
    assert stop.value.code == 2 and words in capsys.readouterr().err


@pytest.mark.skipif(not PEERS_PYTHON, reason="needs KERASCNN_PEERS_PYTHON, an interpreter with torch and torchvision")
def test_its_checks_on_the_cpu(tmp_path):
    out = tmp_path / "table.txt"
    command = [PEERS_PYTHON, str(TOOL), "--cpu", "--dtypes", "float32,float16", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = out.read_text().splitlines()
    assert lines == done.stdout.splitlines() and len(lines) == 3 + 2 * 2 * 6
