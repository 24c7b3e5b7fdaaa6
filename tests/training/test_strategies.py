"""Two logical devices compute what one computes, and devices that cannot be had are refused."""

import dataclasses
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerascnn
from kerascnn._errors import InputError
from kerascnn.training import TrainConfig, callbacks, strategies
from kerascnn.training.callbacks import record


@pytest.mark.after
@pytest.mark.parametrize("batch_norm", [False, True])
def test_two_devices_give_the_loss_of_one(tmp_path, train, network, source, batch_norm):
    """Dropout aside, whose draws are per device; all else is one sum in two parts, in synchronized batch norms too."""
    odd = dataclasses.replace(source, splits={**source.splits, "validation": source.split("validation").first(17, 0)})
    rows = {}  # of 17 = 16 + 1 the second device would get nothing
    for strategy, devices in (("one", 0), ("mirrored", 2)):
        rows[strategy] = train(
            tmp_path / strategy, lambda: network(batch_norm=batch_norm, dropout=0), odd, epochs=1, strategy=strategy,
            batch_statistics="sync" if batch_norm else "average", virtual_devices=devices,
            weight_decay=1e-2, label_smoothing=0.1, augment="pad_crop_flip",
        ).rows  # fmt: skip
    for one, two in zip(rows["one"], rows["mirrored"], strict=True):
        for name in ("loss", "accuracy", "top5", "val_loss", "val_accuracy", "lr"):
            assert two[name] == pytest.approx(one[name], abs=1e-5), name


def test_each_device_draws_its_own_numbers():
    """Left alone, Keras gives both devices the same; and the first of two draws what a single one would."""
    drawn = []
    for names, first in ((["CPU:0", "CPU:1"], 0), (["CPU:1"], 0), (["CPU:0"], 1)):
        strategy = tf.distribute.MirroredStrategy(names, cross_device_ops=tf.distribute.ReductionToOneDevice())
        with strategy.scope():
            model = keras.Sequential([keras.Input((1000,)), keras.layers.Dropout(0.5)])
        hook = callbacks.SeedEpoch(3, first)
        hook.set_model(model)
        hook.on_epoch_begin(1)
        parts = strategy.run(lambda model=model: model(tf.ones([1, 1000]), training=True))
        drawn.append([np.asarray(part) for part in strategy.experimental_local_results(parts)])
    (one, other), (alone,), (second,) = drawn
    assert 350 < (one != other).sum() < 650  # half of the units
    np.testing.assert_array_equal(one, alone)
    np.testing.assert_array_equal(other, second)  # the device of another worker, told how many come before it


DEARER = ("resnet20", "squeezenet1_1", "vit_tiny_patch16_224")


@pytest.mark.parametrize("name", ["lenet5", *(pytest.param(name, marks=pytest.mark.after) for name in DEARER)])
def test_fit_by_keras_itself_where_a_device_gets_no_image(name):
    """17 images in batches of 16: in the last one, the second device has nothing to convolve."""
    # A process that mirrors several models mixes up their collective sums.
    sums = tf.distribute.ReductionToOneDevice()
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], cross_device_ops=sums)
    with strategy.scope():
        model = kerascnn.create_model(name, classes=10, input_shape=(32, 32, 3))
        model.compile("sgd", "sparse_categorical_crossentropy")
    images = np.random.default_rng(0).normal(size=(17, 32, 32, 3)).astype("float32")
    history = model.fit(images, np.arange(17) % 10, batch_size=16, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert np.isfinite(model.predict(images, batch_size=16, verbose=0)).all()


@pytest.mark.parametrize("examples", [2, 3, 5, 17, 33, 64, 1000])
@pytest.mark.parametrize("batch_size", [2, 16, 32, 128])
def test_no_device_is_left_without_examples(examples, batch_size):
    size = strategies.even_batch(examples, batch_size, 2)
    assert size <= batch_size and size % 2 == 0 and size <= examples
    assert examples % size != 1 or size == 2
    assert strategies.even_batch(examples, batch_size, 1) == batch_size
    with pytest.raises(InputError, match="an example for each of the 2 devices. Received: 1 example"):
        strategies.even_batch(1, batch_size, 2)


def test_devices():
    assert strategies.build(TrainConfig(), 7).num_replicas_in_sync == 1
    mirrored = strategies.build(TrainConfig(strategy="mirrored", virtual_devices=2), 8)
    assert mirrored.num_replicas_in_sync == 2
    assert isinstance(mirrored, tf.distribute.MirroredStrategy)
    with pytest.raises(InputError, match="multiple of the 2 devices. Received: batch_size=7"):
        strategies.build(TrainConfig(strategy="mirrored", virtual_devices=2), 7)


def test_the_cpu_cannot_be_split_twice():
    keras.ops.zeros(1)
    with pytest.raises(InputError, match="Received: (virtual_devices=3|3)"):
        strategies.split_cpu(3)


@pytest.mark.after  # a process of its own
def test_the_cpu_is_split_before_its_first_use():
    code = (
        "import sys, tensorflow as tf; from kerascnn.training import strategies; strategies.split_cpu(3); "
        "strategies.split_cpu(3); sys.exit(len(tf.config.list_logical_devices('CPU')))"
    )
    assert subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL).returncode == 3


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["none", "float16"])
def test_a_mirrored_run_goes_on_to_the_same_history(tmp_path, train, monkeypatch, precision):
    """With batch norm, dropout and loss scaling, whose states are per device or in the optimizer."""
    fields = {"strategy": "mirrored", "virtual_devices": 2, "epochs": 3, "mixed_precision": precision}
    whole = train(tmp_path / "whole", **fields).rows
    save = record.save

    def killed(model, path):
        if path.name == "epoch_0002.keras":
            raise KeyboardInterrupt
        save(model, path)

    monkeypatch.setattr(record, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", **fields)
    monkeypatch.undo()
    again = train(tmp_path / "run", **fields)
    assert again.first_epoch == 1
    for one, two in zip(whole, again.rows, strict=True):
        assert {**one, "seconds": 0} == {**two, "seconds": 0}
