"""history.csv, config.json of a run folder, and the curves."""

import json
import os
import shutil
from pathlib import Path

import pytest

from kerascnn._errors import InputError
from kerascnn._preprocessing import LENET, Preprocessing
from kerascnn.inference.run_record import read_config
from kerascnn.training import TrainConfig, curves, history
from kerascnn.training.run_folder import RunFolder, differences, kept

DEAD = 2**22 + 1  # no process has this number: the kernel's limit is below
ROW = {"epoch": 1, "lr": 0.1, "loss": 1 / 3, "accuracy": 0.5, "val_loss": 0.7, "val_accuracy": 0.25, "seconds": 2.0}
RECORD = {
    "kerascnn": "0.1.0",
    "task": "classification",
    "model": {"name": "tiny", "options": {}, "classes": 2, "input_shape": [8, 8, 1]},
    "class_names": ["a", "b"],
    "preprocessing": LENET.to_dict(),
    "data": {
        "name": "digits",
        "data_dir": "/here",
        "sizes": {"train": 9, "validation": 1},
        "fingerprint": {"train": "a"},
    },
    "training": TrainConfig(epochs=3, schedule="constant").to_dict(),
}


FILES = Path(__file__).parents[1] / "golden" / "release_0_1"


@pytest.fixture(autouse=True)
def fresh_keras():
    """Nothing here touches Keras, so there is nothing to clear after each test."""


def changed(part, **values):
    return {**RECORD, part: {**RECORD[part], **values}}


def test_history_keeps_every_bit(tmp_path):
    history.write(tmp_path / "h.csv", [ROW, {**ROW, "epoch": 2}], history.columns(["accuracy"]))
    assert history.read(tmp_path / "h.csv") == [ROW, {**ROW, "epoch": 2}]
    assert (tmp_path / "h.csv").read_text().splitlines()[0] == "epoch,lr,loss,accuracy,val_loss,val_accuracy,seconds"


def test_no_history_is_an_empty_one(tmp_path):
    assert history.read(tmp_path / "none.csv") == []


@pytest.mark.parametrize(
    "contents",
    [
        b"epoch,lr\n1,fast\n", b"epoch,lr\n1\n", b"epoch,lr\n2,0.1\n", b"lr\n1\n", b"epoch\n\xff\xfe\n",
        b"epoch\n\0\n", b"epoch,epoch\n1,1\n", b"epoch\nnan\n", b"epoch\n1e999\n", b"epoch\n" + b"9" * 200_000, b"{}",
        b",\n1,2",
    ],
    ids=range(12),
)  # fmt: skip
def test_damaged_history_is_refused(tmp_path, contents):
    (tmp_path / "h.csv").write_bytes(contents)
    with pytest.raises(InputError, match="history.csv must") as caught:
        history.read(tmp_path / "h.csv", ["epoch"])
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_history_needs_its_columns_and_takes_a_byte_order_mark(tmp_path):
    (tmp_path / "h.csv").write_bytes(b"\xef\xbb\xbfepoch,loss\n1,2\n")
    assert history.read(tmp_path / "h.csv", ["loss", "epoch"]) == [{"epoch": 1, "loss": 2}]
    with pytest.raises(InputError, match="no column val_loss"):
        history.read(tmp_path / "h.csv", ["loss", "val_loss"])
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path, tmp_path / "pipe.csv"):
        with pytest.raises(InputError, match="cannot be read"):
            history.read(path)


def test_best_is_the_first_of_equals():
    rows = [{**ROW, "val_accuracy": value} for value in (0.2, 0.9, 0.9, 0.5)]
    assert history.best(rows) == 1
    assert history.best([]) is None and history.diverged(rows) is None
    rows[1]["val_loss"], rows[2]["val_accuracy"] = float("nan"), float("inf")
    assert history.best(rows) == 3 and history.diverged(rows) == 2
    assert history.best(rows[1:3]) is None


def test_curves_are_a_picture_even_of_one_epoch(tmp_path):
    curves.plot([ROW], tmp_path / "curves.png", "a title")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "record, words",
    [
        (changed("training", learning_rate=0.2), ["learning_rate was 0.1, now 0.2"]),
        (changed("model", name="other"), ['model.name was "tiny", now "other"']),
        ({**RECORD, "class_names": ["b", "a"]}, ['class_names was ["a", "b"], now ["b", "a"]']),
        (changed("training", epochs=2), ["epochs was 3, now 2"]),
        (changed("training", epochs=5), []),
        (changed("training", strategy="mirrored"), []),
        (changed("data", data_dir="/there"), []),
        ({**RECORD, "kerascnn": "9"}, []),
        (changed("data", name="/moved/digits"), []),
        (
            changed("data", name="/moved/digits", fingerprint={"train": "b"}),
            ["train has other examples, as many as before", 'data.name was "digits", now "/moved/digits"'],
        ),
        (
            changed("data", sizes={"train": 10, "validation": 1}, fingerprint={"train": "b"}),
            ["data.sizes.train was 9, now 10"],
        ),
    ],
)
def test_only_what_matters_differs(record, words):
    assert differences(RECORD, record) == words


def claim(path, record):
    run = RunFolder(path)
    with run.hold():
        config = run.agree(record)
        run.claim({**record, "training": config.to_dict()})
    return config


def test_a_folder_belongs_to_one_run(tmp_path):
    claim(tmp_path, changed("training", learning_rate=0.3))  # nothing is trained by it, so it keeps nobody out
    claim(tmp_path, RECORD)
    RunFolder(tmp_path).checkpoint(1).touch()
    claim(tmp_path, RECORD)
    with pytest.raises(InputError, match="another run: learning_rate was 0.1, now 0.2.*Received: "):
        claim(tmp_path, changed("training", learning_rate=0.2))
    assert json.loads((tmp_path / "config.json").read_text()) == {**RECORD, "asked": []}


def test_what_nobody_asked_for_is_as_it_was(tmp_path):
    """The warm-up of a recipe is a tenth of the epochs; raising them does not change it."""
    asked = {"asked": ["epochs"]}
    claim(tmp_path, {**changed("training", epochs=1, warmup_epochs=0.1), **asked})
    RunFolder(tmp_path).checkpoint(1).touch()
    raised = {**changed("training", epochs=2, warmup_epochs=0.2), **asked}
    assert claim(tmp_path, raised).warmup_epochs == 0.1
    with pytest.raises(InputError, match="warmup_epochs was 0.1, now 0.2"):
        claim(tmp_path, {**raised, "asked": ["epochs", "warmup_epochs"]})
    # Asked for at the first start, and not now: another run.
    adam = {**changed("training", optimizer="adam"), "asked": ["optimizer"]}
    assert kept(adam, {**RECORD, "asked": []})["optimizer"] == "sgd"
    assert differences(adam, RECORD) == ['optimizer was "adam", now "sgd"']


def test_a_second_start_at_the_same_time_is_refused(tmp_path):
    """The lock belongs to an open folder, so that a second start in this process stands for one in another."""
    first, second = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "run" / ".." / "run")
    with first.hold():
        first.config.touch()
        with pytest.raises(InputError, match="Another process is training in this folder. Received: "), second.hold():
            pass
    with second.hold():
        pass


def test_a_start_that_fails_claims_nothing(tmp_path):
    with pytest.raises(InputError, match="no weights"), RunFolder(tmp_path / "run").hold():
        raise InputError("no weights")
    assert not list(tmp_path.iterdir())


def test_runs_of_the_first_release_are_refused_with_the_way_out(tmp_path):
    old = shutil.copytree(FILES / "run", tmp_path / "run")
    with pytest.raises(InputError, match="earlier release.*evaluate, predict and export still read it.*Received: "):
        claim(old, RECORD)


def test_results_without_a_config_are_left_alone(tmp_path):
    (tmp_path / "history.csv").write_text("epoch\n1\n")
    with pytest.raises(InputError, match="no config.json"):
        claim(tmp_path, RECORD)
    assert (tmp_path / "history.csv").read_text() == "epoch\n1\n"


def test_leftovers_of_a_kill_are_cleared(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    for number in (DEAD, os.getpid(), os.getppid()):  # of this process, too: it writes nothing yet
        (tmp_path / f".tmp-{number}-best.keras").write_bytes(b"half")
        (tmp_path / f"checkpoints/.tmp-{number}-epoch_0001.keras").write_bytes(b"half")
    claim(tmp_path, RECORD)
    assert {path.name.split("-")[1] for path in tmp_path.rglob(".tmp-*")} == {str(os.getppid())}  # it lives


def test_only_the_newest_checkpoints_are_kept(tmp_path):
    folder = RunFolder(tmp_path)
    folder.checkpoints.mkdir()
    for epoch in (1, 2, 10, 9):
        folder.checkpoint(epoch).touch()
    for name in ("epoch_²².keras", "epoch_99999999999999999999.keras", "epoch_x.keras"):
        (folder.checkpoints / name).touch()
    folder.prune()
    assert folder.saved_epochs() == [9, 10]


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"model": 1}'])
def test_damaged_config_is_refused(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InputError, match="config.json"):
        read_config(tmp_path / "config.json")


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(InputError, match="a file is in the way"), RunFolder(tmp_path / "run").hold():
        pass


_ODD = [None, True, -1, 0, 1.5, 1e400, float("nan"), 10**30, "", "\0", "x" * 1000, [], {}, [[]], [{}], {"a": 1}]
_KEYS = [
    (), ("class_names",), ("data",), ("data", "name"), ("data", "data_dir"), ("data", "sizes"), ("model",),
    ("model", "name"), ("model", "input_shape"), ("model", "options"), ("model", "classes"), ("preprocessing",),
    ("preprocessing", "mean"),
    ("preprocessing", "std"), ("preprocessing", "crop_fraction"), ("preprocessing", "interpolation"),
    ("preprocessing", "fit"), ("training",), ("task",), ("asked",),
]  # fmt: skip


@pytest.mark.parametrize("key", _KEYS, ids=".".join)
def test_an_odd_record_is_read_or_refused_in_one_line(tmp_path, key):
    """Every key missing or odd: an InputError that names it, or a record that the users of it can rely on."""
    path, refused = tmp_path / "config.json", 0
    (tmp_path / "history.csv").touch()
    for value in ["missing", *_ODD]:
        record = json.loads(json.dumps({**RECORD, "asked": []}))
        place = record
        for part in key[:-1]:
            place = place[part]
        if not key:
            record = value
        elif value == "missing":
            del place[key[-1]]
        else:
            place[key[-1]] = value
        path.write_text(json.dumps(record), encoding="utf-8-sig")
        try:
            found = read_config(path)
            Preprocessing.from_dict(found["preprocessing"])
            claim(tmp_path, RECORD)
        except InputError as error:
            refused += 1
            assert "\n" not in str(error) and "Received: " in str(error) and len(str(error)) < 600
    assert refused >= 5


@pytest.mark.parametrize("name", list(RECORD["training"]))
def test_odd_settings_of_an_earlier_start_are_other_settings(tmp_path, name):
    for value in ["missing", None, "1", -1, float("nan"), 10**30, [], {}]:
        training = {**RECORD["training"], name: value}
        if value == "missing":
            del training[name]
        (tmp_path / "config.json").write_text(json.dumps({**RECORD, "training": training}))
        (tmp_path / "history.csv").touch()
        try:
            claim(tmp_path, RECORD)
        except InputError as error:
            assert "\n" not in str(error) and "Received: " in str(error)
