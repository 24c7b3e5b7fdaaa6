"""IDX files: what is written is read, and every kind of damage is named."""

import gzip
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kerascnn import data
from kerascnn._errors import InputError
from kerascnn.data.sets import idx, idx_named


def write_set(folder, train=6, test=3, shape=(5, 4), classes=3, suffix=".gz"):
    """A tiny set in MNIST's four files."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.RandomState(0)
    for name, size in (("train", train), ("t10k", test)):
        images = random.randint(0, 256, (size, *shape)).astype(np.uint8)
        idx.write_idx(folder / f"{name}-images-idx{images.ndim}-ubyte{suffix}", images)
        idx.write_idx(folder / f"{name}-labels-idx1-ubyte{suffix}", (np.arange(size) % classes).astype(np.uint8))
    return folder


@settings(max_examples=50, deadline=None)
@given(
    values=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)),
    name=st.sampled_from(["a-idx", "a-idx.gz"]),
)
def test_round_trip(tmp_path_factory, values, name):
    path = tmp_path_factory.mktemp("idx") / name
    idx.write_idx(path, values)
    read = idx.read_idx(path)
    assert read.dtype == np.uint8 and read.shape == values.shape
    np.testing.assert_array_equal(read, values)


def test_bytes_of_a_known_file(tmp_path):
    path = tmp_path / "file"
    idx.write_idx(path, np.array([[1, 2, 3], [4, 5, 6]], np.uint8))
    assert path.read_bytes() == bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6])


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "must begin with 00 00 08"),
        (b"\x89PNG....", "must begin with 00 00 08"),
        (bytes([0, 0, 0x0D, 1, 0, 0, 0, 1, 0, 0, 0, 0]), "must begin with 00 00 08"),
        (bytes([0, 0, 8, 3, 0, 0, 0, 1]), "ends inside its header of 16 bytes"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 3, 1, 2]), "IDX values 3 need a file of 11 bytes.*10 bytes"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3, 4]), "IDX values 3 need a file of 11 bytes.*more than 11 bytes"),
        (bytes([0, 0, 8, 2] + [255] * 8 + [1]), "at most 2,147,483,648 bytes.*4294967295x4294967295"),
    ],
)
def test_damaged_files(tmp_path, contents, message):
    path = tmp_path / "bad-idx3-ubyte"
    path.write_bytes(contents)
    with pytest.raises(InputError, match=message + ".*bad-idx3-ubyte"):
        idx.read_idx(path)


@pytest.mark.parametrize("damage", ["cut", "not gzip", "garbled"])
def test_damaged_gzip(tmp_path, damage):
    path = tmp_path / "bad.gz"
    whole = gzip.compress(bytes([0, 0, 8, 1, 0, 0, 4, 0]) + np.random.RandomState(0).bytes(1024))
    path.write_bytes({"cut": whole[:500], "not gzip": b"hello", "garbled": whole[:20] + b"\xff" * 200}[damage])
    with pytest.raises(InputError, match="gzip file is damaged.*bad.gz"):
        idx.read_idx(path)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read.*nothing"):
        idx.read_idx(tmp_path / "nothing")


def test_only_bytes_are_written(tmp_path):
    with pytest.raises(InputError, match="uint8"):
        idx.write_idx(tmp_path / "a", np.zeros([2], np.float32))


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 3)])
def test_load_folder_of_idx_files(tmp_path, suffix, shape):
    source = data.load(str(write_set(tmp_path / "own", shape=shape, suffix=suffix)))
    assert source.name == "own"
    assert source.class_names == ("0", "1", "2")
    assert source.image_shape == (5, 4, 3 if len(shape) == 3 else 1)
    assert source.sizes == {"train": 5, "validation": 1, "test": 3}
    image, label = next(iter(source.dataset("train").skip(3)))
    written = idx.read_idx(tmp_path / "own" / f"train-images-idx{len(shape) + 1}-ubyte{suffix}")
    np.testing.assert_array_equal(np.squeeze(image.numpy()), written[4])
    assert label.numpy() == 1 and label.dtype == "int64"


def test_named_set_is_found_in_data_dir_and_in_the_system(tmp_path, monkeypatch):
    here, system = tmp_path / "here", tmp_path / "system"
    write_set(system / "fashion-mnist", train=7)
    monkeypatch.setattr(idx_named, "SYSTEM_FOLDER", system)
    assert sum(data.load("fashion_mnist").sizes.values()) == 7 + 3
    write_set(here / "fashion_mnist", train=8)
    source = data.load("fashion_mnist", data_dir=here)
    assert sum(source.sizes.values()) == 8 + 3
    assert source.class_names[9] == "Ankle boot" and len(source.class_names) == 10


def test_labels_out_of_range(tmp_path):
    write_set(tmp_path / "mnist")
    idx.write_idx(tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz", np.array([0, 11, 2], np.uint8))
    with pytest.raises(InputError, match=r"t10k-labels.* from 0 to 9. Received: 11 at position 1 \(1 such"):
        data.load("mnist", data_dir=tmp_path)
    with pytest.raises(InputError, match="from 0 to 2"):  # an unknown set has as many classes as training labels
        data.load(str(tmp_path / "mnist"))


def test_files_that_do_not_go_together(tmp_path):
    folder = write_set(tmp_path / "set")
    idx.write_idx(folder / "train-labels-idx1-ubyte.gz", np.zeros([5], np.uint8))
    with pytest.raises(InputError, match="as many labels as images. Received: 6 images"):
        data.load(str(folder))
    idx.write_idx(folder / "train-labels-idx1-ubyte.gz", np.zeros([6, 1], np.uint8))
    with pytest.raises(InputError, match=r"labels must be \[n\]"):
        data.load(str(folder))
    write_set(folder)
    idx.write_idx(folder / "t10k-images-idx3-ubyte.gz", np.zeros([3, 9, 9], np.uint8))
    with pytest.raises(InputError, match="one shape"):
        data.load(str(folder))
    (folder / "t10k-images-idx3-ubyte.gz").unlink()
    with pytest.raises(InputError, match="t10k-images .*missing"):
        data.load(str(folder))


@pytest.mark.parametrize("shape", [(4, 5, 5, 2), (4, 25), (0, 5, 5), (4, 0, 5)])
def test_images_of_a_wrong_shape(tmp_path, shape):
    folder = write_set(tmp_path / "set")
    idx.write_idx(folder / "train-images-idx3-ubyte.gz", np.zeros(shape, np.uint8))
    idx.write_idx(folder / "train-labels-idx1-ubyte.gz", np.zeros(shape[:1], np.uint8))
    with pytest.raises(InputError, match="IDX images must be|must not be empty"):
        data.load(str(folder))


def test_two_sets_in_one_folder(tmp_path):
    folder = write_set(tmp_path / "set")
    idx.write_idx(folder / "emnist-train-labels-idx1-ubyte", np.zeros([5], np.uint8))
    with pytest.raises(InputError, match="one data set only"):
        data.load(str(folder))


def test_a_gzip_bomb_is_never_unpacked(tmp_path):
    """What the header does not announce is not read, nor what it announces too much of."""
    small = bytes([0, 0, 8, 1]) + (5).to_bytes(4, "big")
    (tmp_path / "longer.gz").write_bytes(gzip.compress(small + bytes(2**24)))
    with pytest.raises(InputError, match="IDX values 5 need a file of 13 bytes. Received: more than 13 bytes"):
        idx.read_idx(tmp_path / "longer.gz")
    huge = bytes([0, 0, 8, 2]) + (2**20).to_bytes(4, "big") + (11_000).to_bytes(4, "big")
    (tmp_path / "huge.gz").write_bytes(gzip.compress(huge + bytes(2**20)))
    with pytest.raises(InputError, match="at most 2,147,483,648 bytes.* Received: 1048576x11000 values"):
        idx.read_idx(tmp_path / "huge.gz")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="must be a regular file"):
        idx.read_idx(tmp_path / "pipe")
