"""The benchmark of ops: what it counts, what it refuses, and the command end to end on tiny shapes."""

import csv
import gc
import subprocess
import sys
from pathlib import Path

import pytest

from kerascnn import cli, ops
from kerascnn._errors import InputError
from kerascnn.benchmark import SHAPES, Case, answering, choose, report, session, timing
from kerascnn.benchmark.machine import Machine

MACHINE = Machine("a processor", 2, ((1000, 4e9), (100_000, 2e9)), gemm=1e11)
TINY = [case for case in SHAPES["tiny"] if hasattr(ops, case.op) or case.op in ("depthwise", "layer_norm", "lrn")]


def test_bytes_and_flops_by_hand():
    conv = Case("conv2d", (2, 5, 5, 8), 4, groups=2, stride=2)
    assert conv.y == (2, 3, 3, 4) and conv.inputs["filters"] == (3, 3, 4, 4)
    x, w, y = 2 * 5 * 5 * 8, 3 * 3 * 4 * 4, 2 * 3 * 3 * 4
    assert conv.bytes("forward", 4) == 4 * (x + w + y)
    assert conv.bytes("both", 2) == 2 * (3 * x + 3 * w + 2 * y)
    assert conv.flops("forward") == 2 * y * 9 * 4 and conv.flops("both") == 3 * conv.flops("forward")
    lrn = Case("lrn", (2, 3, 3, 8), radius=1)
    assert lrn.bytes("both", 4) == 4 * 5 * 144 and lrn.flops("forward") == 144 * (2 * 3 + 12)
    norm = Case("layer_norm", (2, 3, 3, 8))
    assert norm.inputs["scale"] == (8,) and norm.bytes("forward", 4) == 4 * (2 * 144 + 16)
    assert norm.flops("forward") == 9 * 144 and Case("gelu", (2, 3, 3, 8)).flops("both") == 3 * 40 * 144
    attention = Case("self_attention", (2, 3, 4, 24), groups=2)
    assert attention.y == (2, 3, 4, 8) and attention.flops("forward") == 2 * 2 * 12 * 12 * 8 * 2
    deform = Case("deform_conv2d", (1, 4, 4, 6), 5)
    assert deform.inputs["offset"] == (1, 4, 4, 18) and deform.inputs["mask"] == (1, 4, 4, 9)
    assert deform.flops("forward") == 2 * 80 * 9 * 6 + 8 * 16 * 9 * 6
    pool = Case("saf_pool2d", (1, 4, 4, 3), kernel=2, stride=2)
    assert pool.y == (1, 2, 2, 3) and pool.bytes("both", 4) == 4 * (2 * 48 + 2 * 12) + 2 * 12


def test_roofline_and_ratios_by_hand():
    case = Case("conv2d", (1, 10, 10, 10), 10, kernel=1, targets=(("torch", 0.5, 0.6),))
    # 8400 bytes are nearer to the small copy; 20,000 operations.
    result = timing.Result(case, "forward", {"kerascnn": 4.2e-6, "torch": 6e-6})
    (row,) = report.rows([result], MACHINE, 4)
    assert row["bytes"] == 8400 and row["flops"] == 20_000 and row["bound"] == "memory"
    assert row["roofline_ms"] == pytest.approx(2.1e-3) and row["reached"] == pytest.approx(0.5)
    assert row["to_torch"] == pytest.approx(0.7) and row["target_torch"] == 0.5 and row["to_keras"] is None
    assert "0.70 (> 0.5)" in report.as_text([row], "head")
    assert MACHINE.bandwidth(9_000) == 4e9 and MACHINE.bandwidth(11_000) == 2e9  # sqrt(1000 * 100000) = 10000
    assert MACHINE.roofline(4, 10**6) == (1e-5, "arithmetic")


def test_names_are_unique_and_patterns_choose():
    for cases in SHAPES.values():
        assert len({case.name for case in cases}) == len(cases)
    assert {case.op for case in choose(only="lrn,saf*")} == {"lrn", "saf_pool2d"}
    assert [case.dilation for case in choose(only="*d12")] == [12]
    with pytest.raises(InputError, match=r"only must fit an op \(conv2d, .*Received: soup"):
        choose(only="soup")


def test_slow_calls_are_not_repeated(monkeypatch):
    clock = iter(range(0, 1000, 3))  # every reading of the clock is three seconds later
    monkeypatch.setattr(answering.time, "perf_counter", lambda: next(clock))
    assert answering.timed(lambda: None, 5) == [3]


@pytest.fixture
def little_garbage():
    """Keeps what earlier tests left out of the collections before each timing, which took a minute together."""
    gc.freeze()
    yield
    gc.unfreeze()


def test_the_command_writes_everything(tmp_path, capsys, monkeypatch, little_garbage):
    script = tmp_path / "peer.py"  # the peers' side without PyTorch: an answer for convolutions only
    script.write_text(
        "import json, sys\n"
        "print(json.dumps({'versions': 'a peer 1.0'}), flush=True)\n"
        "for line in sys.stdin:\n"
        "    question = json.loads(line)\n"
        "    known = question['case']['op'] == 'conv2d'\n"
        "    print(json.dumps({'seconds': [1e-3]} if known else {'refused': 'no such op'}), flush=True)\n"
    )
    monkeypatch.setattr(session, "_TORCH_SCRIPT", script)
    only = ",".join(case.name for case in TINY)
    out = tmp_path / "out"
    flags = ["--shapes", "tiny", "--repeat", "1", "--only", only, "--out", str(out), "--peers-python", sys.executable]
    assert cli.main(["benchmark", "ops", *flags]) == 0
    printed = capsys.readouterr().out
    assert "a peer 1.0" in printed and "GB/s" in printed and "ops.png" in printed
    text = (out / "ops.txt").read_text()
    assert all(case.name in text for case in TINY) and "TensorFlow 2." in text and "Keras 3." in text
    rows = list(csv.DictReader((out / "ops.csv").read_text().splitlines()))
    assert len(rows) == 2 * len(TINY)
    times = ["kerascnn_ms", "tensorflow_ms", "keras_ms", "torch_ms"]
    ratios = [f"{what}_{peer}" for peer in ("tensorflow", "keras", "torch") for what in ("to", "target")]
    work = ["bytes", "flops", "roofline_ms", "bound", "reached"]
    assert list(rows[0]) == ["case", "op", "pass", *times, *ratios, *work]
    for row in rows:
        assert float(row["kerascnn_ms"]) > 0 and float(row["reached"]) > 0
        # Without oneDNN, which not every processor gets, TensorFlow lacks some gradients of convolutions.
        if (row["op"], row["pass"]) != ("conv2d", "both"):
            assert bool(row["tensorflow_ms"]) == (row["op"] not in ("deform_conv2d", "layer_norm", "self_attention"))
        assert row["torch_ms"] == ("1" if row["op"] == "conv2d" else "")
    assert (out / "ops.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "line, words",
    [
        ("benchmark", "needs ops"),
        ("benchmark networks", "What can be benchmarked is ops, models or serving. Received: networks"),
        ("benchmark ops --only soup", "Received: soup"),
        ("benchmark ops --shapes odd", "shapes must be one of standard"),
        ("benchmark ops --shapes tiny --dtype int8", "dtype must be one of float32"),
        ("benchmark ops --shapes tiny --repeat 0", "from 1 to 1000000. Received: repeat=0"),
        ("benchmark ops --shapes tiny --peers-python /no/python", "peers_python must be a Python interpreter"),
    ],
)
def test_bad_input_is_one_line_and_status_2(capsys, line, words):
    assert cli.main(line.split()) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_an_interpreter_without_torch_is_refused(tmp_path, monkeypatch):
    script = tmp_path / "peer.py"
    script.write_text("import no_such_module_as_torch\n")
    with pytest.raises(InputError, match="must have torch and torchvision"):
        timing.TorchPeer(sys.executable, script, 1, "float32")
    with pytest.raises(InputError, match="from a checkout"):
        timing.TorchPeer(sys.executable, tmp_path / "absent.py", 1, "float32")


def test_the_tool_is_the_command():
    tool = Path(__file__).parents[2] / "tools" / "bench_ops.py"
    done = subprocess.run([sys.executable, str(tool), "--help"], capture_output=True, text=True, check=True)
    assert "--peers_python" in done.stdout
