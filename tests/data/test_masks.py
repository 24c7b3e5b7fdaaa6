"""Sets with masks: the generated shapes, PNGs of class numbers, folders of pairs, and what is refused."""

import dataclasses
import io
import os

import numpy as np
import pytest
import tensorflow as tf
from mask_files import png, some_masks, write_pairs
from PIL import Image

from kerascnn import data
from kerascnn._errors import InputError
from kerascnn._preprocessing import CIFAR
from kerascnn.data.masks import PairStream, decode_mask

RANDOM = np.random.RandomState(0)


@pytest.mark.parametrize("classes", [2, 4, 14, 256])
@pytest.mark.parametrize(("mode", "options"), [("L", {}), ("P", {}), ("P", {"transparency": 0})])
def test_a_mask_holds_the_numbers_of_the_file(classes, mode, options):
    """Pillow writes palettes of 2, 4 and 16 colors with 1, 2 and 4 bits a pixel."""
    mask = RANDOM.randint(0, classes, (9, 11)).astype(np.uint8)
    mask[0, 0] = classes - 1
    np.testing.assert_array_equal(decode_mask(tf.constant(png(mask, mode, **options))), mask)


def test_a_mask_of_single_bits():
    mask = RANDOM.randint(0, 2, (5, 6)).astype(bool)
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    np.testing.assert_array_equal(decode_mask(tf.constant(file.getvalue())), mask)


@pytest.mark.parametrize("contents", [b"", b"no png", png(np.zeros([4, 5], np.uint8), "RGB"), b"\x89PNG\r\n\x1a\n",
                                      png(np.zeros([4, 5], np.uint8), "I;16"), png(some_masks(1)[0], "P")[:60]],
                         ids=["empty", "text", "colors", "short", "16 bits", "cut"])  # fmt: skip
def test_what_is_no_mask(tmp_path, contents):
    folder = write_pairs(tmp_path / "a", some_masks(3))
    (folder / "masks" / "01.png").write_bytes(contents)
    with pytest.raises(InputError, match=r"whole PNG of class numbers.*Received: .*01.png$"):
        data.load(folder)  # the masks are read for the number of classes
    (folder / "classes.txt").write_text("a\nb\nc\n")
    with pytest.raises(InputError, match=r"whole PNG of class numbers.*Received: .*01.png$"):
        data.check_images(data.load(folder))


def test_shapes_are_a_function_of_options_and_seed():
    source = data.load("shapes:24x32x1,classes=6,examples=40,test=10,objects=5", seed=7)
    assert source.class_names == ("background", "ellipse", "rectangle", "triangle", "ring", "cross")
    assert source.task == "segmentation" and source.sizes == {"train": 40, "validation": 10, "test": 10}
    again = data.load("shapes:24x32x1,classes=6,examples=40,test=10,objects=5", seed=7)
    for split in ("train", "test"):
        one, two = source.split(split), again.split(split)
        assert one.pixels.tobytes() == two.pixels.tobytes() and one.masks.tobytes() == two.masks.tobytes()
    assert set(np.unique(one.masks)) <= set(range(6)) == set(np.unique(source.split("train").masks))
    other = data.load("shapes:24x32x1,classes=6,examples=40,test=10,objects=5", seed=8)
    assert other.split("test").pixels.tobytes() != one.pixels.tobytes()
    image, mask = next(iter(source.dataset("train")))
    assert image.shape == (24, 32, 1) and mask.shape == (24, 32) and image.dtype == mask.dtype == tf.uint8


def test_colors_do_not_give_the_class_away():
    """Shapes are lighter than the background, and the mean color of each class of them is nearly the same."""
    split = data.load("shapes:32x32x3,classes=4,examples=300,test=1").split("train")
    background, *shapes = (split.pixels[split.masks == label].mean(axis=0) for label in range(4))
    assert np.ptp(shapes, axis=0).max() < 15
    assert np.min(shapes) > background.max() + 60


@pytest.mark.parametrize("options", ["classes=1", "classes=7", "4x32x3", "examples=0", "shape=3", "32x32x2", "32"])
def test_shapes_that_are_refused(options):
    with pytest.raises(InputError, match="Received: "):
        data.load(f"shapes:{options}")


def test_a_folder_that_is_divided(tmp_path):
    masks = {"train": some_masks(4), "val": some_masks(2)}
    for split, found in masks.items():
        write_pairs(tmp_path / "set" / split, found, "P" if split == "val" else "L")
    source = data.load(tmp_path / "set")
    assert source.class_names == ("0", "1", "2") and source.sizes == {"train": 3, "validation": 1, "test": 2}
    for split, name in (("train", "train"), ("test", "val")):
        kept = [masks[name][int(file[-6:-4])] for file in source.split(split).names]
        for (image, mask), expected in zip(source.dataset(split), kept, strict=True):
            np.testing.assert_array_equal(mask, expected)
            assert image.shape == (*expected.shape, 3)
    (tmp_path / "set" / "classes.txt").write_text("sky\nroad\ncar\ntree\n")
    assert data.load(tmp_path / "set").class_names == ("sky", "road", "car", "tree")
    assert set(data.load(tmp_path / "set", limit=1).sizes.values()) == {1}
    (tmp_path / "set" / "val").rename(tmp_path / "set" / "test")
    (tmp_path / "set" / "train" / "images" / "notes.txt").write_text("not an image")
    assert data.load(tmp_path / "set").sizes == {"train": 3, "validation": 1, "test": 2}
    (tmp_path / "set" / "test").rename(tmp_path / "set" / "valid")
    write_pairs(tmp_path / "set" / "test", some_masks(3))
    assert data.load(tmp_path / "set").sizes == {"train": 4, "validation": 2, "test": 3}


def test_a_folder_that_is_not_divided(tmp_path):
    folder = write_pairs(tmp_path / "set", some_masks(11))
    source = data.load(folder, task="segmentation")
    assert source.sizes == {"train": 8, "validation": 1, "test": 2}
    names = [name for split in source.splits.values() for name in split.names]
    assert sorted(names) == [f"images/{number:02}.png" for number in range(11)]
    assert data.load(folder, seed=1).fingerprint == source.fingerprint
    assert [mask.replace("masks", "images") for mask in source.split("train").masks] == source.split("train").images


def lonely_image(folder):
    (folder / "masks" / "01.png").unlink()


def lonely_mask(folder):
    (folder / "images" / "01.png").unlink()


def two_of_a_name(folder):
    (folder / "images" / "01.jpg").write_bytes(b"")


def one_class_name(folder):
    (folder / "classes.txt").write_text("sky\n")


def same_class_names(folder):
    (folder / "classes.txt").write_text("sky\nsky\n")


def no_masks(folder):
    for path in (folder / "masks").iterdir():
        path.unlink()
    (folder / "masks").rmdir()


def unreadable(folder):
    (folder / "masks").chmod(0)


def pipe(folder):
    (folder / "images" / "02.png").unlink()
    os.mkfifo(folder / "images" / "02.png")


def binary(folder):
    for path in (folder / "masks").iterdir():
        path.write_bytes(png(np.repeat([[0], [255]], 7, axis=1).repeat(3, axis=0).astype(np.uint8)))


def binary_with_names(folder):
    binary(folder)
    (folder / "classes.txt").write_text("background\nobject\n")


def one_class(folder):
    for path in (folder / "masks").iterdir():
        path.write_bytes(png(np.zeros([6, 7], np.uint8)))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lonely_image, "Every image must have a mask of its name. Received: .*images.01.png"),
        (lonely_mask, "Every mask must have an image of its name. Received: .*masks.01.png"),
        (two_of_a_name, "differ in more than their endings"),
        (unreadable, r"cannot be read \(Permission denied\). Received: .*masks$"),
        (pipe, "must be a regular file. Received: .*images.02.png"),
        (binary, r"write 1 for the second class\). Received: no number but 0 and 255"),
        (binary_with_names, r"write 1 for the second class\). Received: no number but 0 and 255"),
        (one_class_name, "2 to 255 different names, one a line. Received: 1 lines"),
        (same_class_names, "different names"),
        (no_masks, "must hold images/ and masks/"),
        (one_class, "two classes or more"),
    ],
)
def test_folders_that_are_refused(tmp_path, damage, message):
    folder = write_pairs(tmp_path / "set", some_masks(3))
    damage(folder)
    if damage is unreadable and os.access(folder / "masks", os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(InputError, match=message):
        data.load(folder, task="segmentation")


def test_pairs_in_sub_folders_and_files_that_are_ignored(tmp_path, caplog):
    folder = write_pairs(tmp_path / "set", some_masks(4))
    for part in ("images", "masks"):
        (folder / part / "2024").mkdir()
        (folder / part / "03.png").rename(folder / part / "2024" / "03.png")
        (folder / part / "notes.txt").write_text("")
        (folder / part / ".hidden.png").write_text("")
    source = data.load(folder)
    assert sum(source.sizes.values()) == 4
    assert "images/2024/03.png" in [name for split in source.splits.values() for name in split.names]
    assert "1 entries that are no images of the set are ignored (.txt: 1)" in caplog.text
    data.check_images(source)


def test_masks_that_do_not_fit_are_named_when_they_are_read(tmp_path):
    folder = write_pairs(tmp_path / "set", some_masks(6))
    (folder / "classes.txt").write_text("a\nb\nc\n")
    settings = dict(image_shape=(8, 8, 3), preprocessing=CIFAR, batch_size=2)
    for mask, message in (
        (np.zeros([5, 7], np.uint8), r"of its image's size. Received: image \(\d, 7\), mask \(5, 7\) in .*02.png"),
        (np.full([8, 7], 3, np.uint8), "numbers from 0 to 2, or 255 where there is none. Received: 3 in .*02.png"),
    ):
        (folder / "masks" / "02.png").write_bytes(png(mask))
        source = data.load(folder)
        with pytest.raises(InputError, match=message):
            data.check_images(source)
        if "02" in "".join(source.split("train").images):
            with pytest.raises(InputError, match=message):
                data.train_pipeline(source, **settings)


def test_a_stream_says_which_example_is_wrong():
    source = data.load("shapes:8x8x3,classes=3,examples=3,test=2")

    def read():
        return tf.data.Dataset.from_tensor_slices((["a", "b", "c"], ["0", "0", "1"]))

    def decode(image, mask):
        with tf.control_dependencies([tf.debugging.Assert(mask == b"0", ["wrong"])]):
            return tf.zeros([8, 8, 4], tf.uint8)

    wrong = dataclasses.replace(source, splits={**source.splits, "train": PairStream(read, decode, 3)})
    with pytest.raises(InputError, match="have a mask of its size.*Received: another at position 2"):
        data.check_images(wrong)


def test_a_set_for_another_task_is_refused(tmp_path):
    folder = write_pairs(tmp_path / "set", some_masks(3))
    for name in ("shapes", folder):
        with pytest.raises(InputError, match="for classification must have labels. Received: .* which has masks"):
            data.load(name, task="classification")
    with pytest.raises(InputError, match="for segmentation must have masks. Received: 'digits', which has labels"):
        data.load("digits", task="segmentation")
    with pytest.raises(InputError, match="task must be one of classification, segmentation. Received: 'detection'"):
        data.load("shapes", task="detection")
