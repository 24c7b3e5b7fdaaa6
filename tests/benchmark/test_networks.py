"""Networks and exports side by side: plans, refusals, rows, and what is printed, with workers that compute nothing."""

import csv
import json
import sys
from pathlib import Path

import pytest

from kerascnn import benchmark, cli
from kerascnn._errors import InputError
from kerascnn.benchmark import exports, files, networks, processes, runtimes
from kerascnn.benchmark.networks import Plan

FAKE = Path(__file__).with_name("fake_worker.py")


@pytest.fixture
def fake(monkeypatch):
    """Workers that answer at once; called with the runtime that crashes and the one that is refused."""
    started = []

    def put(crash="", refuse=""):
        def own(module, environment=None):
            started.append((module, environment))
            return processes.Process([sys.executable, str(FAKE), crash, refuse])

        def peer(python, script, arguments=(), threads=None):
            started.append((python, script.name, threads))
            return processes.Process([sys.executable, str(FAKE), crash, refuse])

        monkeypatch.setattr(processes, "own", own)
        monkeypatch.setattr(processes, "peer", peer)
        return started

    return put


def test_every_runtime_has_what_it_needs_to_be_started():
    kinds = {"memory", "export", "torch"}
    for name, runtime in runtimes.RUNTIMES.items():
        assert runtime.kind in kinds and runtime.steps and runtime.text
        assert set(runtime.steps) <= set(runtimes.STEPS) and set(runtime.precisions) <= set(runtimes.PRECISIONS)
        assert runtime.kind == "memory" or runtime.environment("train") == {}, name
    assert set(runtimes.FILES) == set(files.MODULES)
    assert runtimes.RUNTIMES["no_onednn"].environment("train") in ({"TF_ENABLE_ONEDNN_OPTS": "0"}, {})
    assert "TF_ENABLE_ONEDNN_OPTS" not in runtimes.RUNTIMES["keras"].environment("inference")


def test_a_plan_leaves_out_what_no_runtime_has():
    plan = Plan(("lenet5",), (1, 8, 1), ("float32", "int8"), ("keras", "onnx", "stock"), ("inference", "train"))
    assert plan.batches == (1, 8)
    steps = [("inference", batch, precision) for precision in ("float32", "int8") for batch in (1, 8)]
    assert plan.groups() == [*steps, ("train", 1, "float32"), ("train", 8, "float32")]
    assert not plan.has("stock", "train", "float32") and plan.has("onnx", "inference", "int8")


@pytest.mark.parametrize(
    "change, words",
    [
        ({"networks": ()}, "At least one network"),
        ({"networks": ("lenet",)}, "lenet5"),
        ({"batches": ()}, "batch must be at least one size"),
        ({"batches": (0,)}, "batch must be a whole number, at least 1"),
        ({"precisions": ("float8",)}, "precision must be one of float32, bfloat16, float16, int8"),
        ({"runtimes": ("stok",)}, "runtime must be one of keras"),
        ({"runtimes": ()}, "runtime must be at least one of keras"),
        ({"steps": ("fit",)}, "step must be one of inference, train"),
        ({"runtimes": ("stock",), "steps": ("train",)}, "The runtime stock has inference in float32, bfloat16"),
        (
            {"runtimes": ("litert",), "precisions": ("bfloat16",)},
            "The runtime litert has inference in float32, float16",
        ),
    ],
)
def test_a_plan_is_checked(change, words):
    with pytest.raises(InputError, match=words):
        Plan(**{"networks": ("lenet5",), **change})


def test_runtimes_that_are_not_there_are_refused(monkeypatch):
    with pytest.raises(InputError, match=r"torch needs peers_python.*kerascnn\[peers\]"):
        runtimes.check(("torch",), None)
    absent = {"ai_edge_litert", "onnxruntime", "tensorflow"}
    monkeypatch.setattr(runtimes.importlib.util, "find_spec", lambda name: None if name in absent else object())
    with pytest.raises(InputError, match=r'pip install "kerascnn\[litert\]". Received: no ai_edge_litert'):
        runtimes._installed.need("litert", ("ai_edge_litert",))
    with pytest.raises(InputError, match=r"pip install 'kerascnn\[cpu\]'"):
        runtimes.check(("litert",), None)
    with pytest.raises(InputError, match=r"kerascnn\[onnx\]"):
        runtimes.check(("torch_onnx",), "python")
    with pytest.raises(InputError, match="int8 needs calibration"):
        benchmark.time_networks(["lenet5"], precisions=["int8", "float32"], runtimes=["torch"], peers_python="python")


def test_rows_of_networks(fake, monkeypatch):
    started = fake(crash="plain", refuse="torch")
    monkeypatch.setattr(runtimes, "check", lambda names, peers: None)
    said = []
    rows = benchmark.time_networks(
        ["lenet5"], batches=[1, 4], runtimes=["keras", "onnx", "native", "plain", "torch", "torch_onnx"],
        steps=["inference", "train"], repeat=2, peers_python="python", advance=said.append,
    )  # fmt: skip
    names = ["keras", "onnx", "native", "plain", "torch", "torch_onnx"]
    assert [row["runtime"] for row in rows] == [*names, *names, "keras", "torch", "keras", "torch"]
    assert said[0] == "lenet5: exports" and said[-1] == "lenet5: train, batch 4, float32"
    found = {row["runtime"]: row for row in rows[:6]}
    assert (found["keras"]["ms"], found["keras"]["ratio"], found["keras"]["images_per_s"]) == (8, 1, 125)
    assert (found["native"]["ms"], found["native"]["ratio"], found["native"]["note"]) == (2, 0.25, "layer by layer")
    assert (found["native"]["peak_mb"], found["native"]["own_mb"], found["native"]["parameters"]) == (250, 150, 7)
    for name, note, failed in [("onnx", "it has no such op", False), ("torch", "no torch today", False),
                               ("plain", "out of luck", True)]:  # fmt: skip
        row = found[name]
        assert (row["ms"], row["ratio"], row["note"], row["failed"]) == (None, None, note, failed)
    assert rows[6]["batch"] == 4 and rows[6]["ms"] == 32
    assert ("python", "bench_models_torch.py", 2) in started or ("python", "bench_models_torch.py", None) in started


def test_exports_are_looked_at_before_anything_is_written(tmp_path, fake):
    started = fake()
    saved, onnx = tmp_path / "saved", tmp_path / "onnx"
    for folder in (saved / "1", saved / "12", saved / "note", onnx / "3"):
        folder.mkdir(parents=True)
    (saved / "12" / "saved_model.pb").touch()
    (onnx / "3" / "predictor.json").write_text(json.dumps({"format": "odd"}))
    assert files.locate(saved) == (saved / "12", "saved_model") == files.locate(saved / "12")
    with pytest.raises(InputError, match="Received: odd in"):
        files.locate(onnx)
    with pytest.raises(InputError, match="must be an export or hold numbered ones"):
        files.locate(saved / "1")
    for words, message in [([], "At least one export"), (["lenet"], "or a network's name. Received: lenet"),
                           (["lenet5", onnx], "Received: odd")]:  # fmt: skip
        with pytest.raises(InputError, match=message):
            benchmark.time_exports(words)
    with pytest.raises(InputError, match="be one of plain, stock, native, onnx, litert, openvino. Received: keras"):
        benchmark.time_exports(["lenet5"], formats=["keras"])
    assert not started


def test_rows_of_exports(tmp_path, fake, monkeypatch):
    fake()
    monkeypatch.setattr(runtimes, "check", lambda names, peers: None)
    (tmp_path / "saved_model.pb").touch()
    rows = benchmark.time_exports([str(tmp_path), "lenet5"], batches=[1, 2], formats=["onnx", "stock"], repeat=1)
    kinds = [(row["export"], row["format"], row["precision"], row["batch"]) for row in rows]
    one = [(str(tmp_path), "saved_model", None), ("lenet5", "onnx", "float32"), ("lenet5", "stock", "float32")]
    assert kinds == [(*names, batch) for batch in (1, 2) for names in one]
    assert [row["ms"] for row in rows] == [1, None, 4, 2, None, 8]
    assert [row["ratio"] for row in rows[:3]] == [1, None, 4] and rows[1]["note"] == "it has no such op"
    export = exports.Export("a", "native", "float32", tmp_path)
    assert export.subject == {"kind": "export", "folder": str(tmp_path), "format": "saved_model"}


def test_the_command_in_a_pipe(tmp_path, fake, monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    fake(crash="stock")
    flags = ["--batch", "1,128", "--precision=float32,bfloat16", "--memory", "--repeat=1", "--out", str(tmp_path)]
    assert cli.main(["benchmark", "models", "tf_efficientnet_lite0", *flags]) == 1  # one failed
    printed = capsys.readouterr().out
    lines = [line for line in printed.splitlines() if not line.startswith("written: ")]
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert "tf_efficientnet_lite0 inference float32 stock: out of luck" in printed
    assert "native 2.0" in printed and "threads; Python" in printed and "warm-up" in printed
    # The first in a block is what ratios are to.
    assert [line.split()[4:7] for line in lines if line.startswith("tf_eff") and " 128 " in line][:3] == [
        ["keras", "1024", "1.00"], ["stock", "-", "-"], ["native", "256.0", "0.25"],
    ]  # fmt: skip
    rows = list(csv.DictReader((tmp_path / "models.csv").read_text().splitlines()))
    assert len(rows) == 12 and rows[0]["runtime"] == "keras" and rows[0]["own_mb"] == "150"
    text = (tmp_path / "models.txt").read_text()
    assert "peak MB" in text and "out of luck" in text and "keras: the network in memory" in text
    monkeypatch.setenv("COLUMNS", "200")
    fake()
    assert cli.main(["benchmark", "models", "lenet5", "--batch=1", "--runtime=keras", "--repeat=1"]) == 0
    assert "peak MB" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "line, words",
    [
        ("benchmark models", "kerascnn benchmark models needs names. Example: kerascnn benchmark models"),
        ("benchmark serving", "kerascnn benchmark serving needs names"),
        ("benchmark ops lenet5", "takes flags only. Received: lenet5"),
        (
            "benchmark models lenet5 --shapes tiny",
            "is for kerascnn benchmark ops. Received: shapes=tiny for models",
        ),
        ("benchmark models lenet5 --server rest", "server is for kerascnn benchmark serving"),
        ("benchmark serving lenet5 --step train", "step is for kerascnn benchmark models"),
        ("benchmark models resnet2", "resnet2"),
        ("benchmark models lenet5 --batch 1.5", "batch must be a whole number, at least 1. Received: batch=1.5"),
        ("benchmark models lenet5 --batch 0", "batch must be a finite number in [1, 65536]"),
        ("benchmark models lenet5 --runtime keras,torch", "The runtime torch needs peers_python"),
        ("benchmark models lenet5 --precision int8", "has inference and train in float32, bfloat16, float16"),
        ("benchmark serving /no/where", "or a network's name. Received: /no/where"),
        ("benchmark serving lenet5 --clients 2", "clients is for --server. Received: no server"),
        ("benchmark serving lenet5 --server soap", "server must be one of rest, grpc"),
    ],
)
def test_bad_lines_are_refused(capsys, line, words):
    assert cli.main(line.split()) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


@pytest.mark.after
def test_lenet_in_what_is_always_there():
    """The real workers: a network in memory, trained and asked, and what it is exported as."""
    rows = benchmark.time_networks(
        ["lenet5"], batches=[2], runtimes=["keras", "keras_conv", "stock", "plain"], steps=["inference", "train"],
        repeat=2, threads=1,
    )  # fmt: skip
    assert [row["note"] for row in rows if row["ms"] is None] == []
    assert [row["runtime"] for row in rows] == ["keras", "keras_conv", "stock", "plain", "keras", "keras_conv"]
    assert all(row["ms"] > 0 and row["ratio"] > 0 and row["peak_mb"] > row["own_mb"] > 0 for row in rows)
    assert all("TensorFlow" in row["versions"] for row in rows)
    assert rows[0]["parameters"] == rows[1]["parameters"]
    assert networks.input_shape("lenet5", benchmark.Settings(channels=3))[2] == 3
