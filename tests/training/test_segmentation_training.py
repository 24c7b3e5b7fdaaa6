"""Training for segmentation on a tiny network: what it writes, resume, two devices, and what it refuses."""

import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest

from kerascnn import data, training
from kerascnn._errors import InputError
from kerascnn._preprocessing import IMAGENET
from kerascnn.data.masks import IGNORE
from kerascnn.inference import checkpoint
from kerascnn.training import history

SHAPE = (16, 16, 3)
CLASSES = 3


def build(batch_norm=True, classes=CLASSES, shape=SHAPE):
    """[n, h, w, 3] -> [n, h, w, classes]: two convolutions, the second on half the size."""
    inputs = keras.Input(shape)
    x = keras.layers.Conv2D(6, 3, strides=2, padding="same")(inputs)
    if batch_norm:
        x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Conv2D(classes, 3, padding="same")(keras.layers.ReLU()(x))
    outputs = keras.layers.UpSampling2D(2, interpolation="bilinear", dtype="float32", name="logits")(x)
    return keras.Model(inputs, outputs, name="tiny")


@pytest.fixture(scope="module")
def shapes():
    return data.load("shapes:16x16x3,classes=3,examples=24,test=9")


@pytest.fixture(scope="module")
def train(shapes):
    def start(out, build=build, source=shapes, **fields):
        fields = {"batch_size": 8, "epochs": 3, "learning_rate": 0.05, "schedule": "poly", "warmup_epochs": 0.5,
                  "augment": "scale_crop_flip", **fields}  # fmt: skip
        return training.train(
            build, source, training.TrainConfig(**fields), out, preprocessing=IMAGENET,
            model_record={"name": "tiny", "options": {}, "classes": CLASSES, "input_shape": list(SHAPE)},
        )  # fmt: skip

    return start


@pytest.fixture(scope="module")
def whole(tmp_path_factory, train):
    out = tmp_path_factory.mktemp("runs") / "whole"
    train(out)
    return out


def test_the_folder_has_everything(whole):
    rows = history.read(whole / "history.csv")
    assert list(rows[0]) == [
        "epoch", "lr", "loss", "accuracy", "mean_iou", "val_loss", "val_accuracy", "val_mean_iou", "seconds",
    ]  # fmt: skip
    assert all(0 <= row["val_mean_iou"] <= row["val_accuracy"] <= 1 for row in rows)
    # 9 steps, of which 1.5, rounded, are the warm-up; the last step of each epoch is recorded.
    assert [row["lr"] for row in rows] == pytest.approx([0.05 * (1 - step / 9) ** 0.9 for step in (2, 5, 8)])
    assert json.loads((whole / "config.json").read_text())["task"] == "segmentation"
    assert (whole / "curves.png").read_bytes().startswith(b"\x89PNG")
    loaded = checkpoint.load(whole)
    assert loaded.task == "segmentation" and loaded.class_names == ("background", "ellipse", "rectangle")
    outputs = loaded.model(np.zeros([1, *SHAPE], np.float32))
    assert outputs.shape == (1, 16, 16, CLASSES)
    np.testing.assert_allclose(np.asarray(outputs).sum(axis=-1), 1, rtol=1e-5)


def test_the_best_epoch_is_that_of_the_mean_iou():
    rows = [{"val_accuracy": 0.5, "val_mean_iou": 0.4}, {"val_accuracy": 0.6, "val_mean_iou": 0.3}]
    assert history.best(rows, "mean_iou") == 0 and history.best(rows) == 1


def test_a_resumed_run_is_an_uninterrupted_one(whole, tmp_path, train, same_history):
    out = shutil.copytree(whole, tmp_path / "run")
    (out / "checkpoints" / "epoch_0003.keras").unlink()
    history.write(
        out / "history.csv", history.read(out / "history.csv")[:2], list(history.read(out / "history.csv")[0])
    )
    assert train(out).first_epoch == 2
    same_history(out / "history.csv", whole / "history.csv")


@pytest.mark.after
def test_two_devices_give_the_loss_of_one(tmp_path, train):
    rows = {}
    for strategy, devices in (("one", 0), ("mirrored", 2)):
        rows[strategy] = train(
            tmp_path / strategy, lambda: build(batch_norm=False), epochs=2, strategy=strategy, virtual_devices=devices
        ).rows
    for one, two in zip(rows["one"], rows["mirrored"], strict=True):
        for name in ("loss", "accuracy", "mean_iou", "val_loss", "val_accuracy", "val_mean_iou"):
            assert two[name] == pytest.approx(one[name], abs=1e-5), name


def test_mixed_precision_smoothing_and_masks_without_a_class(tmp_path, train, shapes):
    """An image without any class is in the set; nothing becomes NaN by it."""
    split = shapes.split("train")
    masks = split.masks.copy()
    masks[:9] = IGNORE
    source = dataclasses.replace(shapes, splits={**shapes.splits, "train": dataclasses.replace(split, masks=masks)})
    result = train(tmp_path / "run", source=source, mixed_precision="bfloat16", label_smoothing=0.1, augment="none",
                   epochs=1)  # fmt: skip
    assert all(np.isfinite(list(row.values())).all() for row in result.rows)


def test_nan_stops(tmp_path, train):
    with pytest.raises(InputError, match=r"became (nan|inf) in epoch 1"):
        train(tmp_path / "run", lambda: build(batch_norm=False), learning_rate=1e30)


def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path, train, shapes):
    with pytest.raises(InputError, match="joined by .*, for segmentation.*Received: augment='pad_crop_flip'"):
        train(tmp_path / "run", augment="pad_crop_flip")
    split = shapes.split("train")
    masks = split.masks.copy()
    masks[3, 2, 1] = 3
    wrong = dataclasses.replace(shapes, splits={**shapes.splits, "train": dataclasses.replace(split, masks=masks)})
    with pytest.raises(InputError, match="class numbers from 0 to 2, or 255 where there is none. Received: 3"):
        train(tmp_path / "run", source=wrong)
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match=r"must give \(16, 16, 3\) outputs. Received: \(16, 16, 4\)"):
        train(tmp_path / "run", lambda: build(classes=4))
