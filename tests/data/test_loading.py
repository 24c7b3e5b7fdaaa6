"""Names, limits, the packaged digits, generated images."""

import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerascnn import data
from kerascnn._errors import InputError
from kerascnn.data import loading
from kerascnn.data.sets import idx_named, kinds, tfds


def test_digits():
    source = data.load("digits")
    assert source.sizes == {"train": 1272, "validation": 165, "test": 360} and not source.mirrored
    assert source.image_shape == (8, 8, 1) and source.class_names == tuple("0123456789")
    image, label = next(iter(source.dataset("train")))
    assert image.dtype == tf.uint8 and label.dtype == tf.int64 and label.numpy() == 0
    # The first row of the original file, "0,0,5,13,9,1,0,0", in 17 levels spread over 0 to 255.
    assert image.numpy()[0, :, 0].tolist() == [0, 0, 80, 207, 143, 16, 0, 0]
    labels = [int(label) for split in source.splits for _, label in source.dataset(split)]
    # As documented by UCI for the test part of the set.
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_digits_carry_their_license():
    text = (loading.Path(loading.__file__).parent / "digits.txt").read_text()
    assert "Alpaydin" in text and "CC BY 4.0" in text and "https://doi.org/10.24432/C50P49" in text


@pytest.mark.parametrize("name", ["digits", "synthetic"])
def test_limit(name):
    source = data.load(name, limit=5)
    assert source.sizes == {"train": 5, "validation": 5, "test": 5}
    assert source.dataset("train").cardinality() == 5
    whole = data.load(name)
    for (image, label), (expected, number) in zip(source.dataset("test"), whole.dataset("test"), strict=False):
        np.testing.assert_array_equal(image, expected)
        assert label == number
    with pytest.raises(InputError, match="at least 1. Received: 0"):
        data.load(name, limit=0)


def test_unknown_split():
    with pytest.raises(InputError, match="one of train, validation, test. Received: 'valid'"):
        data.load("digits").dataset("valid")


def test_synthetic_options():
    source = data.load("synthetic:12x16x3,classes=4,examples=10,validation=3,test=6")
    assert source.image_shape == (12, 16, 3) and len(source.class_names) == 4
    assert source.sizes == {"train": 10, "validation": 3, "test": 6}
    images, labels = zip(*source.dataset("train").as_numpy_iterator(), strict=True)
    assert images[0].shape == (12, 16, 3) and images[0].dtype == np.uint8
    assert list(labels) == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]


def test_synthetic_is_determined_by_its_seed():
    first, again, other = (data.load("synthetic:8x8x1,examples=4", seed=seed).split("train") for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.pixels, again.pixels)
    assert not np.array_equal(first.pixels, other.pixels)


def test_synthetic_can_be_learned():
    """The nearest class mean of the training images is nearly always right on the test images."""
    source = data.load("synthetic:16x16x1,classes=8,examples=160,test=80")
    train, test = (source.split(name) for name in ("train", "test"))
    means = np.stack([train.pixels[train.numbers == number].mean(axis=0) for number in range(8)])
    distance = ((test.pixels[:, None].astype(float) - means) ** 2).sum(axis=(2, 3, 4))
    assert (distance.argmin(axis=1) == test.numbers).mean() > 0.95


@pytest.mark.parametrize("options", ["12x16", "12x16x2", "classes=0", "color=3", "examples=-1", "0x8x1", "test=0"])
def test_bad_synthetic_options(options):
    with pytest.raises(InputError, match=options):
        data.load(f"synthetic:{options}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fashion_mnits", "near names: fashion_mnist.*'fashion_mnits'"),
        ("cifar_10", "near names: .*cifar10"),
        ("qqqqqq", "built in: digits, mnist, fashion_mnist, shapes, synthetic"),
        ("", "must exist. Received: ''"),
        ("/no/such/folder", "must exist. Received: '/no/such/folder'"),
        ("./images", "must exist"),
        ("images/train", "neither a data set nor a folder"),
        (__file__, "must lead to a folder"),
        ("imdb_reviews", "image classification"),
        ("voc", "image classification"),
    ],
)
def test_names_that_are_refused(name, message):
    with pytest.raises(InputError, match=message) as raised:
        data.load(name)
    assert "\n" not in str(raised.value)


def test_missing_data_dir(tmp_path):
    with pytest.raises(InputError, match="must exist.*nowhere"):
        data.load("mnist", data_dir=tmp_path / "nowhere")


def test_missing_fashion_mnist_says_where_it_was_looked_for(tmp_path, monkeypatch):
    def refuse(name, data_dir):
        raise InputError("TFDS cannot download")

    monkeypatch.setattr(idx_named, "SYSTEM_FOLDER", tmp_path / "system")
    monkeypatch.setattr(tfds, "load_tfds", refuse)
    with pytest.raises(InputError) as raised:
        data.load("fashion_mnist", data_dir=tmp_path)
    message = str(raised.value)
    for place in (tmp_path, tmp_path / "fashion-mnist", tmp_path / "system" / "fashion-mnist"):
        assert str(place) in message
    assert "dataset-fashion-mnist" in message and "TFDS cannot download" in message
    with pytest.raises(InputError, match="Cannot find mnist"):
        data.load("mnist", data_dir=tmp_path)


def test_a_folder_of_the_name_of_a_set_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for label in ("cat", "dog"):
        (tmp_path / "digits" / label).mkdir(parents=True)
        for number in range(4):
            Image.new("L", (8, 8)).save(tmp_path / "digits" / label / f"{number}.png")
    with pytest.raises(InputError, match=r"a set and a folder of this name: write \./digits for the folder"):
        data.load("digits")
    assert data.load("./digits").class_names == ("cat", "dog")
    (tmp_path / "shapes").mkdir()  # without images it shadows nothing
    assert data.load("shapes", limit=8).task == "segmentation"


def test_without_tfds_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    monkeypatch.setattr(tfds, "names", list)
    with pytest.raises(InputError, match=r"TFDS names, too, with pip install 'kerascnn\[tfds\]'"):
        data.load("no_such_set")
    with pytest.raises(InputError, match=r"need tensorflow-datasets: pip install 'kerascnn\[tfds\]'"):
        tfds.load_tfds("cifar10")


def test_kinds_of_sets_are_the_files_of_their_folder():
    files = {path.stem for path in Path(tfds.__file__).parent.glob("*.py")} - {"__init__", "kind"}
    assert set(kinds()) == {name for name in files if not name.startswith("_")}
    named = [name for kind in kinds().values() for name in kind.names]
    assert len(named) == len(set(named)) and {"digits", "fashion_mnist", "shapes"} <= set(named)
