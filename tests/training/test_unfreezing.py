"""Gradual unfreezing and frozen batch norms: what learns when, in one run and in one that is interrupted."""

import keras
import numpy as np
import pytest
import tiny_runs

from kerascnn._errors import InputError
from kerascnn.inference import checkpoint
from kerascnn.training import callbacks

PARTS = ("stem", "stage1", "stage2", "head")


def staged():
    """[n, 8, 8, 1] -> [n, 10]: three convolutions with batch norm, dropout, dense; logits."""
    x = inputs = keras.Input(tiny_runs.SHAPE)
    for index, name in enumerate(PARTS[:-1]):
        x = keras.layers.Conv2D(4, 3, strides=1 + (index == 1), padding="same", name=f"{name}_conv")(x)
        x = keras.layers.BatchNormalization(name=f"{name}_bn", momentum=0.5)(x)
        x = keras.layers.ReLU(name=f"{name}_relu")(x)
    x = keras.layers.Dropout(0.2)(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, keras.layers.Dense(10, name="head")(x), name="staged")


def values(model):
    return {variable.path: variable.numpy() for variable in model.weights}


def changed(before, after):
    """The parts of which all weights, moving statistics too, differ; a part of which only some do is a fault."""
    differ = {path: not np.array_equal(value, after[path]) for path, value in before.items()}
    parts = {name: {x for path, x in differ.items() if path.startswith(name)} for name in PARTS}
    assert all(len(found) == 1 for found in parts.values()), differ
    return {name for name, found in parts.items() if found == {True}}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, train):
    """Epoch 1: the head; 2: stage2 too; 3 and 4: stage1 too; the stem never. The weights after each epoch, by name."""
    out, seen = tmp_path_factory.mktemp("unfreezing") / "run", []
    save = callbacks.record.save

    def spy(model, path):
        if path.name.startswith("epoch"):
            seen.append((values(model), {x.name for x in model.layers if x.weights and x.trainable}))
        save(model, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks.record, "save", spy)
        result = train(out, build=staged, unfreeze=(1, 2), optimizer="adam", learning_rate=0.01, epochs=4)
    return result, seen


def test_one_part_more_after_the_other(whole):
    seen = whole[1]
    learned = [changed(before[0], after[0]) for before, after in zip(seen, seen[1:], strict=False)]
    assert learned == [{"head", "stage2"}, {"head", "stage2", "stage1"}, {"head", "stage2", "stage1"}]
    assert [len(trainable) for _, trainable in seen] == [1, 3, 5, 5]
    keras.utils.set_random_seed(0)
    assert changed(values(staged()), seen[0][0]) == {"head"}


@pytest.mark.parametrize("after", [1, pytest.param(2, marks=pytest.mark.after)])
def test_resumed_in_the_middle(after, whole, tmp_path, train, same_history, monkeypatch):
    """Killed after an epoch, the run ends with the history of one that was not, whichever parts are trained then."""
    save = callbacks.record.save

    def stops(model, path):
        if path.name == f"epoch_{after + 1:04d}.keras":
            raise OSError("the disk is full")
        save(model, path)

    fields = {"build": staged, "unfreeze": (1, 2), "optimizer": "adam", "learning_rate": 0.01, "epochs": 4}
    with monkeypatch.context() as patch:
        patch.setattr(callbacks.record, "save", stops)
        with pytest.raises(OSError, match="full"):
            train(tmp_path / "run", **fields)
    assert train(tmp_path / "run", **fields).first_epoch == after
    same_history(tmp_path / "run" / "history.csv", whole[0].folder / "history.csv")


@pytest.mark.parametrize("strategy", ["one", pytest.param("mirrored", marks=pytest.mark.after)])
def test_what_is_frozen_stays_so_after_a_load(strategy, tmp_path, train):
    """Weights and moving statistics, to the bit: in the run, and in a `fit` of the model that its file gives back."""

    def start(build=staged, **fields):
        return train(tmp_path / "run", build=build, freeze="stage1", strategy=strategy, epochs=2, **fields)

    keras.utils.set_random_seed(0)
    before = values(staged())
    start()
    model = checkpoint.load(tmp_path / "run").model
    assert changed(before, values(model)) == {"stage2", "head"}
    loaded = values(model)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(0)
    model.fit(rng.normal(5, 3, (32, *tiny_runs.SHAPE)), rng.integers(0, 10, 32), epochs=2, verbose=0)
    assert changed(loaded, values(model)) == {"stage2", "head"}


def test_frozen_first_and_then_gradually(tmp_path, train, caplog):
    with caplog.at_level("INFO", logger="absl"):
        train(tmp_path / "run", build=staged, freeze="stem", unfreeze=(1, 1), layer_decay=0.5, epochs=2)
    assert "from epoch 2 on stage2, stage1 are trained, too" in caplog.text
    model = checkpoint.load(tmp_path / "run" / "checkpoints" / "epoch_0002.keras").model
    assert {x.name for x in model.layers if x.weights and not x.trainable} == {"stem_conv", "stem_bn"}
    with pytest.raises(InputError, match="at most 2 numbers: staged has the parts head, stage2, stage1 to be trained"):
        train(tmp_path / "other", build=staged, freeze="stem", unfreeze=(1, 1, 2), epochs=3)


def test_as_a_callback_of_ones_own():
    model = staged()
    for wrong in ((2, 1), ("2",), (0,), 3):
        with pytest.raises(InputError, match="after must be .*Received: after="):
            callbacks.Unfreeze(model, after=wrong)
    hook = callbacks.Unfreeze(model, after=(1,))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.optimizer.build(model.trainable_variables)
    x, y = np.random.default_rng(0).normal(size=(8, *tiny_runs.SHAPE)), np.arange(8)
    for _ in range(2):  # a second `fit` begins with the head alone again
        before = values(model)
        model.fit(x, y, epochs=1, verbose=0, callbacks=[hook])
        assert changed(before, values(model)) == {"head"}
        model.fit(x, y, epochs=2, initial_epoch=1, verbose=0, callbacks=[hook])
        assert changed(before, values(model)) == {"head", "stage2"}
