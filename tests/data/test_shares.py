"""Parts of batches that several processes make, each by itself, are together the batches that one process makes."""

import numpy as np
import pytest
import tensorflow as tf

from kerascnn import data
from kerascnn._errors import InputError
from kerascnn._preprocessing import CIFAR
from kerascnn.data import Share, pipeline
from kerascnn.data.masks import PairArrays
from kerascnn.data.parts import PARTS
from kerascnn.data.source import Source
from kerascnn.data.splits import Stream

SIZE, BATCH = 13, 4


def folder(path):
    random = np.random.RandomState(0)
    for number in range(SIZE):
        for part in ("train", "val", "test"):
            pixels = random.randint(0, 256, [*random.randint(9, 14, 2), 3]).astype(np.uint8)
            tf.io.write_file(str(path / part / "ab"[number % 2] / f"{number:02}.png"), tf.io.encode_png(pixels))
    return data.load(str(path))


def stream(path):
    files = folder(path)

    def of(split):
        names = tf.constant(split.paths)
        read = tf.data.Dataset.from_tensor_slices((names, split.labels))
        decode = lambda name: tf.io.decode_png(tf.io.read_file(name), 3)  # noqa: E731
        return Stream(lambda: read, decode, split.size)

    return Source("stream", files.class_names, files.image_shape, {part: of(files.split(part)) for part in PARTS})


def masked(path):
    pixels = np.random.RandomState(1).randint(0, 5, (SIZE, 12, 12, 1)).astype(np.uint8)
    split = PairArrays(pixels, pixels[..., 0], 5)
    return Source("masked", tuple("abcde"), (12, 12, 1), dict.fromkeys(PARTS, split), task="segmentation")


CASES = {
    "whole batches at once": (lambda path: data.load("digits", limit=SIZE), "pad_crop + flip", True),
    "mixed": (lambda path: data.load("digits", limit=SIZE), "flip + mixup(0.5)", True),
    "files in memory": (folder, "random_resized_crop", True),
    "files": (folder, "resized_crop + flip", False),
    "files, mixed": (folder, "resized_crop + cutmix", False),
    "stream": (stream, "pad_crop_flip", False),
    "masks": (masked, "scale_crop_flip", True),
}


def arrays(batch):
    return [np.asarray(part) for part in batch]


def put_together(parts, steps, count):
    """Rows of each batch, from what each of several processes gives: `count` pieces a step."""
    for step in range(steps):
        pieces = [arrays(piece) for part in parts for piece in part[step * count : (step + 1) * count]]
        yield [np.concatenate(values) for values in zip(*pieces, strict=True)]


@pytest.mark.after
@pytest.mark.parametrize("case", CASES)
def test_parts_are_the_batch(tmp_path, monkeypatch, case):
    """Of two processes, in some cases with two devices each."""
    processes, devices = 2, 2 if case in ("mixed", "files") else 1
    make, augment, kept = CASES[case]
    if not kept:
        monkeypatch.setattr(pipeline, "CACHE_BYTES", 0)
    source = make(tmp_path)
    shape = (12, 12, source.image_shape[2])
    settings = {"image_shape": shape, "preprocessing": CIFAR.for_channels(shape[2])}
    shares = [Share(index * devices, devices, processes * devices) for index in range(processes)]

    training = {**settings, "batch_size": BATCH, "augment": augment, "seed": 2, "first_epoch": 1, "epochs": 3}
    whole, steps = data.train_pipeline(source, **training)
    made = [data.train_pipeline(source, **training, share=share)[0] for share in shares]
    assert {int(part.cardinality()) for part in made} == {steps * 2 * devices}
    assert made[0].element_spec[0].shape == (BATCH // (processes * devices), *shape)
    parts = [list(part.as_numpy_iterator()) for part in made]
    for expected, found in zip(whole.as_numpy_iterator(), put_together(parts, steps * 2, devices), strict=True):
        for one, other in zip(arrays(expected), found, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.after
@pytest.mark.parametrize("case, size, batch", [("files", 9, 6), ("stream", 9, 6), ("masks", 8, 4), ("mixed", 4, 4)])
def test_parts_of_an_evaluation(tmp_path, case, size, batch):
    """9 examples in batches of 6 are 6 + 3: each of two pieces has some of the last one."""
    source = CASES[case][0](tmp_path)
    source = Source(
        source.name, source.class_names, source.image_shape,
        {part: source.split(part).select(np.arange(size)) for part in PARTS}, task=source.task,
    )  # fmt: skip
    shape = (12, 12, source.image_shape[2])
    settings = {"image_shape": shape, "preprocessing": CIFAR.for_channels(shape[2]), "batch_size": batch}
    whole = data.eval_pipeline(source, "test", **settings)
    parts = []
    for index in range(2):
        part, steps = data.eval_share(source, "test", Share(index, 1, 2), **settings, keep=True)
        assert steps == whole.cardinality() and int(part.cardinality()) == steps
        parts.append(list(part.as_numpy_iterator()))
    for expected, found in zip(whole.as_numpy_iterator(), put_together(parts, steps, 1), strict=True):
        for one, other in zip(arrays(expected), found, strict=True):
            np.testing.assert_array_equal(one, other)


def test_only_the_own_files_are_read(tmp_path, monkeypatch):
    """The other half of the images may be missing."""
    monkeypatch.setattr(pipeline, "CACHE_BYTES", 0)
    source = folder(tmp_path)
    settings = {"image_shape": (12, 12, 3), "preprocessing": CIFAR, "batch_size": BATCH, "seed": 2}
    read = []
    monkeypatch.setattr(
        type(source.split("train")), "images", lambda self, index: tf.ensure_shape(tf.py_function(
            lambda number: (read.append(int(number)), tf.zeros([12, 12, 3], tf.uint8))[1], [index], tf.uint8
        ), [12, 12, 3]),
    )  # fmt: skip
    first, steps = data.train_pipeline(source, **settings, share=Share(0, 1, 2))
    list(first.as_numpy_iterator())
    assert len(read) == steps * BATCH // 2
    second, _ = data.train_pipeline(source, **settings, share=Share(1, 1, 2))
    list(second.as_numpy_iterator())
    assert len(set(read)) == steps * BATCH


def test_what_is_refused():
    source = data.load("digits", limit=SIZE)
    settings = {"image_shape": (8, 8, 1), "preprocessing": CIFAR.for_channels(1)}
    with pytest.raises(InputError, match="multiple of its 3 pieces. Received: batch_size=4"):
        data.train_pipeline(source, **settings, batch_size=4, share=Share(0, 1, 3))
    with pytest.raises(InputError, match="must have an example. Received: batch_size=12, 13 examples"):
        data.eval_share(source, "test", Share(0, 1, 2), **settings, batch_size=12)
    for bad in ({"total": 0}, {"first": 2, "total": 2}, {"first": 1, "count": 2, "total": 2}, {"count": 0}):
        with pytest.raises(InputError, match="Received: "):
            Share(**bad)
