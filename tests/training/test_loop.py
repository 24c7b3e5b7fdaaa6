"""Training end to end on a tiny network: what it writes, and that no interruption changes the result."""

import dataclasses
import errno
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerascnn
from kerascnn._errors import InputError
from kerascnn.data.splits import Arrays
from kerascnn.inference import checkpoint
from kerascnn.training import callbacks, history, schedules
from kerascnn.training.run_folder import RunFolder

SHAPE = (8, 8, 1)  # of the tiny network in conftest.py
LENET = (32, 32, 1)


def tiny_process(code, out):
    """Runs Python's `code` in a process of its own, which can import tiny_runs and is told `out`."""
    paths = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    line, environment = [sys.executable, "-c", code, out], {**os.environ, "PYTHONPATH": paths}
    return subprocess.run(line, env=environment, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, train):
    """The folder of one uninterrupted run of 4 epochs; tests copy it before they change it."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    train(out, epochs=4)
    return out


def test_the_folder_has_everything(whole):
    assert {path.name for path in whole.iterdir()} == {
        "best.keras", "checkpoints", "config.json", "curves.png", "history.csv", "tensorboard",
    }  # fmt: skip
    assert [path.name for path in sorted((whole / "checkpoints").iterdir())] == ["epoch_0003.keras", "epoch_0004.keras"]
    rows = history.read(whole / "history.csv")
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert rows[-1]["loss"] < rows[0]["loss"]
    # Half an epoch of warm-up and a cosine over the other 14 of 16 steps; the last step of each epoch is recorded.
    expected = [0.025 * (1 + np.cos(np.pi * (step - 2) / 14)) for step in (3, 7, 11, 15)]
    np.testing.assert_allclose([row["lr"] for row in rows], expected, rtol=1e-5)
    config = json.loads((whole / "config.json").read_text())
    assert config["model"] == {"name": "tiny", "options": {}, "classes": 10, "input_shape": list(SHAPE)}
    assert config["class_names"] == [str(digit) for digit in range(10)]
    assert config["data"]["name"] == "digits" and config["data"]["data_dir"] is None
    assert config["data"]["sizes"] == {"train": 64, "validation": 50, "test": 50}
    assert config["training"]["learning_rate"] == 0.05
    assert (whole / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_tensorboard_has_the_history(whole):
    rows = history.read(whole / "history.csv")
    for part, name, column in (("train", "loss", "loss"), ("validation", "accuracy", "val_accuracy")):
        found = {}
        for file in (whole / "tensorboard" / part).glob("events*"):
            for record in tf.data.TFRecordDataset(str(file)):
                event = tf.compat.v1.Event.FromString(record.numpy())
                for value in event.summary.value:
                    if value.tag == name:
                        found[event.step] = tf.make_ndarray(value.tensor)
        assert found == {row["epoch"]: np.float32(row[column]) for row in rows}


@pytest.mark.after
def test_a_full_disk_loses_only_the_epoch(whole, tmp_path, train, monkeypatch, same_history):
    """The disk is full while the third checkpoint is written; the same command then resumes to the same history."""
    out = tmp_path / "run"
    save = keras.Model.save

    def full(model, path, *arguments, **options):
        if "epoch_0003" in str(path):
            path.write_bytes(b"half of it")
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        save(model, path, *arguments, **options)

    monkeypatch.setattr(keras.Model, "save", full)
    with pytest.raises(OSError, match="No space left"):
        train(out, epochs=4)
    monkeypatch.undo()
    assert not list(out.rglob(".tmp-*"))
    assert len(history.read(out / "history.csv")) == 3  # one more than the checkpoints: its row is dropped
    assert checkpoint.load(out / "checkpoints" / "epoch_0002.keras").class_names[3] == "3"
    result = train(out, epochs=4)
    assert result.first_epoch == 2
    same_history(out / "history.csv", whole / "history.csv")


KILLED = """
import os, signal, sys
import tiny_runs
from kerascnn.training.callbacks import record

save = record.save

def half(model, path):
    if path.name == "epoch_0003.keras":
        path.with_name(f".tmp-{os.getpid()}-{path.name}").write_bytes(b"half of it")
        os.kill(os.getpid(), signal.SIGKILL)
    save(model, path)

record.save = half
tiny_runs.trainer(tiny_runs.digits())(sys.argv[1], epochs=4)
"""


@pytest.mark.after
def test_a_killed_process_loses_only_the_epoch(whole, tmp_path, train, same_history):
    """Killed outright while the third checkpoint is written: nothing is cleaned up, and the history ends the same."""
    out = tmp_path / "run"
    process = tiny_process(KILLED, out)
    assert process.returncode == -signal.SIGKILL
    assert [path.name for path in (out / "checkpoints").glob("epoch*")] != [] and list(out.rglob(".tmp-*"))
    assert train(out, epochs=4).first_epoch == 2
    same_history(out / "history.csv", whole / "history.csv")
    assert not list(out.rglob(".tmp-*"))


def test_a_truncated_checkpoint_is_skipped(whole, tmp_path, train, caplog, same_history):
    out = shutil.copytree(whole, tmp_path / "run")
    newest = out / "checkpoints" / "epoch_0004.keras"
    newest.write_bytes(newest.read_bytes()[:-1000])
    history.write(out / "history.csv", history.read(out / "history.csv")[:3], history.columns(["accuracy", "top5"]))
    # An epoch that history.csv does not have is no finished one either.
    with caplog.at_level("WARNING", logger="absl"):
        result = train(out, epochs=4)
    assert result.first_epoch == 3
    same_history(out / "history.csv", whole / "history.csv")


def test_nothing_but_damaged_checkpoints(whole, tmp_path, train):
    out = shutil.copytree(whole, tmp_path / "run")
    for file in (out / "checkpoints").iterdir():
        file.write_bytes(b"PK\x03\x04 nothing")
    (out / "history.csv").write_text("\n".join((whole / "history.csv").read_text().splitlines()[:4]) + "\n")
    with pytest.raises(InputError, match="None of the checkpoints can be used"):
        train(out, epochs=4)


def test_a_finished_run_is_left_alone(whole, train):
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*.*") if path.name != "config.json"}
    result = train(whole, epochs=4)
    assert result.first_epoch == len(result.rows) == 4
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_another_run_is_refused(whole, train):
    with pytest.raises(InputError, match="another run: learning_rate was 0.05, now 0.1; seed was 0, now 1"):
        train(whole, epochs=4, learning_rate=0.1, seed=1)


def test_nan_stops_and_keeps_the_last_good_epoch(whole, tmp_path, train, monkeypatch):
    out = shutil.copytree(whole, tmp_path / "run")
    ExponentialDecay = keras.optimizers.schedules.ExponentialDecay
    monkeypatch.setattr(schedules, "learning_rate", lambda config, steps: ExponentialDecay(1e30, 1, 1.0))
    kept = sorted(path.name for path in (out / "checkpoints").iterdir())
    with pytest.raises(InputError, match=r"became (nan|inf) in epoch \d+.*epoch_0004.keras.*lower learning rate"):
        train(out, epochs=6)
    assert sorted(path.name for path in (out / "checkpoints").iterdir()) == kept
    assert checkpoint.load(out).model.name == "tiny"


@pytest.mark.after
def test_every_other_setting_at_once(tmp_path, train, network):
    """bfloat16, RMSProp, plateau with warm-up, smoothing, decay, softmax at the end, a set smaller than a batch."""
    result = train(
        tmp_path / "run", build=lambda: network(activation="softmax"), batch_size=1000, mixed_precision="bfloat16",
        optimizer="rmsprop", schedule="plateau", warmup_epochs=2.0, patience=1, label_smoothing=0.1, weight_decay=1e-2,
        augment="pad_crop_flip", epochs=3,
    )  # fmt: skip
    losses = [row["val_loss"] for row in result.rows]
    assert [row["lr"] for row in result.rows][:2] == pytest.approx([0.0, 0.025])
    assert result.rows[2]["lr"] == pytest.approx(0.05 if losses[1] < losses[0] else 0.005)
    model = checkpoint.load(tmp_path / "run").model
    assert model.layers[-1].activation is keras.activations.softmax
    assert "probabilities" not in {layer.name for layer in model.layers}  # no second softmax
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.after
def test_a_step_compiled_by_xla_gives_the_same_history(tmp_path, train, network, monkeypatch):
    """But for dropout, whose masks TensorFlow draws by another generator under XLA."""
    compiled = []
    compile_ = keras.Model.compile
    monkeypatch.setattr(
        keras.Model, "compile", lambda self, *a, **k: compiled.append(k["jit_compile"]) or compile_(self, *a, **k)
    )
    build = functools.partial(network, dropout=0.0)
    plain, fused = (train(tmp_path / str(jit), build, jit=jit).rows for jit in (False, True))
    assert compiled == [False, True]
    for row, other in zip(plain, fused, strict=True):
        for name in ("lr", "loss", "accuracy", "val_loss", "val_accuracy"):
            assert row[name] == pytest.approx(other[name], rel=1e-4), name


def test_xla_is_refused_where_replicas_add_up(tmp_path, train):
    with pytest.raises(InputError, match="jit is for strategy=one only, not mirrored. Received: jit=True"):
        train(tmp_path / "run", jit=True, strategy="mirrored", virtual_devices=2)


DETERMINISTIC = """
import sys, tiny_runs
from kerascnn._errors import InputError
train = tiny_runs.trainer(tiny_runs.digits())
rows = [train(f"{sys.argv[1]}/{name}", epochs=1, deterministic=True).rows[0]["loss"] for name in "ab"]
assert rows[0] == rows[1], rows
try:
    train(f"{sys.argv[1]}/c", epochs=1, jit=True)
except InputError as error:
    sys.exit(f"refused: {error}")
"""


@pytest.mark.after
def test_deterministic_operations_and_xla_exclude_each_other(tmp_path, train):
    """The former stay on in the process, in which Keras would train without XLA; hence a process of their own."""
    with pytest.raises(InputError, match="jit cannot be used beside deterministic. Received: jit=True"):
        train(tmp_path / "run", jit=True, deterministic=True)
    process = tiny_process(DETERMINISTIC, tmp_path)
    assert process.returncode == 1
    assert "refused: jit needs layers that XLA compiles, and a process in which no determ" in process.stderr


def test_layers_that_xla_does_not_compile_are_named(tmp_path, train, network):
    def build():
        model = network()
        model.layers[-1].supports_jit = False
        model.layers[-1].name = "odd"
        return model

    with pytest.raises(InputError, match="Received: layers without it: odd$"):
        train(tmp_path / "run", build, jit=True)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"build": lambda: keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(9)])},
         "must give 10 outputs. Received: \\(9,\\)"),
        ({"shape": (9, 9, 1)}, "must take images of shape \\(9, 9, 1\\). Received: \\(8, 8, 1\\)"),
    ],
)  # fmt: skip
def test_a_model_that_does_not_fit(tmp_path, train, change, words):
    with pytest.raises(InputError, match=words):
        train(tmp_path, **change)


def test_labels_out_of_range(tmp_path, train, source):
    split = source.split("train")
    numbers = np.where(np.arange(split.size) == 5, 10, split.numbers)
    bad = dataclasses.replace(source, splits={**source.splits, "train": Arrays(split.pixels, numbers)})
    with pytest.raises(InputError, match=r"must be in \[0, 10\). Received: 0 to 10 in the train split of digits"):
        train(tmp_path / "run", data=bad)
    assert not (tmp_path / "run").exists()


def test_random_layers_depend_on_seed_layer_and_epoch_alone(network):
    def states(seed, epoch):
        model, hook = network(), callbacks.SeedEpoch(seed)
        hook.set_model(model)
        hook.on_epoch_begin(epoch)
        return [tuple(variable.numpy()) for variable in model.variables if variable.path.endswith("generator_state")]

    assert states(3, 1) == states(3, 1)
    assert len(set(states(3, 1)) | set(states(3, 2)) | set(states(4, 1))) == 3


def test_initial_weights_are_asked_for_once(tmp_path, train):
    """A run that is resumed has weights; the file of its first ones may be gone."""
    asked = []

    def initialize(model):
        asked.append(model.name)
        model.set_weights([np.full(weight.shape, 0.01, "float32") for weight in model.get_weights()])

    fields = {"learning_rate": 1e-9, "augment": "none", "warmup_epochs": 0.0}
    train(tmp_path / "run", epochs=1, initialize=initialize, **fields)
    kernel = keras.models.load_model(tmp_path / "run/checkpoints/epoch_0001.keras").layers[1].kernel
    np.testing.assert_allclose(kernel, 0.01, rtol=1e-3)
    assert train(tmp_path / "run", epochs=2, initialize=initialize, **fields).first_epoch == 1
    assert asked == ["tiny"]


def test_a_start_that_fails_leaves_the_folder_free(tmp_path, train):
    def missing(model):
        raise InputError("There are no such weights. Received: typo.pth")

    with pytest.raises(InputError, match="typo"):
        train(tmp_path / "run", epochs=1, initialize=missing)
    assert not (tmp_path / "run").exists()


def test_a_refused_start_touches_nothing_of_the_run_that_goes_on(whole, tmp_path, train):
    out = shutil.copytree(whole, tmp_path / "run")
    half = out / "checkpoints" / f".tmp-{os.getppid()}-epoch_0005.keras"
    half.write_bytes(b"half")
    with pytest.raises(InputError, match="another run: seed was 0, now 1"):
        train(out, epochs=4, seed=1)
    with RunFolder(out).hold(), pytest.raises(InputError, match="Another process is training in this folder"):
        train(out, epochs=5)
    assert half.exists()


def test_no_test_image_is_seen(tmp_path, train, source):
    """The history is the same whatever the test images are, and another with other validation images."""

    def run(name, **splits):
        changed = dataclasses.replace(source, splits={**source.splits, **splits})
        rows = train(tmp_path / name, data=changed, epochs=1).rows
        return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]

    part = source.split("test")
    other = Arrays(255 - part.pixels, (part.numbers + 1) % 10)
    before = run("before")
    assert run("test", test=other) == before
    after = run("validation", validation=other)
    assert after[0]["val_loss"] != before[0]["val_loss"] and after[0]["loss"] == before[0]["loss"]


def test_weights_that_are_not_finite_end_the_run(network):
    from kerascnn.training.callbacks.stop_on_nan import not_finite

    model = network()
    assert not_finite(model) == []
    model.layers[1].bias.assign(np.array([0, np.inf, 0, 0, 0, 0]))
    assert not_finite(model) == [model.layers[1].bias.path]


def test_a_run_that_diverged_is_not_resumed(whole, tmp_path, train):
    out = shutil.copytree(whole, tmp_path / "run")
    rows = history.read(out / "history.csv")
    rows[1]["val_loss"] = float("nan")
    history.write(out / "history.csv", rows, list(rows[0]))
    with pytest.raises(InputError, match="The run has diverged: history.csv is not finite in epoch 2"):
        train(out, epochs=5)


@pytest.mark.after
def test_a_frozen_part_stays_and_a_run_resumes_with_it(tmp_path, train):
    def build():
        return kerascnn.create_model("lenet5", input_shape=LENET, classes=10, classifier_activation=None)

    first = build()

    def initialize(model):
        model.set_weights(first.get_weights())

    fields = {"epochs": 1, "freeze": "c3", "shape": LENET, "initialize": initialize}
    train(tmp_path / "run", build=build, **fields)
    train(tmp_path / "run", build=build, **{**fields, "epochs": 2})
    model = keras.models.load_model(tmp_path / "run/checkpoints/epoch_0002.keras", compile=False)
    for layer in first.layers:
        if layer.weights:
            same = np.array_equal(layer.kernel, model.get_layer(layer.name).kernel)
            assert same == (layer.name in ("c1", "c3")) == (not model.get_layer(layer.name).trainable), layer.name
    with pytest.raises(InputError, match='freeze was "c3", now "head"'):
        train(tmp_path / "run", build=build, **{**fields, "freeze": "head"})
