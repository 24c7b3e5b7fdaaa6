"""The callback that counts zeros and dead units, in a run and in `fit`."""

import csv

import keras
import numpy as np
import pytest
from PIL import Image

from kerascnn import explain
from kerascnn._errors import InputError
from kerascnn.training import callbacks


def read(folder):
    with open(folder / "sparsity.csv") as file:
        return list(csv.DictReader(file))


def test_a_run_counts_zeros(train, tmp_path):
    train(tmp_path / "run", epochs=1, sparsity=20)
    (row,) = read(tmp_path / "run")
    assert row["epoch"] == "1" and row["images"] == "20" and row["channels"] == "6"
    assert 0 < float(row["zero_fraction"]) < 1
    with Image.open(tmp_path / "run" / "sparsity.png") as picture:
        assert picture.width == 1000
    assert list((tmp_path / "run" / "tensorboard" / "sparsity").glob("events*"))


def test_the_numbers_are_those_of_the_network_and_go_on(network, tmp_path):
    model = network(dropout=0)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    norm = model.layers[2]
    norm.set_weights([np.array([1, 1, 1, 1, 1, 0]), np.array([0, 0, 0, 0, 0, -1]), *norm.get_weights()[2:]])
    x = np.random.default_rng(0).normal(size=(9, 8, 8, 1)).astype("float32")
    for first, last in ((0, 2), (2, 3), (1, 2)):  # a run of two epochs, resumed, and started again from the first
        watch = callbacks.Sparsity(tmp_path / "new", x[:7])
        model.fit(x, np.zeros((9, 10)), epochs=last, initial_epoch=first, verbose=0, callbacks=[watch])
        rows = read(tmp_path / "new")
        assert [int(row["epoch"]) for row in rows] == list(range(1, last + 1))
    found = explain.activation_statistics(model, x[:7])[rows[-1]["layer"]]
    assert float(rows[-1]["zero_fraction"]) == found.zero_fraction.mean()
    assert int(rows[-1]["dead"]) == found.dead.sum() == 1


def test_refusals(tmp_path):
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    x = np.zeros((2, 8, 8, 1))
    with pytest.raises(InputError, match="layers that end in a ReLU"):
        model.fit(x, np.zeros((2, 2)), verbose=0, callbacks=[callbacks.Sparsity(tmp_path / "a", x)])
    (tmp_path / "sparsity.csv").write_text("epoch\n1\n")
    with pytest.raises(InputError, match="one that a run has written"):
        model.fit(
            x, np.zeros((2, 2)), epochs=2, initial_epoch=1, verbose=0,
            callbacks=[callbacks.Sparsity(tmp_path, x, "dense")],
        )  # fmt: skip
