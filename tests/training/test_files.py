"""history.csv, config.json of a run folder, and the curves."""

import json

import pytest

from kerascnn._errors import InputError
from kerascnn.training import curves, history
from kerascnn.training.run_folder import RunFolder, differences, read_config

ROW = {"epoch": 1, "lr": 0.1, "loss": 1 / 3, "accuracy": 0.5, "val_loss": 0.7, "val_accuracy": 0.25, "seconds": 2.0}
RECORD = {
    "kerascnn": "0.1.0",
    "model": {"name": "tiny"},
    "class_names": ["a", "b"],
    "preprocessing": {},
    "data": {"name": "digits", "data_dir": "/here"},
    "training": {"epochs": 3, "learning_rate": 0.1, "schedule": "constant", "strategy": "one"},
}


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


@pytest.mark.parametrize("text", ["epoch,lr\n1,fast\n", "epoch,lr\n1\n", "epoch,lr\n2,0.1\n", "lr\n1\n", "\x00\xff"])
def test_damaged_history_is_refused(tmp_path, text):
    (tmp_path / "h.csv").write_bytes(b"epoch\n\xff\xfe\n" if "\x00" in text else text.encode())
    with pytest.raises(InputError, match="history.csv must"):
        history.read(tmp_path / "h.csv")


def test_best_is_the_first_of_equals():
    rows = [{**ROW, "val_accuracy": value} for value in (0.2, 0.9, 0.9, 0.5)]
    assert history.best(rows) == 1
    assert history.best([]) is None


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
    ],
)
def test_only_what_matters_differs(record, words):
    assert differences(RECORD, record) == words


def test_a_folder_belongs_to_one_run(tmp_path):
    RunFolder(tmp_path).claim(RECORD)
    RunFolder(tmp_path).claim(RECORD)
    with pytest.raises(InputError, match="another run: learning_rate was 0.1, now 0.2.*Received: "):
        RunFolder(tmp_path).claim(changed("training", learning_rate=0.2))
    assert json.loads((tmp_path / "config.json").read_text()) == RECORD


def test_results_without_a_config_are_left_alone(tmp_path):
    (tmp_path / "history.csv").write_text("epoch\n1\n")
    with pytest.raises(InputError, match="no config.json"):
        RunFolder(tmp_path).claim(RECORD)
    assert (tmp_path / "history.csv").read_text() == "epoch\n1\n"


def test_leftovers_of_a_kill_are_cleared(tmp_path):
    folder = RunFolder(tmp_path)
    (tmp_path / ".tmp-1-best.keras").write_bytes(b"half")
    (tmp_path / "checkpoints" / ".tmp-1-epoch_0001.keras").write_bytes(b"half")
    folder.claim(RECORD)
    assert not list(tmp_path.rglob(".tmp-*"))


def test_only_the_newest_checkpoints_are_kept(tmp_path):
    folder = RunFolder(tmp_path)
    for epoch in (1, 2, 10, 9):
        folder.checkpoint(epoch).touch()
    folder.prune()
    assert folder.saved_epochs() == [9, 10]


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"model": 1}'])
def test_damaged_config_is_refused(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InputError, match="config.json"):
        read_config(tmp_path / "config.json")


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(InputError, match="a file is in the way"):
        RunFolder(tmp_path / "run")
