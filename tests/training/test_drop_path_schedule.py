"""Scheduled drop-path in a run: the progress follows the steps, is kept in files and is resumed."""

import shutil

import keras
import numpy as np
import pytest

from kerascnn import training
from kerascnn._errors import InputError
from kerascnn.layers import Progress, ScheduledDropPath
from kerascnn.training import history

SHAPE = (8, 8, 1)


def build():
    inputs = keras.Input(SHAPE)
    progress = Progress(name="progress")(inputs)
    x = keras.layers.Conv2D(6, 3, strides=2, activation="relu")(inputs)
    y = ScheduledDropPath(0.5)([keras.layers.Conv2D(6, 3, padding="same", activation="relu")(x), progress])
    x = keras.layers.Flatten()(keras.layers.Add()([x, y]))
    return keras.Model(inputs, keras.layers.Dense(10, dtype="float32")(x), name="tiny")


def saved(path):
    return float(keras.models.load_model(path, compile=False).get_layer("progress").progress)


@pytest.mark.parametrize(
    "fields",
    [
        {"strategy": "mirrored", "virtual_devices": 2},
        pytest.param({"mixed_precision": "bfloat16"}, marks=pytest.mark.after),
    ],
    ids=["mirrored", "bfloat16"],
)
def test_the_progress_follows_the_steps(train, tmp_path, fields):
    result = train(tmp_path / "run", build, epochs=2, **fields)
    assert result.rows[-1]["loss"] < result.rows[0]["loss"]
    checkpoints = tmp_path / "run/checkpoints"
    # Four steps an epoch; the last step of an epoch began at 3/8 and 7/8 of the training.
    assert saved(checkpoints / "epoch_0001.keras") == 3 / 8
    assert saved(checkpoints / "epoch_0002.keras") == 7 / 8


@pytest.mark.after
def test_a_run_goes_on_where_it_was(train, tmp_path, same_history):
    train(tmp_path / "whole", build, epochs=2)
    again = tmp_path / "again"
    shutil.copytree(tmp_path / "whole", again)
    history.write(again / "history.csv", history.read(again / "history.csv")[:1], history.columns(["accuracy", "top5"]))
    (again / "checkpoints/epoch_0002.keras").unlink()
    assert train(again, build, epochs=2).first_epoch == 1
    assert saved(again / "checkpoints/epoch_0002.keras") == 7 / 8
    same_history(again / "history.csv", tmp_path / "whole/history.csv")


def test_it_works_with_plain_fit():
    model = build()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = np.zeros((8, *SHAPE), "float32"), np.zeros(8, "int32")
    model.fit(x, y, batch_size=4, epochs=2, verbose=0, callbacks=[training.ScheduleDropPath(2, 2)])
    assert float(model.get_layer("progress").progress) == 3 / 4
    outer = keras.Sequential([keras.Input(SHAPE), model])  # a model inside a model
    outer.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    outer.fit(x, y, batch_size=4, epochs=1, verbose=0, callbacks=[training.ScheduleDropPath(4, 2)])
    assert float(model.get_layer("progress").progress) == 1 / 8


def test_errors(network):
    for arguments in ((0, 1), (1, 1.5), (True, 1)):
        with pytest.raises(InputError, match="must be a whole number, at least 1"):
            training.ScheduleDropPath(*arguments)
    model = network()
    model.compile("sgd", "mse")
    with pytest.raises(InputError, match="drop_path_rate > 0"):
        model.fit(np.zeros((4, *SHAPE)), np.zeros((4, 10)), verbose=0, callbacks=[training.ScheduleDropPath(1, 1)])
