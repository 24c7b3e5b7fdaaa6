"""Parts of image files: what is decoded of a part alone is that part of the whole."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerascnn import data
from kerascnn._preprocessing import CIFAR
from kerascnn.data import pipeline
from kerascnn.data.decoding.decode import decode, decode_window
from kerascnn.data.parts import PARTS
from kerascnn.data.source import Source
from kerascnn.data.splits import Files

Y, X = np.mgrid[:61, :83]
PIXELS = np.stack([2 * Y + X, 255 - 3 * X, 100 + 60 * np.sin(X / 7 + Y / 9)], axis=-1)
PIXELS = np.clip(PIXELS + np.random.RandomState(0).normal(0, 25, PIXELS.shape), 0, 255).astype(np.uint8)


def encoded(format, orientation=1, mode="RGB", **options):
    held, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(PIXELS).convert(mode).save(held, format, exif=exif, **options)
    return tf.constant(held.getvalue())


FILES = {
    "whole colors": lambda: encoded("JPEG", subsampling=0),
    "half": lambda: encoded("JPEG", subsampling=1),
    "quarter": lambda: encoded("JPEG", subsampling=2),
    "progressive": lambda: encoded("JPEG", progressive=True),
    "gray": lambda: encoded("JPEG", mode="L"),
    "turned": lambda: encoded("JPEG", 6),
    "png": lambda: encoded("PNG"),
}


# Traced once for all files: eagerly, each branch of each call would be built and optimized anew.
FILE, NUMBER = tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int32)


@tf.function(input_signature=[FILE, *4 * [NUMBER]])
def part(contents, top, left, height, width):
    return decode_window(contents, lambda *shape: (top, left, height, width))


@tf.function(input_signature=[FILE])
def whole_of(contents):
    return decode(contents)


@pytest.mark.parametrize("name", FILES)
def test_a_window_is_that_part_of_the_whole(name):
    contents, random = FILES[name](), np.random.RandomState(1)
    whole = whole_of(contents).numpy()
    assert whole.shape == ((83, 61, 3) if name == "turned" else (61, 83, 3))
    for _ in range(12):
        height, width = random.randint(1, whole.shape[0] + 1), random.randint(1, whole.shape[1] + 1)
        top, left = random.randint(0, whole.shape[0] - height + 1), random.randint(0, whole.shape[1] - width + 1)
        found = part(contents, *map(tf.constant, (top, left, height, width)))
        np.testing.assert_array_equal(found, whole[top : top + height, left : left + width])


def test_choose_is_told_the_upright_size():
    for name in ("quarter", "turned", "png"):
        told = decode_window(FILES[name](), lambda height, width: (height - 5, width - 4, 5, 4))
        assert told.shape == (5, 4, 3)


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_are_refused(name):
    """As they are when decoded as a whole, although the window lies before the damage."""
    contents = FILES[name]().numpy()
    cut = [contents[: int(part * len(contents))] for part in (0.3, 0.5, 0.9, 0.999)]
    for wrong in (*cut, b"", contents[:2], b"no image at all"):
        for read in (whole_of, lambda file: part(file, 0, 0, 1, 1)):
            with pytest.raises(tf.errors.InvalidArgumentError):
                read(tf.constant(wrong))
    behind = part(tf.constant(contents + b"\0\0"), 2, 3, 5, 4)
    np.testing.assert_array_equal(behind, whole_of(tf.constant(contents))[2:7, 3:7])


@pytest.mark.parametrize("augment", ["random_resized_crop", "resized_crop(0.2, 0.5)"])
def test_a_pipeline_of_windows_gives_what_whole_images_give(tmp_path, monkeypatch, augment):
    """From files that are decoded in part, and from memory, where they are kept as a whole."""
    paths = [str(tmp_path / f"{number}.jpg") for number in range(4)]
    for path, name in zip(paths, ("quarter", "turned", "gray", "half"), strict=True):
        tf.io.write_file(path, FILES[name]())
    source = Source("some", ("a", "b"), (None, None, 3), dict.fromkeys(PARTS, Files(paths, np.arange(4) % 2)))

    def batches():
        dataset, _ = data.train_pipeline(
            source, image_shape=(24, 20, 3), preprocessing=CIFAR, batch_size=2, augment=augment, seed=4, epochs=2
        )
        return np.concatenate([images for images, _ in dataset.as_numpy_iterator()])

    kept = batches()
    monkeypatch.setattr(pipeline, "CACHE_BYTES", 0)
    np.testing.assert_allclose(batches(), kept, atol=1e-5)
