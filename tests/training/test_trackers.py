"""Runs in MLflow and W&B: with fakes of the few calls that are used, and with the packages where they are installed."""

import importlib.machinery
import importlib.util
import json
import sys
import types

import keras
import numpy as np
import pytest

from kerascnn import cli
from kerascnn._errors import InputError
from kerascnn.training import callbacks

KINDS = {"mlflow": callbacks.MLflow, "wandb": callbacks.WandB}


class Fake:
    """Runs of either program: {name: {"params", "metrics": {epoch: values}, "files", "status"}}."""

    def __init__(self):
        self.runs, self.down = {}, False

    def module(self, name, **contents):
        made = types.ModuleType(name)
        made.__spec__ = importlib.machinery.ModuleSpec(name, None)
        vars(made).update(contents)
        return made


class FakeMLflow(Fake):
    """The calls of `MlflowClient`, with its rule that a parameter is never changed."""

    def modules(self):
        pair = types.SimpleNamespace
        entities = self.module(
            "mlflow.entities", Param=lambda key, value: pair(key=key, value=value),
            Metric=lambda key, value, timestamp, step: pair(key=key, value=value, step=step),
        )  # fmt: skip
        return {"mlflow": self.module("mlflow", MlflowClient=lambda: self), "mlflow.entities": entities}

    def get_experiment_by_name(self, name):
        assert name == "kerascnn"

    def create_experiment(self, name):
        return "7"

    def create_run(self, experiment, run_name):
        assert experiment == "7"
        run = {"name": run_name, "params": {}, "metrics": {}, "files": [], "status": "", "tags": {}}
        self.runs[f"run{len(self.runs)}"] = run
        return types.SimpleNamespace(info=types.SimpleNamespace(run_id=f"run{len(self.runs) - 1}"))

    def update_run(self, run, status):
        self.runs[run]["status"] = status

    set_terminated = update_run

    def get_run(self, run):
        return types.SimpleNamespace(data=types.SimpleNamespace(params=dict(self.runs[run]["params"])))

    def log_batch(self, run, params=(), metrics=()):
        if self.down:
            raise ConnectionError("no server")
        assert len(params) <= 100
        for x in params:
            assert isinstance(x.value, str) and x.key not in self.runs[run]["params"]
            self.runs[run]["params"][x.key] = x.value
        for x in metrics:
            self.runs[run]["metrics"].setdefault(x.step, {})[x.key] = x.value

    def log_artifact(self, run, path):
        self.runs[run]["files"].append(path.rpartition("/")[2])

    def set_tag(self, run, key, value):
        self.runs[run]["tags"][key] = value


class FakeWandB(Fake):
    """`wandb.init` and the run that it gives."""

    def modules(self):
        return {"wandb": self.module("wandb", init=self.init, Settings=lambda **options: options)}

    def init(self, *, project, id, resume, name, dir, config, settings, allow_val_change):
        assert (project, resume, allow_val_change) == ("kerascnn", "allow", True)
        if self.down:
            raise RuntimeError("No API key configured.")
        self.run = self.runs.setdefault(id, {"metrics": {}, "files": []})
        self.run |= {"name": name, "params": dict(config), "status": "RUNNING"}
        return self

    def define_metric(self, glob, step_metric):
        assert (glob, step_metric) == ("*", "epoch")

    def log(self, values):
        self.run["metrics"][values["epoch"]] = {key: x for key, x in values.items() if key != "epoch"}

    def save(self, path, base_path, policy):
        assert path.startswith(base_path) and policy == "now"
        self.run["files"].append(path.rpartition("/")[2])

    def finish(self, exit_code):
        self.run["status"] = "KILLED" if exit_code else "FINISHED"


@pytest.fixture
def fakes(monkeypatch):
    made = {"mlflow": FakeMLflow(), "wandb": FakeWandB()}
    for fake in made.values():
        for name, module in fake.modules().items():
            monkeypatch.setitem(sys.modules, name, module)
    for name in ("MLFLOW_EXPERIMENT_NAME", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    return made


def test_a_resumed_run_goes_on_in_the_same_place(fakes, train, tmp_path, monkeypatch):
    out, save = tmp_path / "run", callbacks.record.save

    def killed(model, path):
        if path.name == "epoch_0002.keras":
            raise KeyboardInterrupt
        save(model, path)

    def start():
        return train(out, epochs=2, batch_size=64, hooks=[kind(out) for kind in KINDS.values()])

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(callbacks.record, "save", killed)
        start()
    assert [run["status"] for fake in fakes.values() for run in fake.runs.values()] == ["KILLED", "KILLED"]
    rows = start().rows
    assert set(json.loads((out / "trackers.json").read_text())) == {"mlflow", "wandb"}
    for fake in fakes.values():
        (run,) = fake.runs.values()
        assert run["name"] == "run" and run["status"] == "FINISHED"
        assert run["files"][-4:] == ["config.json", "history.csv", "curves.png", "best.keras"]
        assert [run["metrics"][epoch]["val_loss"] for epoch in (1, 2)] == [row["val_loss"] for row in rows]
        assert run["metrics"][1]["learning_rate"] == pytest.approx(rows[0]["lr"])
        assert str(run["params"]["training.batch_size"]) == "64" and run["params"]["model.name"] == "tiny"
        assert not any(key.startswith(("starts", "asked")) for key in run["params"])


def own_script(folder, kind, epochs=1, **settings):
    """A plain `fit` with the callback."""
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    hook = kind(folder, settings=settings)
    model.fit(np.ones((4, 4)), np.ones((4, 2)), epochs=epochs, verbose=0, callbacks=[hook])


def test_changed_settings_and_servers_that_fail(fakes, tmp_path):
    own_script(tmp_path / "a", callbacks.MLflow, rate=0.1, sizes=[1, 2])
    own_script(tmp_path / "a", callbacks.MLflow, rate=0.2, sizes=[1, 2])
    (run,) = fakes["mlflow"].runs.values()
    assert run["params"] == {"rate": "0.1", "sizes": "[1, 2]"} and run["tags"] == {"resumed.rate": "0.2"}
    for kind, fake in zip(KINDS.values(), fakes.values(), strict=True):
        fake.down = True
        with pytest.raises(InputError, match=f"{kind.title} cannot follow the run .*Received: {tmp_path}"):
            own_script(tmp_path / "b", kind, rate=0.1)


def test_a_server_that_fails_later_ends_nothing(fakes, tmp_path, monkeypatch):
    warned = []
    monkeypatch.setattr("kerascnn.training.callbacks.tracker.logging.warning", lambda *words: warned.append(words))
    monkeypatch.setattr(FakeWandB, "log", lambda self, values: 1 / 0)
    own_script(tmp_path / "a", callbacks.WandB, epochs=2)
    assert len(warned) == 1 and "W&B" in warned[0] and next(iter(fakes["wandb"].runs.values()))["status"] == "FINISHED"


@pytest.mark.parametrize("name", KINDS)
def test_without_the_package_a_line_names_the_extra(name, tmp_path, monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda what, *more: None if what == name else find(what, *more))
    with pytest.raises(InputError, match=rf"pip install 'kerascnn\[{name}\]'. Received: log={name}"):
        KINDS[name](tmp_path)
    base = ["train", "--model", "lenet5", "--data", "digits", "--out", str(tmp_path / "a"), "--log"]
    assert cli.main([*base, name]) == 2
    assert f"kerascnn[{name}]" in capsys.readouterr().err
    assert cli.main([*base, "csv"]) == 2
    assert "log must be one of mlflow, wandb" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", KINDS)
def test_the_real_package_offline(name, tmp_path, monkeypatch):
    pytest.importorskip(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("WANDB_MODE", "offline")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "history.csv").write_text("epoch\n")
    for rate in (0.1, 0.2):
        own_script(tmp_path / "a", KINDS[name], epochs=2, rate=rate)
    if name == "wandb":
        assert len(list((tmp_path / "a" / "wandb").glob("offline-run-*"))) >= 1
        return
    from mlflow import MlflowClient

    client, run = MlflowClient(), json.loads((tmp_path / "a" / "trackers.json").read_text())["mlflow"]
    found = client.get_run(run)
    assert found.info.status == "FINISHED" and found.data.params == {"rate": "0.1"}
    assert found.data.tags["resumed.rate"] == "0.2"
    assert {x.step for x in client.get_metric_history(run, "loss")} == {1, 2}
    assert [x.path for x in client.list_artifacts(run)] == ["history.csv"]
