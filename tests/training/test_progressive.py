"""Progressive resizing: the images of each epoch have the size that was asked for, and no interruption changes that."""

import keras
import numpy as np
import pytest
import tiny_runs

import kerascnn
from kerascnn import training
from kerascnn._errors import InputError
from kerascnn.models import AuxiliaryModel
from kerascnn.training import TrainConfig, callbacks, history, progressive

FIELDS = {"schedule": "constant", "warmup_epochs": 0.0, "learning_rate": 0.02, "batch_size": 16}


def pooled(side=8):
    """[n, side, side, 1] -> [n, 10]: two convolutions with batch norm, global pool, dropout, dense."""
    x = inputs = keras.Input((side, side, 1))
    for index in range(2):
        x = keras.layers.Conv2D(6, 3, padding="same", name=f"conv{index}")(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.5, name=f"bn{index}")(x))
    x = keras.layers.Dropout(0.2)(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, keras.layers.Dense(10, name="head")(x), name="pooled")


SETTINGS = {"build": pooled, "epochs": 3, "progressive": (4, 8), "progressive_parts": (0.5,), **FIELDS}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, train):
    """Two epochs at 4 pixels, one at 8."""
    return train(tmp_path_factory.mktemp("progressive") / "run", **SETTINGS)


def test_an_epoch_is_that_of_a_network_of_its_size(whole, train, tmp_path):
    """The first epoch equals one of a network that is built for 4 pixels, and is none of 8 pixels."""
    small = train(tmp_path / "small", build=lambda: pooled(4), shape=(4, 4, 1), epochs=1, **FIELDS)
    large = train(tmp_path / "large", build=pooled, epochs=1, **FIELDS)
    assert whole.rows[0]["loss"] == pytest.approx(small.rows[0]["loss"], rel=1e-5)
    assert abs(whole.rows[0]["loss"] - large.rows[0]["loss"]) > 1e-3
    assert abs(whole.rows[0]["val_loss"] - small.rows[0]["val_loss"]) > 1e-3  # it is measured at 8 pixels


def test_history_and_best_tell_the_sizes(whole):
    rows = history.read(whole.folder / "history.csv")
    assert [row["image_size"] for row in rows] == [4, 4, 8]
    assert "\n1," in (text := (whole.folder / "history.csv").read_text()) and ",4," in text.splitlines()[1]
    assert keras.saving.load_model(whole.folder / "best.keras", compile=False).input_shape == (None, 8, 8, 1)


@pytest.mark.after
def test_a_resumed_run_goes_on_at_the_right_size(whole, train, tmp_path, monkeypatch, same_history):
    out, save = tmp_path / "run", callbacks.record.save

    def killed(model, path):
        if path.name == "epoch_0002.keras":
            raise KeyboardInterrupt
        save(model, path)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(callbacks.record, "save", killed)
        train(out, **SETTINGS)
    assert train(out, **SETTINGS).first_epoch == 1
    same_history(out / "history.csv", whole.folder / "history.csv")
    with pytest.raises(InputError, match="progressive was"):
        train(out, **{**SETTINGS, "progressive": (2, 8)})


def test_parts_of_a_run():
    def sizes(first=0, **fields):
        return [x.size for x in progressive.parts(TrainConfig(**fields), first) for _ in range(x.first, x.last)]

    assert sizes(epochs=7, progressive=(2, 3, 4)) == [2, 2, 3, 3, 3, 4, 4]
    assert sizes(4, epochs=7, progressive=(2, 3, 4)) == [3, 4, 4]
    assert sizes(epochs=10, progressive=(2, 3), progressive_parts=(0.9,)) == [2] * 9 + [3]
    assert sizes(epochs=2) == [None, None]
    assert sizes(3, epochs=3, progressive=(2, 3)) == []


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"progressive": (8, 8)}, "sizes in pixels that rise"),
        ({"progressive": (0, 8)}, "a whole number"),
        ({"progressive": "8"}, "sizes in pixels"),
        ({"progressive": (4, 8), "progressive_parts": (0.2, 0.4)}, "one less than the sizes"),
        ({"progressive_parts": (0.2,)}, "one less than the sizes"),
        ({"progressive": (4, 6, 8), "epochs": 2}, "at most epochs=2 sizes"),
    ],
)
def test_settings_that_cannot_be(fields, message):
    with pytest.raises(InputError, match=message):
        TrainConfig(**fields)


def test_networks_for_one_size_are_refused_before_anything_is_written(train, tmp_path):
    with pytest.raises(InputError, match="do not depend on the size.*tiny.*4 pixels"):
        train(tmp_path / "a", build=tiny_runs.build, epochs=2, progressive=(4, 8), warmup_epochs=0.0)
    with pytest.raises(InputError, match="end with the size of the network's input, 8 x 8"):
        train(tmp_path / "b", build=pooled, epochs=2, progressive=(4, 6), warmup_epochs=0.0)
    assert not any(tmp_path.iterdir())


def test_layers_that_keep_a_size_are_found_by_what_they_compute():
    class Scaled(keras.layers.Layer):
        def build(self, input_shape):
            self.factor = 1.0 / input_shape[1]

        def call(self, x):
            return x * self.factor

    inputs = keras.Input((8, 8, 1))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(Scaled()(inputs))))
    with pytest.raises(InputError, match="compute something else at another"):
        progressive.check(model, (4, 8))


@pytest.mark.parametrize("name, works", [("resnet18", True), ("vit_tiny_patch16_224", False)])
def test_real_networks(name, works):
    model = kerascnn.create_model(name, input_shape=(64, 64, 3), classes=3)
    if works:
        progressive.check(model, (32, 48, 64))
        with progressive.any_size(model):
            assert model(np.zeros((2, 48, 48, 3), np.float32)).shape == (2, 3)
        with pytest.raises(ValueError):
            model(np.zeros((2, 48, 48, 3), np.float32))
    else:
        with pytest.raises(InputError, match="32 pixels"):
            progressive.check(model, (32, 64))


@pytest.mark.parametrize("pool, works", [(keras.layers.GlobalAveragePooling2D, True), (keras.layers.Flatten, False)])
def test_auxiliary_heads_count(pool, works):
    inputs = keras.Input((8, 8, 1))
    inner = keras.layers.Conv2D(4, 3)(inputs)
    main = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(inner)))
    model = AuxiliaryModel(inputs, [main, keras.layers.Dense(3)(pool()(inner))], auxiliary_weights=[0.3])
    if not works:
        with pytest.raises(InputError, match="progressive is for"):
            progressive.check(model, (6, 8))
        return
    progressive.check(model, (6, 8))
    with progressive.any_size(model):
        for training in (True, False):
            outputs = keras.tree.flatten(model(np.zeros((2, 6, 6, 1), np.float32), training=training))
            assert [x.shape for x in outputs] == [(2, 3)] * (1 + training)


def test_a_plan_refuses_what_the_network_does_not_take():
    from kerascnn import data

    info, source = kerascnn.model_info("resnet20"), data.load("digits")
    assert training.plan(info, source, image_size=32, progressive=(16, 32), epochs=2).config.progressive == (16, 32)
    with pytest.raises(InputError, match="must end with the size of the network's input, 8 x 8"):
        training.plan(info, source, progressive=(16, 32), epochs=2)
    with pytest.raises(InputError, match="image_size=1"):
        training.plan(kerascnn.model_info("googlenet"), source, image_size=224, progressive=(1, 224), epochs=2)
