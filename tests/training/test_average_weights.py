"""The average of the weights against its formula; measured, kept, resumed; the end of a run that gets no better."""

import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.training import history
from kerascnn.training.callbacks import AverageWeights

X = np.random.default_rng(0).normal(size=(32, 3)).astype("float32")
Y = X @ np.float32([[1], [-2], [0.5]])


def network():
    net = keras.Sequential(
        [keras.Input((3,)), keras.layers.BatchNormalization(), keras.layers.Dropout(0.1), keras.layers.Dense(1)]
    )
    net.compile(keras.optimizers.SGD(0.05), "mse")
    return net


class Seen(keras.callbacks.Callback):
    """The weights after each step."""

    def __init__(self):
        super().__init__()
        self.weights = []

    def on_train_batch_end(self, batch, logs=None):
        self.weights.append([x.numpy() for x in self.model.weights])


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_formula(accumulate):
    net, average, seen = network(), AverageWeights(0.3, accumulate), Seen()
    expected = net.get_weights()
    net.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0, callbacks=[average, seen])
    for step, weights in enumerate(seen.weights[accumulate - 1 :: accumulate], 1):
        keep = min(0.3, (1 + step) / (10 + step))
        expected = [keep * x + (1 - keep) * y for x, y in zip(expected, weights, strict=True)]
    with average.applied():
        found = net.get_weights()
    for left, right, now in zip(found, expected, net.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-6)
        assert np.abs(now - left).max() > 1e-4  # batch statistics are averaged, too
    np.testing.assert_array_equal(net.get_weights()[0], seen.weights[-1][0])


def test_the_average_is_what_is_measured():
    net, average = network(), AverageWeights(0.9)
    logs = net.fit(X, Y, batch_size=8, verbose=0, callbacks=[average], validation_data=(X, Y)).history
    with average.applied():
        assert logs["val_loss"][-1] == pytest.approx(net.evaluate(X, Y, verbose=0), rel=1e-5)
    assert logs["val_loss"][-1] != pytest.approx(net.evaluate(X, Y, verbose=0), rel=1e-3)


def test_keras_leaves_batch_statistics_out():
    net = network()
    net.compile(keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.9), "mse")
    net.fit(X, Y, batch_size=8, verbose=0)
    assert len(net.optimizer._model_variables_moving_average) == len(net.trainable_variables) < len(net.weights)


def test_a_file_of_it(tmp_path):
    net, average = network(), AverageWeights(0.9)
    net.fit(X, Y, batch_size=8, verbose=0, callbacks=[average])
    average.save(tmp_path / "average.npz")
    again = AverageWeights(0.9)
    again.set_model(net)
    again.load(tmp_path / "average.npz")
    with average.applied():
        first = net.get_weights()
    with again.applied():
        for left, right in zip(first, net.get_weights(), strict=True):
            np.testing.assert_array_equal(left, right)
    (tmp_path / "half.npz").write_bytes((tmp_path / "average.npz").read_bytes()[:-50])
    other = AverageWeights(0.9)
    other.set_model(keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]))
    for one, name in ((again, "half.npz"), (again, "none.npz"), (other, "average.npz")):
        with pytest.raises(InputError, match="The average of the weights cannot be read"):
            one.load(tmp_path / name)


@pytest.mark.parametrize("fields", [{"decay": 0.0}, {"decay": 1.0}, {"decay": 0.9, "accumulate": 0}], ids=str)
def test_what_is_refused(fields):
    with pytest.raises(InputError, match="must be a"):
        AverageWeights(**fields)


def test_on_two_devices():
    devices = [device.name for device in tf.config.list_logical_devices("CPU")]
    strategy = tf.distribute.MirroredStrategy(devices, cross_device_ops=tf.distribute.ReductionToOneDevice())
    with strategy.scope():
        net = network()
    average, start = AverageWeights(0.5), net.get_weights()
    net.fit(X, Y, batch_size=32, verbose=0, callbacks=[average])
    keep = 2 / 11
    with average.applied():
        kernel = net.get_weights()[2]
    np.testing.assert_allclose(kernel, keep * start[2] + (1 - keep) * net.get_weights()[2], rtol=1e-5)
    for variable in net.weights:  # put back on every device
        parts = [x.numpy() for x in strategy.experimental_local_results(variable.value)]
        if variable.trainable:
            np.testing.assert_array_equal(*parts)


NAMES = history.columns(["accuracy", "top5"])
FIELDS = {"ema": 0.95, "schedule": "constant"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, train):
    """The folder of one uninterrupted run."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    train(out, **FIELDS)
    return out


def test_a_run_keeps_the_average(whole):
    names = sorted(path.name for path in (whole / "checkpoints").iterdir())
    assert names == [f"epoch_000{n}.{kind}" for n in (2, 3) for kind in ("average.npz", "keras")]
    epoch = history.best(history.read(whole / "history.csv")) + 1
    assert epoch >= 2  # its checkpoint is there
    best, raw = (
        keras.models.load_model(whole / name, compile=False)
        for name in ("best.keras", f"checkpoints/epoch_000{epoch}.keras")
    )
    kept = np.load(whole / "checkpoints" / f"epoch_000{epoch}.average.npz")
    np.testing.assert_array_equal(best.weights[0].numpy(), kept["0"])
    assert np.abs(raw.weights[0].numpy() - kept["0"]).max() > 1e-4


def test_a_run_resumes_with_it_and_a_damaged_one_is_a_damaged_checkpoint(whole, tmp_path, train, same_history, caplog):
    out = shutil.copytree(whole, tmp_path / "run")
    (out / "checkpoints" / "epoch_0003.average.npz").write_bytes(b"half of it")
    with caplog.at_level("WARNING", logger="absl"):
        assert train(out, **FIELDS, epochs=4).first_epoch == 2
    assert "The average of the weights cannot be read" in caplog.text
    history.write(out / "history.csv", history.read(out / "history.csv")[:3], NAMES)
    same_history(out / "history.csv", whole / "history.csv")


@pytest.mark.after
def test_a_run_stops_early_and_is_then_finished(tmp_path, train):
    fields = {"early_stopping": 1, "epochs": 9, "learning_rate": 1e-9, "schedule": "constant", "augment": "none"}
    result = train(tmp_path / "run", **fields)
    losses = [row["val_loss"] for row in result.rows]
    assert len(losses) < 9 and losses[-1] >= min(losses[:-1])
    again = train(tmp_path / "run", **fields)
    assert again.first_epoch == len(again.rows) == len(losses)
