"""Runs beside each other: read in whatever state, sorted, compared, drawn; what their records say of their origin."""

import json
import os
import subprocess
import sys

import pytest
import tensorflow as tf

from kerascnn import _provenance, cli
from kerascnn._errors import InputError
from kerascnn.training import runs

CONFIG = {
    "kerascnn": "0.1.0",
    "task": "classification",
    "model": {"name": "tiny", "options": {}, "classes": 10, "input_shape": [8, 8, 1]},
    "class_names": [str(digit) for digit in range(10)],
    "preprocessing": {"mean": [0.5], "std": [0.5], "crop_fraction": 1.0, "interpolation": "bilinear", "fit": "pad"},
    "data": {"name": "digits", "data_dir": None, "sizes": {"test": 360}},
    "training": {"epochs": 3, "learning_rate": 0.1, "seed": 0},
}
HEAD = "epoch,lr,loss,accuracy,top5,val_loss,val_accuracy,val_top5,seconds\n"


def write(folder, values, *, rate=0.1, name="tiny", best=True):
    """A run folder with these validation accuracies; the loss is 1 - accuracy."""
    folder.mkdir(parents=True)
    training = {**CONFIG["training"], "learning_rate": rate}
    config = {**CONFIG, "training": training, "model": {**CONFIG["model"], "name": name}}
    (folder / "config.json").write_text(json.dumps(config))
    rows = [f"{i},0.1,1.5,0.5,0.9,{1 - value},{value},0.95,{2 * i}" for i, value in enumerate(values, 1)]
    (folder / "history.csv").write_text(HEAD + "".join(f"{row}\n" for row in rows))
    if best:
        (folder / "best.keras").write_bytes(b"weights")
    return folder


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "all"
    write(root / "a", [0.5, 0.8, 0.7])
    write(root / "deep" / "b", [0.9], rate=0.2, name="other")
    write(root / "c", [0.6, float("nan")])
    write(root / "d", [])
    broken = write(root / "e", [0.5])
    (broken / "config.json").write_text("{")
    damaged = write(root / "f", [0.5])
    (damaged / "history.csv").write_text("epoch,loss\nx,1\n")
    write(root / "a" / "inside", [0.99])  # of a run, and none of its own
    write(root / ".hidden" / "g", [0.99])
    return root


def names(found):
    return [run.path.name for run in found]


def test_runs_are_found_and_sorted(folder):
    assert names(runs.find(folder)) == ["b", "a", "c", "d", "f", "e"]
    assert names(runs.find([folder / "a", folder, folder / "deep" / "b"], sort="loss"))[:3] == ["b", "a", "c"]
    assert names(runs.find(folder, sort="time"))[:2] == ["b", "c"]
    assert names(runs.find(folder, sort="name")) == ["a", "c", "d", "b", "f", "e"]  # by path: deep/b; broken ones last
    a = runs.read(folder / "a")
    assert (a.best, a.value, a.loss, a.seconds, a.problem) == (1, 0.8, pytest.approx(0.2), 4.0, "")
    problems = {run.path.name: run.problem for run in runs.find(folder)}
    assert problems["c"] == "diverged in epoch 2" and problems["d"] == "not one epoch is finished"
    assert problems["e"].startswith("damaged: The config.json") and "history.csv" in problems["f"]
    assert json.loads(json.dumps([run.to_dict() for run in runs.find(folder)]))[0]["settings"]["learning_rate"] == 0.2


def test_what_differs(folder):
    assert runs.differing(runs.find([folder / "a", folder / "deep"])) == ["learning_rate"]
    assert runs.differing([runs.read(folder / "a")]) == []


def test_the_test_measure_belongs_to_the_weights(folder):
    file, best = folder / "a" / "evaluation.json", folder / "a" / "best.keras"
    record = {"split": "test", "data": "digits", "checkpoint": "x/best.keras", "top1": 0.75, "examples": 360}
    file.write_text(json.dumps(record))
    assert runs.read(folder / "a").test == 0.75
    for other in (
        {"split": "train"}, {"tta": "flip"}, {"checkpoint": "x/epoch_0001.keras"}, {"checkpoint": 3}, {"top1": "high"},
        {"data": "mnist"}, {"examples": 50},
    ):  # fmt: skip
        file.write_text(json.dumps({**record, **other}))
        assert runs.read(folder / "a").test is None
    file.write_text(json.dumps(record))
    os.utime(best, (2e9, 2e9))
    assert runs.read(folder / "a").test is None


def test_the_picture(folder, tmp_path):
    runs.plot(runs.find(folder), tmp_path / "runs.png")
    assert tf.io.decode_png((tmp_path / "runs.png").read_bytes()).shape[1] > 1000
    with pytest.raises(InputError, match="a run with an epoch"):
        runs.plot([runs.read(folder / "d")], tmp_path / "none.png")


def test_the_command(folder, tmp_path, capsys):
    line = ["runs", str(folder), "--out", str(tmp_path / "new" / "runs.png")]
    assert cli.main(line) == 1  # two are damaged
    shown = capsys.readouterr()
    assert "80.00%" in shown.out and "learning_rate" in shown.out and "diverged in epoch 2" in shown.out
    assert shown.err.count("\n") == 2 and "damaged" in shown.err and (tmp_path / "new" / "runs.png").exists()
    assert cli.main(["runs", str(folder / "a"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["best"]["epoch"] == 2
    assert cli.main(["runs", str(folder / "a"), "--columns", "seed,epochs"]) == 0
    assert "seed" in capsys.readouterr().out
    for words, message in (
        ([tmp_path / "none"], "A folder of runs must exist"),
        ([tmp_path / "new"], "There must be runs"),
        ([folder, "--sort", "size"], "sort must be one of"),
        ([folder, "--columns", "speed"], "columns must be settings: epochs, learning_rate"),
        ([folder, "--out", "a.jpg"], "a .png file"),
    ):
        assert cli.main(["runs", *map(str, words)]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.after
def test_a_run_says_where_it_comes_from(train, tmp_path, monkeypatch):
    monkeypatch.setenv("KERASCNN_NATIVE", "auto")
    monkeypatch.setenv("TF_API_TOKEN", "secret")
    train(tmp_path / "run", epochs=1)
    train(tmp_path / "run", epochs=2)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["data"]["fingerprint"]["train"] and config["training"]["seed"] == 0
    first, second = config["starts"]
    assert first["versions"]["keras"] and first["versions"]["python"] == sys.version.split()[0]
    assert first["time"] <= second["time"] and first["command"] and os.getcwd() not in json.dumps(config)
    assert first["environment"]["KERASCNN_NATIVE"] == "auto" and "secret" not in json.dumps(config)


def test_only_what_changes_results_is_kept_of_the_environment(tmp_path, monkeypatch):
    """No folder of the machine, no address, no variable of others."""
    monkeypatch.chdir(tmp_path)
    private = {
        "TF_CONFIG": '{"cluster": {"worker": ["host:2222"]}}',
        "TF_HOME": "/srv/me",
        "KERAS_HOME": "/srv/me",
    }
    flags = "--xla_dump_to=/srv/me/client one --xla_cpu_use_thunk_runtime=false"
    for name, value in {**private, "XLA_FLAGS": flags, "OMP_NUM_THREADS": "2"}.items():
        monkeypatch.setenv(name, value)
    words = [
        "/usr/bin/kerascnn",
        "train",
        "--data",
        f"{tmp_path}/my images",
        "--out=/srv/secret client/a",
        "--lr",
        "1/2",
    ]
    monkeypatch.setattr(sys, "argv", words)
    found = _provenance.provenance()
    assert found["command"] == "kerascnn train --data 'my images' --out=.../a --lr 1/2"
    assert found["environment"]["XLA_FLAGS"] == "--xla_dump_to=.../client one --xla_cpu_use_thunk_runtime=false"
    assert found["environment"]["OMP_NUM_THREADS"] == "2" and not private.keys() & found["environment"].keys()
    assert not any(word in json.dumps(found) for word in ("/srv/me", "secret", "host", str(tmp_path)))


@pytest.mark.parametrize(
    "text, shown",
    [
        ("vgg11:/srv/me/a.pth", "vgg11:.../a.pth"),
        ("https://tfhub.dev/a/b and a/b, 1 / 2", "https://tfhub.dev/a/b and a/b, 1 / 2"),
        ("~me/x/y", ".../y"),
        ("relative/path", "relative/path"),
        ({"/a/run": ["/a/b", 3, None]}, {".../run": [".../b", 3, None]}),
    ],
)
def test_masked(text, shown):
    assert _provenance.masked(text) == shown


def test_commits(tmp_path):
    assert _provenance.commit(tmp_path) is None

    def git(*words):
        options = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *options, "-C", str(tmp_path), *words], check=True, capture_output=True)

    git("init")
    (tmp_path / "a.txt").write_text("a")
    git("add", "a.txt")
    git("commit", "-m", "a")
    number = _provenance.commit(tmp_path)
    assert len(number) == 40
    (tmp_path / "new.txt").write_text("untracked")
    assert _provenance.commit(tmp_path) == number
    (tmp_path / "a.txt").write_text("b")
    assert _provenance.commit(tmp_path) == f"{number}-changed"
    (tmp_path / "inside").mkdir()
    assert _provenance.commit(tmp_path / "inside") is None  # nothing of it is tracked
