"""Sets of TensorFlow Datasets, with tiny builders written here, so that no network is used."""

import socket

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from kerascnn import data
from kerascnn._errors import InputError
from kerascnn._preprocessing import CIFAR
from kerascnn.data import pipeline
from kerascnn.data.sets.tfds import source_from_builder


class Tiny(tfds.core.GeneratorBasedBuilder):
    """Images whose pixels all equal their label."""

    VERSION = tfds.core.Version("1.0.0")
    SKIP_REGISTERING = True
    SPLITS = {"train": 20, "validation": 4, "test": 5}
    TEST_LABEL = None  # overrides every test label
    IMAGE = dict(shape=(None, None, 3))

    def _info(self):
        features = {
            "image": tfds.features.Image(**self.IMAGE),
            "label": tfds.features.ClassLabel(names=["x", "y", "z"]),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split, count) for split, count in self.SPLITS.items()}

    def _generate_examples(self, split, count):
        for number in range(count):
            image = np.full([4 + number % 3, 5, self.IMAGE["shape"][-1]], number % 3, np.uint8)
            label = number % 3 if split != "test" or self.TEST_LABEL is None else self.TEST_LABEL
            yield number, {"image": image, "label": label}


class SecretTest(Tiny):
    SPLITS = {"train": 20, "test": 5, "validation": 4}
    TEST_LABEL = -1


class OnlyTrain(Tiny):
    SPLITS = {"train": 20}


class NoTrain(Tiny):
    SPLITS = {"test": 5}


class Deep(Tiny):
    IMAGE = dict(shape=(None, None, 4))


class TwoLabels(Tiny):
    def _info(self):
        label = tfds.features.ClassLabel(num_classes=2)
        features = {"image": tfds.features.Image(), "coarse": label, "fine": label}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))


class Text(Tiny):
    def _info(self):
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({"text": tfds.features.Text()}))


class Broken(Tiny):
    def _split_generators(self, dl_manager):
        raise ConnectionError("Max retries exceeded\nand much more")


class WithMasks(Tiny):
    """Masks beside labels, numbered as in `MASKS`."""

    MASKS = [0, 1, 2]
    MASK_NAME = "segmentation_mask"

    def _info(self):
        features = {
            "image": tfds.features.Image(),
            self.MASK_NAME: tfds.features.Image(shape=(None, None, 1)),
            "label": tfds.features.ClassLabel(num_classes=2),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _generate_examples(self, split, count):
        for number in range(count):
            shape = [4 + number % 3, 5]
            mask = np.full([*shape, 1], self.MASKS[number % len(self.MASKS)], np.uint8)
            mask[0, 0] = 255
            yield number, {"image": np.full([*shape, 3], 9, np.uint8), self.MASK_NAME: mask, "label": number % 2}


class OxfordIIITPet(WithMasks):
    name = "oxford_iiit_pet"
    MASKS = [1, 2, 3]


class OtherMasks(WithMasks):
    MASK_NAME = "depth"


def make(builder, folder, task="classification"):
    return source_from_builder(builder(data_dir=folder), builder.name, task)


def test_source(tmp_path):
    source = make(Tiny, tmp_path)
    assert source.class_names == ("x", "y", "z") and source.image_shape == (None, None, 3)
    assert source.sizes == {"train": 20, "validation": 4, "test": 5}
    examples = list(source.dataset("train").as_numpy_iterator())
    assert sorted(label for _, label in examples) == sorted(number % 3 for number in range(20))
    for image, label in examples:
        assert image.dtype == np.uint8 and image.shape[1:] == (5, 3) and (image == label).all()
    again = [label for _, label in source.dataset("train").as_numpy_iterator()]
    assert again == [label for _, label in examples]
    assert source.take(3).sizes == {"train": 3, "validation": 3, "test": 3}
    assert len(list(source.take(3).dataset("test"))) == 3


@pytest.mark.parametrize(
    ("augment", "cache"),
    [
        ("none", pipeline.CACHE_BYTES),
        ("random_resized_crop", pipeline.CACHE_BYTES),
        pytest.param("random_resized_crop", 0, marks=pytest.mark.after),
    ],
)
def test_pipelines(tmp_path, monkeypatch, cache, augment):
    """In memory and through the shuffle buffer: every example once an epoch, orders differ, a restart continues."""
    monkeypatch.setattr(pipeline, "CACHE_BYTES", cache)
    source = make(Tiny, tmp_path)
    settings = dict(image_shape=(8, 8, 3), preprocessing=CIFAR, batch_size=5, augment=augment, seed=7, epochs=3)
    tf.random.set_seed(1)
    dataset, steps = data.train_pipeline(source, **settings)
    assert steps == 4
    images, labels = (np.concatenate(parts) for parts in zip(*dataset.as_numpy_iterator(), strict=True))
    for epoch in labels.reshape(3, 20):
        assert np.bincount(epoch).tolist() == [7, 7, 6]
    assert not np.array_equal(labels[:20], labels[20:40])
    tf.random.set_seed(0)  # global state must not matter
    rest, _ = data.train_pipeline(source, **settings, first_epoch=1)
    later_images, later_labels = (np.concatenate(parts) for parts in zip(*rest.as_numpy_iterator(), strict=True))
    np.testing.assert_array_equal(later_labels, labels[20:])
    np.testing.assert_array_equal(later_images, images[20:])
    tested = data.eval_pipeline(source, image_shape=(8, 8, 3), preprocessing=CIFAR, batch_size=2)
    assert [len(label) for _, label in tested] == [2, 2, 1] == [len(label) for _, label in tested]


def test_validation_takes_the_place_of_a_secret_test(tmp_path):
    source = make(SecretTest, tmp_path)
    assert source.sizes == {"train": 16, "validation": 4, "test": 4}
    assert source.split("validation").ids  # held out of train, while these four are named by their own positions:
    assert source.split("test").ids is None


def test_parts_that_are_missing_are_held_out_of_train(tmp_path):
    """Each example of the stream is in one part, whatever the part is read for."""
    source = make(OnlyTrain, tmp_path)
    assert source.sizes == {"train": 16, "validation": 3, "test": 1}
    names = [name for split in source.splits.values() for name in split.names]
    assert sorted(names, key=int) == [str(number) for number in range(20)]
    whole = make(Tiny, tmp_path / "whole").split("train")
    everything = [int(label) for _, label in whole.elements()]
    for name, split in source.splits.items():
        found = [int(label) for _, label in source.dataset(name)]
        assert found == [everything[int(position)] for position in split.names]
    settings = dict(image_shape=(8, 8, 3), preprocessing=CIFAR, batch_size=4, augment="random_resized_crop")
    _, labels = next(iter(data.train_pipeline(source, **settings)[0]))
    assert len(labels) == 4
    assert len(list(source.take(2).dataset("validation"))) == 2


@pytest.mark.parametrize(
    ("builder", "message"),
    [
        (NoTrain, "split named train"),
        (Deep, "1 or 3 channels"),
        (TwoLabels, "one image and one class label.*'two_labels' with 2 features of the kind label"),
        (Text, "with 0 features of the kind image"),
        (Broken, r"cannot download and prepare 'broken' \(Max retries exceeded\)$"),
    ],
)
def test_sets_that_are_refused(tmp_path, builder, message):
    with pytest.raises(InputError, match=message):
        make(builder, tmp_path)


def test_no_network(tmp_path, monkeypatch):
    """Said at once, instead of after TFDS' ten attempts; not asked when the files are there or a proxy is set."""

    class Remote(Tiny):
        url_infos = {"https://data.example.invalid/images.zip": None}

    def fail(*arguments):
        raise socket.gaierror("no such host")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setattr("urllib.request.getproxies", dict)
    with pytest.raises(InputError, match="cannot download 'remote'.* no server data.example.invalid"):
        make(Remote, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("urllib.request.getproxies", lambda: {"https": "proxy"})
        assert make(Remote, tmp_path).sizes["train"] == 20
    assert make(Remote, tmp_path).sizes["train"] == 20  # prepared by now


def test_unknown_config():
    with pytest.raises(InputError, match="no such data set .*'cifar10/foo'"):
        data.load("cifar10/foo")


@pytest.mark.parametrize(
    ("builder", "class_names"), [(WithMasks, ("0", "1", "2")), (OxfordIIITPet, ("pet", "background", "outline"))]
)
def test_sets_with_masks(tmp_path, builder, class_names):
    source = make(builder, tmp_path, "segmentation")
    assert source.class_names == class_names and source.task == "segmentation"
    assert source.sizes == {"train": 20, "validation": 4, "test": 5}
    assert source.take(3).sizes == {"train": 3, "validation": 3, "test": 3}
    found = set()
    for image, mask in source.dataset("train").as_numpy_iterator():
        assert image.shape == (*mask.shape, 3) and mask[0, 0] == 255 and len(np.unique(mask.ravel()[1:])) == 1
        found.add(int(mask[1, 1]))
    assert found == {0, 1, 2}
    assert make(builder, tmp_path).class_names == ("0", "1")  # as a set of labels


@pytest.mark.parametrize("cache", [pipeline.CACHE_BYTES, 0])
def test_pipelines_of_masks(tmp_path, monkeypatch, cache):
    """In memory and through the shuffle buffer: every example once an epoch, and a restart continues."""
    monkeypatch.setattr(pipeline, "CACHE_BYTES", cache)
    source = make(WithMasks, tmp_path, "segmentation")
    settings = dict(image_shape=(5, 5, 3), preprocessing=CIFAR, batch_size=5, seed=7, epochs=2)
    dataset, steps = data.train_pipeline(source, **settings)
    assert steps == 4
    masks = np.concatenate([mask for _, mask in dataset.as_numpy_iterator()])
    for epoch in masks[:, 2, 2].reshape(2, 20):
        assert np.bincount(epoch).tolist() == [7, 7, 6]
    rest, _ = data.train_pipeline(source, **settings, first_epoch=1)
    np.testing.assert_array_equal(np.concatenate([mask for _, mask in rest.as_numpy_iterator()]), masks[20:])


def test_numbers_below_the_first_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(OxfordIIITPet, "MASKS", [0, 1])
    with pytest.raises(InputError, match="holds the numbers of the classes. Received: another at position 0"):
        data.check_images(make(OxfordIIITPet, tmp_path, "segmentation"))


@pytest.mark.parametrize("builder", [Tiny, OtherMasks])
def test_sets_without_masks_are_refused_for_segmentation(tmp_path, builder):
    with pytest.raises(InputError, match="one mask called segmentation_mask or segmentation_label. .* 0 masks"):
        make(builder, tmp_path, "segmentation")
