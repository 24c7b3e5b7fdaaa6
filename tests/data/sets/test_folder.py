"""Folders of images: how they are divided, numbered and refused."""

import os

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


def test_train_and_val_without_test(tmp_path, caplog):
    """As ImageNet is laid out: val/ is reported on, and so a validation part is held out of train/."""
    write_images(tmp_path / "train", {"dog": 3, "cat": 2})
    write_images(tmp_path / "val", {"dog": 2})
    (tmp_path / "train" / "cat" / ".DS_Store").write_text("left by a file manager")
    (tmp_path / "LICENSE.txt").write_text("beside the folders")
    source = data.load(str(tmp_path))
    assert source.name == tmp_path.name
    assert source.class_names == ("cat", "dog") and source.image_shape == (None, None, 3)
    assert source.sizes == {"train": 4, "validation": 1, "test": 2}
    assert source.split("test").names == ["val/dog/00.png", "val/dog/01.png"]
    assert "val/ is the test part" in caplog.text and "ignored" not in caplog.text
    held, kept = source.split("validation").names, source.split("train").names
    assert sorted(held + kept) == [f"train/{name}.png" for name in ("cat/00", "cat/01", "dog/00", "dog/01", "dog/02")]
    images, labels = zip(*source.dataset("train").as_numpy_iterator(), strict=True)
    assert list(labels) == [["cat", "dog"].index(name.split("/")[1]) for name in kept]
    assert list(source.dataset("test").map(lambda _, label: label).as_numpy_iterator()) == [1, 1]
    written = tf.io.decode_png(tf.io.read_file(str(tmp_path / kept[-1])))
    np.testing.assert_array_equal(images[-1], written)


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Val"])
def test_three_parts_are_taken_as_they_are(tmp_path, name):
    for part, count in (("train", 4), (name, 3), ("test", 2)):
        write_images(tmp_path / part, dict.fromkeys("ab", count))
    source = data.load(tmp_path)
    assert source.sizes == {"train": 8, "validation": 6, "test": 4}
    assert {path.split("/")[0] for path in source.split("validation").names} == {name}


def test_what_is_missing_is_held_out(tmp_path):
    write_images(tmp_path / "train", {"a": 30, "b": 30})
    for sizes in ({"train": 49, "validation": 7, "test": 4}, {"train": 53, "validation": 7, "test": 2}):
        source = data.load(tmp_path)
        assert source.sizes == sizes
        write_images(tmp_path / "test", {"a": 1, "b": 1})


def test_two_folders_for_one_part(tmp_path):
    for part in ("train", "val", "valid"):
        write_images(tmp_path / part, {"a": 2})
    with pytest.raises(InputError, match="one folder for validation. Received: val/, valid/ in "):
        data.load(tmp_path)


def test_a_class_called_train(tmp_path):
    write_images(tmp_path, {"bus": 3, "car": 3, "train": 3})
    assert data.load(tmp_path).class_names == ("bus", "car", "train")
    write_images(tmp_path / "other" / "train", {"a": 3})
    write_images(tmp_path / "other", {"misc": 3})
    with pytest.raises(InputError, match="train/ must have test/ or val/ beside it"):
        data.load(tmp_path / "other")


def test_images_at_any_depth_and_links(tmp_path):
    write_images(tmp_path / "set", {"a": 2, "a/2024/may": 10, "b": 2})
    (tmp_path / "set" / "b" / "loop").symlink_to(tmp_path / "set" / "b")
    (tmp_path / "set" / "c").symlink_to(tmp_path / "set" / "a")
    (tmp_path / "set" / "a" / "2024" / ".thumbnails").mkdir()
    (tmp_path / "set" / "a" / "2024" / ".thumbnails" / "00.png").write_bytes(b"hidden")
    source = data.load(tmp_path / "set")
    assert sum(source.sizes.values()) == 12 + 2 + 12 and source.class_names == ("a", "b", "c")
    data.check_images(source)


def test_limit_takes_from_all_classes(tmp_path):
    write_images(tmp_path, {"a": 20, "b": 20, "c": 20})
    source = data.load(str(tmp_path), limit=12)
    assert source.sizes["train"] == 12 and min(source.sizes.values()) >= 1
    assert set(source.split("train").numbers) == {0, 1, 2}
    assert source.split("train").names == data.load(str(tmp_path), limit=12).split("train").names


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ((), "one sub-folder per class"),
        (("train",), "one sub-folder per class"),
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
    with pytest.raises(InputError, match="at least 3 training examples, so that one can be held out.*Received: 2 in"):
        data.load(str(tmp_path))


def test_class_only_in_test(tmp_path):
    write_images(tmp_path / "train", {"a": 1})
    write_images(tmp_path / "test", {"a": 1, "new": 1})
    with pytest.raises(InputError, match=r"must be classes of train/.*\['new'\]"):
        data.load(str(tmp_path))


def test_files_that_are_no_images_are_counted(tmp_path, caplog):
    write_images(tmp_path, {"a": 3, "b": 2})
    for name in ("a/notes.txt", "a/more.txt", "b/scan.TIF", "b/README"):
        (tmp_path / name).write_text("hello")
    assert sum(data.load(str(tmp_path)).sizes.values()) == 5
    assert caplog.text.count("\n") == 1
    assert "4 entries that are no images of the set are ignored (.txt: 2, " in caplog.text and ".tif: 1" in caplog.text
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "scan.tif").write_text("hello")
    with pytest.raises(InputError, match=r"Every class must have images.*/c, which has none; ignored: .*\.tif: 2"):
        data.load(str(tmp_path))


@pytest.mark.parametrize("kind", ["pipe", "device", "broken link"])
def test_what_is_no_regular_file_is_refused(tmp_path, kind):
    write_images(tmp_path, {"a": 3, "b": 2})
    path = tmp_path / "b" / "x.png"
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero" if kind == "device" else "nowhere")
    with pytest.raises(InputError, match="must be a regular file. Received: .*x.png"):
        data.load(str(tmp_path))


def test_names_that_are_not_utf8(tmp_path):
    write_images(tmp_path, {"a": 3, "b": 2})
    os.rename(tmp_path / "a" / "00.png", os.fsencode(tmp_path / "a") + b"/\xff\xfe.png")
    source = data.load(str(tmp_path))
    data.check_images(source)
    assert sum(len(list(source.dataset(name))) for name in source.splits) == 5
    assert source.fingerprint == data.load(str(tmp_path)).fingerprint
    os.rename(tmp_path / "a", os.fsencode(tmp_path) + b"/\xff")
    with pytest.raises(InputError, match=r"Names of classes must be UTF-8. Received: .*\\xff"):
        data.load(str(tmp_path))


def test_unreadable_folder(tmp_path):
    write_images(tmp_path, {"a": 3, "b": 2, "b/deep": 1})
    (tmp_path / "b" / "deep").chmod(0)
    if os.access(tmp_path / "b" / "deep", os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(InputError, match=r"cannot be read \(Permission denied\). Received: .*deep"):
        data.load(str(tmp_path))


def test_one_spelling_is_recorded(tmp_path, monkeypatch):
    write_images(tmp_path / "f", {"a": 3, "b": 2})
    monkeypatch.chdir(tmp_path)
    records = [data.load(name).record() for name in ("f", "f/", "./f", "f/../f//", str(tmp_path / "f"))]
    assert all(record == records[0] for record in records) and records[0]["name"] == str(tmp_path / "f")
    monkeypatch.chdir(tmp_path / "f")
    assert data.load(".").name == "f" and data.load(".").record() == records[0]


def damage(folder):
    path = folder / "a" / "01.png"
    path.write_bytes(path.read_bytes()[:60])
    return path


@pytest.mark.parametrize("augment", ["none", "random_resized_crop"])
def test_damaged_image_is_named_when_the_memory_is_filled(tmp_path, augment):
    write_images(tmp_path / "train", {"a": 3})
    write_images(tmp_path / "test", {"a": 1})
    path = damage(tmp_path / "train")
    with pytest.raises(InputError, match=f"whole JPEG, PNG, GIF, BMP or WebP file. Received: {path}"):
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


def test_paths_are_held_once(tmp_path):
    """A million paths: the folder above is not repeated, and no name is held twice."""
    write_images(tmp_path / "train", {"a": 12, "b/deep": 12})
    split = data.load(tmp_path).split("train")
    assert split.paths.names is split.names and split.paths[0] == str(tmp_path / split.names[0])
    assert split.paths[2:4] == [str(tmp_path / name) for name in split.names[2:4]]
    fewer = split.select(np.array([3, 1]))
    assert list(fewer.paths) == [split.paths[3], split.paths[1]] and fewer.paths.names is fewer.names
