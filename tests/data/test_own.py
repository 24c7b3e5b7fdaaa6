"""Sets from arrays and from one's own tf.data: the same examples, parts and refusals as any other set."""

import numpy as np
import pytest
import tensorflow as tf

import kerascnn
from kerascnn import data, training
from kerascnn._errors import InputError
from kerascnn._preprocessing import CIFAR

IMAGES = np.random.RandomState(0).randint(0, 256, (80, 8, 8, 3)).astype(np.uint8)
LABELS = (np.arange(80) % 3).astype(np.int32)
MASKS = np.random.RandomState(1).randint(0, 2, (80, 8, 8)).astype(np.int64)
NAMES = ("a", "b", "c")


def dataset(images=IMAGES, labels=LABELS):
    return tf.data.Dataset.from_tensor_slices((images, labels))


def examples(source, part):
    return [(image.tobytes(), label.tolist()) for image, label in source.dataset(part).as_numpy_iterator()]


def batches(source, **options):
    given = {"image_shape": (8, 8, 3), "preprocessing": CIFAR, "batch_size": 8, "seed": 3, "augment": "flip"}
    return list(data.train_pipeline(source, **given, **options)[0].as_numpy_iterator())


@pytest.mark.parametrize("make", [
    lambda: data.from_arrays({"train": (IMAGES, LABELS)}, NAMES),
    lambda: data.from_datasets({"train": dataset()}, NAMES),
], ids=["arrays", "datasets"])  # fmt: skip
def test_every_example_is_in_one_part(make):
    source = make()
    found = [example for part in source.splits for example in examples(source, part)]
    assert sorted(found) == sorted(zip([image.tobytes() for image in IMAGES], LABELS.tolist(), strict=True))
    assert source.image_shape == (8, 8, 3) and source.class_names == NAMES and source.task == "classification"
    assert all(source.sizes[part] for part in source.splits) and source.sizes["train"] > 50
    first, again = batches(source), batches(make())
    assert first[0][0].shape == (8, 8, 8, 3)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
    assert make().record() == source.record() and not source.changes(make().record())


def test_parts_that_are_given_are_taken():
    source = data.from_datasets({"train": dataset().take(60), "test": dataset().skip(60)}, NAMES, mirrored=False)
    assert examples(source, "test") == [(IMAGES[n].tobytes(), int(LABELS[n])) for n in range(60, 80)]
    given = {"train": (IMAGES[:50], LABELS[:50]), "validation": (IMAGES[50:], LABELS[50:])}
    assert data.from_arrays(given, NAMES).sizes["validation"] == 30


def test_equal_images_stay_together():
    source = data.from_arrays({"train": (np.repeat(IMAGES, 2, axis=0), np.repeat(LABELS, 2))}, NAMES)
    parts = [{image for image, _ in examples(source, part)} for part in source.splits]
    assert sum(map(len, parts)) == 80 and not set.intersection(*parts)


def test_other_pixels_are_noticed():
    record = data.from_arrays({"train": (IMAGES, LABELS)}, NAMES).record()
    other = IMAGES.copy()
    other[:, 0, 0, 0] ^= 1
    assert data.from_arrays({"train": (other, LABELS)}, NAMES).changes(record)


@pytest.mark.parametrize("make", [
    lambda: data.from_arrays({"train": (IMAGES, MASKS)}, NAMES),
    lambda: data.from_datasets({"train": dataset(labels=MASKS)}, NAMES),
], ids=["arrays", "datasets"])  # fmt: skip
def test_masks(make):
    source = make()
    assert source.task == "segmentation"
    found = {image: label for part in source.splits for image, label in examples(source, part)}
    assert found == {image.tobytes(): mask.tolist() for image, mask in zip(IMAGES, MASKS, strict=True)}
    images, masks = batches(source)[0]
    assert images.shape == (8, 8, 8, 3) and masks.shape == (8, 8, 8)


def test_gray_images_of_different_sizes():
    gray = data.from_arrays({"train": (IMAGES[..., 0], LABELS)}, NAMES)
    assert gray.image_shape == (8, 8, 1)

    def cut(image, label):
        return tf.ensure_shape(image[: 5 + label], [None, 8, 3]), label

    source = data.from_datasets({"train": dataset().map(cut)}, NAMES)
    assert source.image_shape == (None, 8, 3) and batches(source)[0][0].shape == (8, 8, 8, 3)


def test_sizes_that_are_not_known():
    evens = dataset().filter(lambda image, label: label < 2)
    with pytest.raises(InputError, match=r"sizes=\{'train': ...\} tells it. Received: -2 examples"):
        data.from_datasets({"train": evens}, NAMES)
    with pytest.raises(InputError, match="Received: -1"):
        data.from_datasets({"train": dataset().repeat()}, NAMES)
    source = data.from_datasets({"train": evens}, NAMES, sizes={"train": int((LABELS < 2).sum())})
    assert sum(source.sizes.values()) == (LABELS < 2).sum()


@pytest.mark.parametrize(("make", "message"), [
    (lambda: data.from_arrays({"train": (IMAGES / 255, LABELS)}, NAMES), "Images must be uint8 .*float64"),
    (lambda: data.from_arrays({"train": (IMAGES[..., :2], LABELS)}, NAMES), r"1 or 3 channels. Received: .*8, 2\]"),
    (lambda: data.from_arrays({"train": (IMAGES, LABELS[:9])}, NAMES), r"one for each image.*int32 \[9\]"),
    (lambda: data.from_arrays({"train": (IMAGES, LABELS / 1)}, NAMES), "whole numbers.*float64"),
    (lambda: data.from_arrays({"train": (IMAGES, LABELS)}, NAMES[:2]), "from 0 to 1. Received: 2 at position 2"),
    (lambda: data.from_arrays({"train": (IMAGES, MASKS + 2)}, NAMES), "from 0 to 2, or 255 .*Received: 3"),
    (lambda: data.from_arrays({"train": (IMAGES, MASKS - 1)}, NAMES), "no number below 0. Received: -1 for 'train'"),
    (lambda: data.from_arrays({"train": (IMAGES, LABELS)}, 3), "class_names must be texts.*Received: 3"),
    (lambda: data.from_datasets({"train": dataset()}, NAMES, sizes={"train": 7}), "its cardinality, 80. Received: 7"),
    (lambda: data.from_datasets({"train": dataset()}, NAMES, sizes={"test": 7}), "parts that are given, train"),
    (lambda: data.from_arrays({"train": IMAGES}, NAMES), r"must be \(images, labels\). Received: ndarray"),
    (lambda: data.from_arrays({"val": (IMAGES, LABELS)}, NAMES), r"must map train.* Received: \['val'\]"),
    (lambda: data.from_arrays((IMAGES, LABELS), NAMES), "must map train.* Received: tuple"),
    (lambda: data.from_arrays({"train": (IMAGES, LABELS)}, "abc"), "class_names must be texts"),
    (lambda: data.from_arrays({"train": (IMAGES, LABELS)}, ("a", "a", "b")), "each another"),
    (lambda: data.from_arrays({"train": (IMAGES, LABELS * 0)}, ("a",)), "at least two classes. Received: 1"),
    (lambda: data.from_arrays({"train": (IMAGES[:2], LABELS[:2])}, NAMES), "at least 3 training examples"),
    (lambda: data.from_arrays({"train": (IMAGES, LABELS), "test": (IMAGES[..., 0], LABELS)}, NAMES), "kind of chann"),
    (lambda: data.from_arrays({"train": (IMAGES, LABELS), "test": (IMAGES, MASKS)}, NAMES), "kind of labels or mas"),
    (lambda: data.from_datasets({"train": dataset().batch(2)}, NAMES), "unbatched"),
    (lambda: data.from_datasets({"train": dataset(IMAGES / 255)}, NAMES), "unbatched.*float64"),
    (lambda: data.from_datasets({"train": [1, 2]}, NAMES), "Received: list for 'train'"),
])  # fmt: skip
def test_what_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_label_that_is_no_class_ends_in_words(tmp_path):
    source = data.from_datasets({"train": dataset()}, NAMES[:2])
    with pytest.raises(InputError, match="from 0 to 1"):
        data.class_counts(source)


@pytest.mark.parametrize("wrong", [-1, 3, 256, 258])
def test_a_mask_of_a_dataset_with_a_number_that_is_no_class(wrong):
    masks = MASKS.copy()
    masks[-1, 0, 0] = wrong  # cut down to a byte, 256 would be class 0, and -1 no class at all
    source = data.from_datasets({"train": dataset(labels=masks)}, NAMES)
    with pytest.raises(InputError, match="numbers of the classes"):
        data.check_images(source)


def test_a_run_on_arrays_is_resumed(tmp_path):
    """With an equal set; with other images it is refused."""
    info = kerascnn.model_info("lenet5")

    def trained(images):
        source = data.from_arrays({"train": (images, LABELS)}, NAMES)
        plan = training.plan(info, source, epochs=1, batch_size=32)
        return training.train(lambda: kerascnn.create_model("lenet5", classes=3), source, plan, tmp_path / "run")

    assert trained(IMAGES[..., 0]).first_epoch == 0
    assert trained(IMAGES[..., 0]).first_epoch == 1
    with pytest.raises(InputError, match="train"):
        trained(255 - IMAGES[..., 0])
