"""The pipeline: what an epoch holds, that a restart continues exactly, and that it works under a strategy."""

import numpy as np
import pytest
import tensorflow as tf

from kerascnn import data
from kerascnn._errors import InputError
from kerascnn._preprocessing import CIFAR, IMAGENET, Preprocessing
from kerascnn.data import pipeline
from kerascnn.data.source import Source
from kerascnn.data.splits import Arrays

PLAIN = Preprocessing(mean=(0.0,), std=(1 / 255,), crop_fraction=1.0, fit="pad")  # leaves pixel values as they are


def flat_images(train=20, test=7, size=8):
    """Every pixel of image i is 10 + i, so that a batch shows which images it holds; the label is i modulo 5."""

    def split(count):
        pixels = np.broadcast_to(np.arange(10, 10 + count, dtype=np.uint8)[:, None, None, None], [count, size, size, 1])
        return Arrays(np.array(pixels), np.arange(count) % 5)

    splits = {"train": split(train), "validation": split(test), "test": split(test)}
    return Source("flat", tuple("abcde"), (size, size, 1), splits)


def collect(dataset):
    images, labels = (np.concatenate(parts) for parts in zip(*dataset.as_numpy_iterator(), strict=True))
    return images, labels


def write_folder(folder, count=6):
    random = np.random.RandomState(0)
    for split in ("train", "val", "test"):
        for name in ("a", "b"):
            (folder / split / name).mkdir(parents=True)
            for number in range(count // 2):
                size = random.randint(6, 12, 2)
                pixels = random.randint(0, 256, [*size, 3]).astype(np.uint8)
                tf.io.write_file(str(folder / split / name / f"{number}.png"), tf.io.encode_png(pixels))
    return data.load(str(folder))


def test_every_epoch_holds_every_image_once_in_a_new_order():
    source = flat_images()
    dataset, steps = data.train_pipeline(
        source, image_shape=(8, 8, 1), preprocessing=PLAIN, batch_size=5, epochs=3, seed=1
    )
    assert steps == 4 and dataset.cardinality() == 12
    assert dataset.element_spec[0] == tf.TensorSpec([5, 8, 8, 1], tf.float32)
    assert dataset.element_spec[1] == tf.TensorSpec([5], tf.int64)
    images, labels = collect(dataset)
    shown = np.round(images[:, 0, 0, 0]).astype(int) - 10
    np.testing.assert_array_equal(labels, shown % 5)
    epochs = shown.reshape(3, 20)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(20), [3, 1]))
    assert len({tuple(epoch) for epoch in [*epochs.tolist(), list(range(20))]}) == 4


def test_remainder_is_dropped_and_small_sets_make_one_batch():
    settings = dict(image_shape=(8, 8, 1), preprocessing=PLAIN, epochs=2)
    dataset, steps = data.train_pipeline(flat_images(), **settings, batch_size=8)
    assert steps == 2 and [len(label) for _, label in dataset] == [8] * 4
    dataset, steps = data.train_pipeline(flat_images(), **settings, batch_size=64)
    assert steps == 1 and [len(label) for _, label in dataset] == [20] * 2


@pytest.mark.parametrize(
    ("kind", "augment"),
    [
        ("arrays", "none"),
        ("arrays", "pad_crop_flip"),
        ("arrays", "alexnet"),
        ("arrays", "random_resized_crop"),
        ("arrays not kept", "pad_crop_flip"),
        ("files", "random_resized_crop"),
        ("files not kept", "alexnet"),
        ("arrays", "pad_crop + flip + mixup"),
        ("arrays", "resized_crop + cutmix"),
        ("files not kept", "crop + mixup(0.5) + cutmix"),
    ],
)
def test_a_restart_sees_what_an_uninterrupted_run_sees(tmp_path, monkeypatch, augment, kind):
    if kind.endswith("not kept"):
        monkeypatch.setattr(pipeline, "CACHE_BYTES", 0)
    source = write_folder(tmp_path) if kind.startswith("files") else data.load("digits", limit=12)
    channels = source.image_shape[2]
    settings = dict(
        image_shape=(16, 16, channels), preprocessing=CIFAR, batch_size=2, augment=augment, seed=3, epochs=3
    )
    tf.random.set_seed(1)
    dataset, steps = data.train_pipeline(source, **settings)
    images, labels = collect(dataset)
    assert images.shape == (steps * 2 * 3, 16, 16, channels) and images.dtype == np.float32
    assert np.isfinite(images).all()
    tf.random.set_seed(2)
    rest, _ = data.train_pipeline(source, **settings, first_epoch=2)
    later_images, later_labels = collect(rest)
    assert later_images.tobytes() == images[steps * 4 :].tobytes()
    np.testing.assert_array_equal(later_labels, labels[steps * 4 :])
    other, _ = data.train_pipeline(source, **{**settings, "seed": 4})
    assert collect(other)[0].tobytes() != images.tobytes()


def test_augmentation_differs_between_epochs():
    source = flat_images(train=1, size=28)
    dataset, _ = data.train_pipeline(
        source, image_shape=(28, 28, 1), preprocessing=PLAIN, batch_size=1, augment="pad_crop_flip", epochs=8
    )
    images, _ = collect(dataset)
    assert len({image.tobytes() for image in images}) > 2
    assert set(np.round(np.unique(images))) == {0, 10}  # the border is black


def test_kept_and_reread_images_are_the_same(tmp_path, monkeypatch):
    source = write_folder(tmp_path)
    settings = dict(image_shape=(8, 8, 3), preprocessing=IMAGENET, batch_size=3)
    both = [data.train_pipeline(source, **settings)[0], data.eval_pipeline(source, **settings, keep=True)]
    kept = [collect(dataset) for dataset in both]
    monkeypatch.setattr(pipeline, "CACHE_BYTES", 0)
    both = [data.train_pipeline(source, **settings)[0], data.eval_pipeline(source, **settings, keep=True)]
    reread = [collect(dataset) for dataset in both]
    for (images, labels), (again, numbers) in zip(kept, reread, strict=True):
        np.testing.assert_array_equal(images, again)
        np.testing.assert_array_equal(labels, numbers)


def test_evaluation_holds_all_examples_in_order(tmp_path):
    for source, keep in ((data.load("digits", limit=7), False), (write_folder(tmp_path, 14), True)):
        shape = (16, 16, source.image_shape[2])
        dataset = data.eval_pipeline(source, image_shape=shape, preprocessing=CIFAR, batch_size=3, keep=keep)
        assert dataset.cardinality() == -(-source.sizes["test"] // 3)
        for _ in range(2):
            images, labels = collect(dataset)
            assert [len(label) for _, label in dataset][-1] == source.sizes["test"] % 3
            for image, label, (raw, number) in zip(images, labels, source.dataset("test"), strict=True):
                np.testing.assert_allclose(image, data.preprocess_image(raw, shape, CIFAR), atol=1e-6)
                assert label == number
    train = data.eval_pipeline(source, "train", image_shape=shape, preprocessing=CIFAR, batch_size=100)
    assert len(next(iter(train))[1]) == source.sizes["train"]


def test_iterators_that_are_given_up_leave_the_next_ones_whole():
    """Keras looks at a first batch before a validation; Dataset.cache() took what it had read for the whole set."""
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    settings = dict(image_shape=(8, 8, 1), preprocessing=PLAIN, batch_size=1)
    for keep in (True, False):
        dataset = data.eval_pipeline(flat_images(), **settings, keep=keep)
        graph = dataset._as_serialized_graph()  # what is in it at all; the fault itself is rare
        assert b"CacheDataset" not in graph.numpy()
        for _ in range(5):
            shared = strategy.experimental_distribute_dataset(dataset)
            next(iter(shared))
            assert len(list(shared)) == dataset.cardinality()


def test_training_and_evaluation_see_the_same_image():
    source = data.load("digits", limit=1)
    settings = dict(image_shape=(32, 32, 3), preprocessing=IMAGENET, batch_size=1)
    trained, _ = data.train_pipeline(source, **settings)
    evaluated = data.eval_pipeline(source, "train", **settings)
    np.testing.assert_array_equal(collect(trained)[0], collect(evaluated)[0])


@pytest.mark.parametrize("split", ["train", "test"])
def test_two_replicas_share_a_batch(split):
    """Together they see exactly the examples of one device, in halves, without a warning about sharding."""
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    source = flat_images()
    settings = dict(image_shape=(8, 8, 1), preprocessing=PLAIN, batch_size=4)
    with strategy.scope():
        if split == "train":
            dataset, _ = data.train_pipeline(source, **settings, augment="pad_crop_flip", seed=2)
        else:
            dataset = data.eval_pipeline(source, **settings)
    images, labels = collect(dataset)
    sizes, shared_images, shared_labels = [], [], []
    for image, label in strategy.experimental_distribute_dataset(dataset):
        sizes.append([len(part) for part in strategy.experimental_local_results(label)])
        shared_images += [part.numpy() for part in strategy.experimental_local_results(image)]
        shared_labels += [part.numpy() for part in strategy.experimental_local_results(label)]
    assert sizes == ([[2, 2]] * 5 if split == "train" else [[2, 2], [2, 1]])
    np.testing.assert_array_equal(np.concatenate(shared_images), images)
    np.testing.assert_array_equal(np.concatenate(shared_labels), labels)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"augment": "mix"}, "augment must be none, or of .*near to mix: mixup.*'mix'"),
        ({"batch_size": 0}, "batch_size must be a whole number, at least 1"),
        ({"first_epoch": 1}, "first_epoch=1, epochs=1"),
        ({"first_epoch": -1}, "first_epoch"),
        ({"image_shape": (8, 8, 4)}, "image_shape must be"),
    ],
)
def test_arguments_that_are_refused(change, message):
    settings = dict(image_shape=(8, 8, 1), preprocessing=PLAIN, batch_size=4)
    with pytest.raises(InputError, match=message):
        data.train_pipeline(flat_images(), **{**settings, **change})
    if set(change) & {"batch_size", "image_shape"}:
        with pytest.raises(InputError, match=message):
            data.eval_pipeline(flat_images(), **{**settings, **change})


def test_empty_set():
    with pytest.raises(InputError, match="train split .* must not be empty. Received: 'flat'"):
        flat_images(train=0)
