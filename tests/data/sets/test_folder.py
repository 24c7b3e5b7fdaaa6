"""Folders of images: how they are divided, numbered and refused."""

import numpy as np
import pytest
import tensorflow as tf

from kerascnn import data
from kerascnn._errors import InputError
from kerascnn._preprocessing import CIFAR


def write_images(folder, counts, size=(6, 7), channels=3):
    """PNG files of random pixels in one sub-folder per class."""
    random = np.random.RandomState(0)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = random.randint(0, 256, (*size, channels)).astype(np.uint8)
            tf.io.write_file(str(folder / name / f"{number:02}.png"), tf.io.encode_png(pixels))
    return folder


def test_train_and_val(tmp_path):
    write_images(tmp_path / "train", {"dog": 3, "cat": 2})
    write_images(tmp_path / "val", {"dog": 2})
    (tmp_path / "train" / "cat" / ".DS_Store").write_text("left by a file manager")
    (tmp_path / "LICENSE.txt").write_text("beside the folders")
    source = data.load(str(tmp_path))
    assert source.name == tmp_path.name
    assert source.class_names == ("cat", "dog") and source.image_shape == (None, None, 3)
    assert source.sizes == {"train": 5, "test": 2}
    images, labels = zip(*source.dataset("train").as_numpy_iterator(), strict=True)
    assert list(labels) == [0, 0, 1, 1, 1]
    assert list(source.dataset("test").map(lambda _, label: label).as_numpy_iterator()) == [1, 1]
    written = tf.io.decode_png(tf.io.read_file(str(tmp_path / "train" / "dog" / "02.png")))
    np.testing.assert_array_equal(images[4], written)


def test_classes_alone_are_divided_by_seed(tmp_path):
    write_images(tmp_path, {"a": 20, "b": 10, "c": 1})
    splits = [data.load(str(tmp_path), seed=seed).splits for seed in (0, 0, 1)]
    assert [splits[0][name].size for name in ("train", "test")] == [18 + 9 + 1, 2 + 1]
    assert not set(splits[0]["train"].paths) & set(splits[0]["test"].paths)
    assert splits[0]["test"].paths == splits[1]["test"].paths != splits[2]["test"].paths
    assert splits[0]["train"].numbers.tolist() == [0] * 18 + [1] * 9 + [2]


def test_limit_takes_from_all_classes(tmp_path):
    write_images(tmp_path, {"a": 20, "b": 20, "c": 20})
    source = data.load(str(tmp_path), limit=12)
    assert source.sizes == {"train": 12, "test": 6}
    assert set(source.split("train").numbers) == {0, 1, 2}
    assert source.split("train").paths == data.load(str(tmp_path), limit=12).split("train").paths


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ((), "one sub-folder per class"),
        (("train",), "Beside train/"),
        (("train", "test"), "one sub-folder per class"),
        (("train/a", "test/a"), "must have images.*/a"),
        (("a", "b"), "must have images.*/a"),
    ],
)
def test_empty_folders(tmp_path, folders, message):
    for name in folders:
        (tmp_path / name).mkdir(parents=True)
    with pytest.raises(InputError, match=message):
        data.load(str(tmp_path))


def test_single_images_leave_nothing_to_test(tmp_path):
    write_images(tmp_path, {"a": 1, "b": 1})
    with pytest.raises(InputError, match="needs two images"):
        data.load(str(tmp_path))


def test_class_only_in_test(tmp_path):
    write_images(tmp_path / "train", {"a": 1})
    write_images(tmp_path / "test", {"a": 1, "new": 1})
    with pytest.raises(InputError, match=r"must be classes of train/.*\['new'\]"):
        data.load(str(tmp_path))


def test_file_that_is_no_image(tmp_path):
    write_images(tmp_path, {"a": 2})
    (tmp_path / "a" / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match="notes.txt"):
        data.load(str(tmp_path))


def damage(folder):
    path = folder / "a" / "01.png"
    path.write_bytes(path.read_bytes()[:60])
    return path


@pytest.mark.parametrize("augment", ["none", "random_resized_crop"])
def test_damaged_image_is_named_when_the_memory_is_filled(tmp_path, augment):
    write_images(tmp_path / "train", {"a": 3})
    write_images(tmp_path / "test", {"a": 1})
    path = damage(tmp_path / "train")
    with pytest.raises(InputError, match=f"whole JPEG, PNG, GIF or BMP file. Received: {path}"):
        data.train_pipeline(
            data.load(str(tmp_path)), image_shape=(8, 8, 3), preprocessing=CIFAR, batch_size=2, augment=augment
        )


@pytest.mark.parametrize("split", ["train", "test"])
def test_damaged_image_is_named_by_explain(tmp_path, monkeypatch, split):
    monkeypatch.setattr("kerascnn.data.pipeline.CACHE_BYTES", 0)
    for name in ("train", "test"):
        write_images(tmp_path / name, {"a": 3})
    path = damage(tmp_path / split)
    source = data.load(str(tmp_path))
    settings = dict(image_shape=(8, 8, 3), preprocessing=CIFAR, batch_size=2)
    if split == "train":
        dataset, _ = data.train_pipeline(source, **settings, epochs=2)
    else:
        dataset = data.eval_pipeline(source, **settings)
    with pytest.raises(tf.errors.OpError) as raised:
        list(dataset)
    found = data.explain(source, raised.value)
    assert isinstance(found, InputError) and str(path) in str(found) and "\n" not in str(found)
    with pytest.raises(InputError, match=str(path)):
        data.check_images(source)


def test_explain_leaves_other_errors_alone(tmp_path):
    write_images(tmp_path, {"a": 3})
    error = tf.errors.ResourceExhaustedError(None, None, "out of memory")
    assert data.explain(data.load(str(tmp_path)), error) is error
    assert data.explain(data.load("digits"), error) is error


def test_vanished_file_is_named(tmp_path):
    write_images(tmp_path, {"a": 3})
    source = data.load(str(tmp_path))
    path = source.split("train").paths[0]
    tf.io.gfile.remove(path)
    with pytest.raises(InputError, match=f"No such file.*{path}"):
        data.check_images(source)
