"""Balanced epochs: exact counts, the same whatever the number of workers and after a resume, for every kind of set."""

import numpy as np
import pytest
import tensorflow as tf
from mask_files import some_masks, write_pairs

from kerascnn import data
from kerascnn._errors import InputError
from kerascnn._preprocessing import CIFAR
from kerascnn.data import Share, pipeline
from kerascnn.data.masks import IGNORE, PairArrays, PairFiles, PairStream
from kerascnn.data.parts import PARTS
from kerascnn.data.sampling import SAMPLING, Balanced
from kerascnn.data.source import Source
from kerascnn.data.splits import Arrays, Stream
from kerascnn.tasks import TASKS
from kerascnn.training import config

COUNTS = (40, 11, 3)  # of three classes; 54 images
NAMES = ("many", "some", "few")
SETTINGS = {"image_shape": (4, 4, 1), "preprocessing": CIFAR.for_channels(1), "batch_size": 13, "sampling": "balanced"}


def numbered(counts=COUNTS, seed=1):
    """Images that tell which they are: all pixels of the i-th are i; labels in no order."""
    numbers = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    pixels = np.broadcast_to(np.arange(len(numbers), dtype=np.uint8)[:, None, None, None], (len(numbers), 4, 4, 1))
    return Arrays(np.ascontiguousarray(pixels), numbers)


def source(split=None):
    split = split or numbered()
    return Source("unbalanced", NAMES, (4, 4, 1), dict.fromkeys(PARTS, split))


def stream(shuffled=False):
    """The same as a stream, whose order differs from epoch to epoch where it is shuffled."""
    split = numbered()

    class Mixed(Stream):
        def epochs(self):
            order = lambda seed: tf.random.experimental.stateless_shuffle(tf.range(split.size), seed)  # noqa: E731
            pairs = lambda index: (split.images(index), tf.gather(split.labels, index))  # noqa: E731
            return lambda seed: tf.data.Dataset.from_tensor_slices(order(seed)).map(pairs)

    return source((Mixed if shuffled else Stream)(split.elements, lambda image: image, split.size))


def seen(given, **settings):
    """(which image, label) of each example, epoch by epoch [epochs, used, 2]."""
    settings = {**SETTINGS, "epochs": 3, **settings}
    feed, steps = data.train_pipeline(given, **settings)
    mean, std = (np.array(values) for values in (settings["preprocessing"].mean, settings["preprocessing"].std))
    pairs = [
        (round(float((pixel * std[0] + mean[0]).item()) * 255), label)
        for images, labels in feed.as_numpy_iterator()
        for pixel, label in zip(images[:, 0, 0, 0], labels, strict=True)
    ]
    return np.array(pairs).reshape(settings["epochs"] - settings.get("first_epoch", 0), steps * 13, 2)


KINDS = {"in memory": (source, True), "stream": (stream, False), "mixed stream": (lambda: stream(True), False)}


@pytest.mark.parametrize("kind", KINDS)
def test_every_class_equally_often(kind, monkeypatch):
    """52 examples an epoch of 3 classes: 17 each and one more; each image of a class as often as another, or once more.
    And the labels are those of the images."""
    make, kept = KINDS[kind]
    if not kept:
        monkeypatch.setattr(pipeline, "CACHE_BYTES", 0)
    numbers, epochs = numbered().numbers, seen(make())
    for epoch in epochs:
        np.testing.assert_array_equal(numbers[epoch[:, 0]], epoch[:, 1])
        assert sorted(np.bincount(epoch[:, 1])) == [17, 17, 18]
        for label, there in enumerate(COUNTS):
            times = np.bincount(epoch[epoch[:, 1] == label, 0], minlength=54)[numbers == label]
            needed = times.sum()
            assert set(times) <= {needed // there, -(-needed // there)}
    chosen = [set(epoch[epoch[:, 1] == 0, 0]) for epoch in epochs]
    assert chosen[0] != chosen[1] != chosen[2]  # other images of the class that has more than it needs
    assert len({tuple(epoch[:, 1]) for epoch in epochs}) == 3


def test_a_class_has_its_turn_when_there_are_fewer_examples_than_classes():
    numbers = np.array([2, 1, 0, 0])
    balanced = Balanced.of(numbers, NAMES)
    orders = np.array([balanced.order(2, tf.constant([7, step])) for step in range(30)])
    assert {tuple(sorted(numbers[order])) for order in orders} == {(0, 1), (0, 2), (1, 2)}


@pytest.mark.parametrize("kind", ["in memory", "mixed stream"])
def test_workers_and_resumed_runs_see_the_same(kind, monkeypatch):
    make, kept = KINDS[kind]
    if not kept:
        monkeypatch.setattr(pipeline, "CACHE_BYTES", 0)
    given, settings = make(), {**SETTINGS, "batch_size": 12, "augment": "pad_crop", "seed": 3, "epochs": 2}
    whole = list(data.train_pipeline(given, **settings)[0].as_numpy_iterator())
    parts = [data.train_pipeline(given, **settings, share=Share(i, 1, 2))[0].as_numpy_iterator() for i in range(2)]
    for (images, labels), first, second in zip(whole, *parts, strict=True):
        np.testing.assert_array_equal(images, np.concatenate([first[0], second[0]]))
        np.testing.assert_array_equal(labels, np.concatenate([first[1], second[1]]))
    resumed = list(data.train_pipeline(given, **settings, first_epoch=1)[0].as_numpy_iterator())
    for (images, labels), again in zip(whole[4:], resumed, strict=True):
        np.testing.assert_array_equal(images, again[0])
        np.testing.assert_array_equal(labels, again[1])


def test_the_default_order_is_what_it_was():
    """Each image once."""
    for epoch in seen(source(), sampling="shuffle"):
        assert len(set(epoch[:, 0])) == 52


def test_counts_of_classes():
    assert data.class_counts(source()).tolist() == data.class_counts(stream()).tolist() == list(COUNTS)
    masks = np.array([[[0, 1, 1], [IGNORE, 1, 2]], [[0, 0, 0], [0, 0, IGNORE]]], np.uint8)
    arrays = PairArrays(np.zeros((2, 2, 3, 1), np.uint8), masks, 3)
    read = arrays.elements
    decoded = PairStream(read, lambda image, mask: tf.concat([image, mask[..., None]], axis=-1), 2)
    for split in (arrays, decoded):
        masked = Source("masked", NAMES, (2, 3, 1), dict.fromkeys(PARTS, split), task="segmentation")
        assert data.class_counts(masked).tolist() == [6, 3, 1]


def test_counts_of_mask_files(tmp_path):
    masks = some_masks(3)
    folder = write_pairs(tmp_path, masks)
    images, paths = ([str(path) for path in sorted((folder / name).iterdir())] for name in ("images", "masks"))
    split = PairFiles(images, paths, 3)
    given = Source("masked", NAMES, (None, None, 3), dict.fromkeys(PARTS, split), task="segmentation")
    pixels = np.concatenate([mask.ravel() for mask in masks])
    assert (pixels == IGNORE).sum() == 1
    assert data.class_counts(given).tolist() == [(pixels == number).sum() for number in range(3)]


def test_the_settings_of_a_run_name_the_same_kinds():
    """They import no TensorFlow, and so have a list of their own."""
    assert config.SAMPLING == SAMPLING == TASKS["classification"].samplings


def test_what_is_refused():
    with pytest.raises(InputError, match="sampling must be one of shuffle, balanced. Received: sampling='uniform'"):
        data.train_pipeline(source(), **{**SETTINGS, "sampling": "uniform"})
    with pytest.raises(InputError, match=r"sampling=balanced needs .* every class. Received: none of 'some' \(1 such"):
        data.train_pipeline(source(numbered((9, 0, 5))), **SETTINGS)
    masked = PairArrays(np.zeros((2, 4, 4, 1), np.uint8), np.zeros((2, 4, 4), np.uint8), 3)
    masked = Source("masked", NAMES, (4, 4, 1), dict.fromkeys(PARTS, masked), task="segmentation")
    with pytest.raises(InputError, match="have no class by which to sample. Received: sampling=balanced"):
        data.train_pipeline(masked, **SETTINGS)
