"""Packed sets: what is written, read back, refused, and what a training sees of them."""

import json
import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerascnn import cli, data
from kerascnn._errors import InputError
from kerascnn._preprocessing import CIFAR
from kerascnn.data import pipeline


def folder_of_images(folder, count=24):
    random = np.random.RandomState(0)
    for name in "ab":
        (folder / name).mkdir(parents=True)
        for number in range(count // 2):
            pixels = random.randint(0, 256, (12 + number, 16, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:02}.jpg", quality=95)
    return folder


def pixels(source, part):
    """Name -> (image, label)."""
    elements = source.dataset(part).as_numpy_iterator()
    return {name: element for name, element in zip(source.split(part).names, elements, strict=True)}


@pytest.mark.after
def test_files_come_back_as_they_were(tmp_path):
    source = data.load(folder_of_images(tmp_path / "set"))
    told = []
    done = data.pack(source, tmp_path / "packed", shard_bytes=4000, told=lambda *values: told.append(values))
    assert done.sizes == source.sizes and not done.damaged and told[-1][1:] == (source.sizes["test"],) * 2
    assert done.files == len(os.listdir(tmp_path / "packed")) and len(list(done.folder.glob("train-*"))) > 2
    packed = data.load(tmp_path / "packed")
    assert packed.name == "set" and packed.class_names == ("a", "b") and packed.mirrored
    for part in data.source.SPLITS:
        before, after = pixels(source, part), pixels(packed, part)
        assert before.keys() == after.keys()
        assert (list(before) == list(after)) == (part != "train")
        for name, (image, label) in before.items():
            np.testing.assert_array_equal(after[name][0], image)
            assert after[name][1] == label
    assert data.load(**packed.location).record() == packed.record()


def test_arrays_and_streams(tmp_path):
    source = data.load("digits", limit=20)
    data.pack(source, tmp_path / "one")
    packed = data.load(tmp_path / "one")
    assert packed.image_shape == (8, 8, 1) and not packed.mirrored
    data.pack(packed, tmp_path / "two")  # a stream
    again = data.load(tmp_path / "two")
    for part in ("train", "test"):
        before = pixels(source, part)
        for name, (image, label) in pixels(again, part).items():
            np.testing.assert_array_equal(image, before[name][0])
            assert label == before[name][1]


@pytest.mark.parametrize("keep", [True, False])
def test_training_sees_every_image_once_an_epoch(tmp_path, monkeypatch, keep):
    if not keep:
        monkeypatch.setattr(pipeline, "CACHE_BYTES", 0)
    source = data.load("synthetic:8x8x3,classes=4,examples=40,validation=4,test=4")
    data.pack(source, tmp_path / "packed", shard_bytes=600)
    packed = data.load(tmp_path / "packed")

    def epochs(first, augment="none"):
        feed, steps = data.train_pipeline(
            packed, image_shape=(8, 8, 3), preprocessing=CIFAR, batch_size=10, seed=1, first_epoch=first, epochs=3,
            augment=augment,
        )  # fmt: skip
        batches = [images for images, _ in feed.as_numpy_iterator()]
        return [np.concatenate(batches[i : i + steps]) for i in range(0, len(batches), steps)]

    one, two, three = epochs(0)
    flat = [sorted(map(bytes, epoch)) for epoch in (one, two, three)]
    assert flat[0] == flat[1] == flat[2] and len(set(flat[0])) == 40
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal(epochs(2)[0], three)  # a resumed run
    assert epochs(2, "random_resized_crop")[0].shape == three.shape


def test_windows_are_those_of_the_files(tmp_path, monkeypatch):
    """A random resized crop decodes a part of each JPEG, here as from a folder."""
    monkeypatch.setattr(pipeline, "CACHE_BYTES", 0)
    source = data.load(folder_of_images(tmp_path / "set"))
    data.pack(source, tmp_path / "packed")
    split = data.load(tmp_path / "packed").split("train")
    contents, _ = next(iter(split.read()))
    part = split.window(contents, lambda height, width: tf.unstack(tf.constant([2, 3, 5, 7])))
    np.testing.assert_array_equal(part, split.decode(contents)[2:7, 3:10])


def test_damaged_images_are_refused_or_counted(tmp_path):
    folder = folder_of_images(tmp_path / "set")
    source = data.load(folder)
    broken = [name for name in source.split("train").names[:2]]
    for name in broken:
        (folder / name).write_bytes((folder / name).read_bytes()[:200])
    with pytest.raises(InputError, match=r"Received: .*\.jpg.*skip_damaged"):
        data.pack(source, tmp_path / "packed")
    assert os.listdir(tmp_path) == ["set"]  # nothing is left
    done = data.pack(source, tmp_path / "packed", skip_damaged=True)
    assert sorted(line.partition(":")[0] for line in done.damaged) == sorted(broken)
    assert done.sizes["train"] == source.sizes["train"] - 2
    data.check_images(data.load(tmp_path / "packed"))


def test_what_cannot_be_packed(tmp_path):
    source = data.load("digits", limit=4)
    with pytest.raises(InputError, match="Sets with labels.*shapes, for segmentation"):
        data.pack(data.load("shapes", limit=2), tmp_path / "packed")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    with pytest.raises(InputError, match="must not exist, or be empty"):
        data.pack(source, tmp_path / "full")
    with pytest.raises(InputError, match="shard_bytes"):
        data.pack(source, tmp_path / "packed", shard_bytes=0)
    assert sorted(os.listdir(tmp_path)) == ["full"]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small") / "set"
    data.pack(data.load("digits", limit=6), folder)
    return folder


def change(folder, **values):
    index = json.loads((folder / "kerascnn.json").read_text())
    (folder / "kerascnn.json").write_text(json.dumps({**index, **values}))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"version": 2}, "version 1. Received: 'packed images', version 2"),
        ({"format": "other"}, "format 'packed images'"),
        ({"class_names": ["a", "a"]}, "class_names, different texts"),
        ({"class_names": "ab"}, "must have class_names, a list"),
        ({"image_shape": [8, 8, 2]}, "image_shape"),
        ({"image_shape": [8, "8", 1]}, "image_shape"),
        ({"splits": {"train": []}}, "must have the parts"),
        ({"splits": {part: [] for part in ("train", "validation", "test")}}, "as many names"),
        ({"splits": {part: 3 for part in ("train", "validation", "test")}}, "must tell file, examples, bytes"),
        (
            {
                "splits": {
                    part: [{"file": "../secret", "examples": 6, "bytes": 1}] for part in ("train", "validation", "test")
                }
            },
            "must name files beside it",
        ),
    ],
)
def test_an_index_that_lies(small, values, message):
    before = (small / "kerascnn.json").read_text()
    try:
        change(small, **values)
        with pytest.raises(InputError, match=message):
            data.load(small)
    finally:
        (small / "kerascnn.json").write_text(before)


def test_files_that_are_cut_or_changed(small, tmp_path):
    file = small / "train-00000.tfrecord"
    before = file.read_bytes()
    try:
        file.write_bytes(before[:-1])
        with pytest.raises(InputError, match="must have .* bytes, as kerascnn.json"):
            data.load(small)
        file.write_bytes(before[:-30] + b"x" + before[-29:])
        source = data.load(small)
        with pytest.raises(InputError, match="damaged after the record of"):
            data.check_images(source)
        file.unlink()
        with pytest.raises(InputError, match="no such file"):
            data.load(small)
    finally:
        file.write_bytes(before)
    before = (small / "test.labels.npy").read_bytes()
    for contents, message in (
        (before[:-1], "labels of the examples cannot be read"),
        (b"", "labels of the examples cannot be read"),
        (before.replace(b"<i8", b"|O8"), "labels of the examples cannot be read"),  # a pickle
        (before[:-8] + b"\x0c" + bytes(7), "must be from 0 to 9. Received: 12"),
    ):
        (small / "test.labels.npy").write_bytes(contents)
        with pytest.raises(InputError, match=message):
            data.load(small)
    np.save(small / "test.labels.npy", (data.load("digits", limit=6).split("test").numbers + 1) % 10)
    with pytest.raises(InputError, match=r"label of .* must be that of the list"):
        data.check_images(data.load(small))
    np.save(small / "test.labels.npy", np.zeros([5], np.int64))
    with pytest.raises(InputError, match=r"must hold 6 labels, int64. Received: int64 \(5,\)"):
        data.load(small)
    (small / "test.names").write_bytes(b"a\0b")
    with pytest.raises(InputError, match="Received: 2 in test.names"):
        data.load(small)


def test_commands(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = folder_of_images(tmp_path / "set")
    assert cli.main("data check --data ./set".split()) == 0
    said = capsys.readouterr().out
    assert "set: 2 classes" in said and "Every image can be decoded." in said
    first = data.load(folder).split("train").names[0]
    (folder / first).write_bytes(b"\xff\xd8 nothing")
    assert cli.main("data check --data ./set".split()) == 2
    said = capsys.readouterr()
    assert first in said.out and "Received: 1 damaged files in set" in said.err
    assert cli.main("data pack --data ./set --out packed".split()) == 2
    assert "skip_damaged" in capsys.readouterr().err
    assert cli.main("data pack --data ./set --out packed --skip_damaged".split()) == 0
    said = capsys.readouterr().out
    assert f"left out: {first}" in said and "use it as --data packed" in said
    assert sum(data.load("packed").sizes.values()) == 23
    assert cli.main("data pack --data ./set".split()) == 2
    assert "needs --out" in capsys.readouterr().err
