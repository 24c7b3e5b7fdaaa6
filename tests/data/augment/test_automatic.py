"""Policies: sub-policies and amounts are those of torchvision and timm, and draws follow from the seed alone."""

import numpy as np
import pytest
import tensorflow as tf

from kerascnn import data
from kerascnn._errors import InputError
from kerascnn._preprocessing import CIFAR
from kerascnn.data import augment
from kerascnn.data.augment import Target, apply, automatic, mixing, spaces
from kerascnn.data.augment.policies import POLICIES
from kerascnn.data.parts import PARTS
from kerascnn.data.source import Source
from kerascnn.data.splits import Arrays

TARGET = Target((32, 48, 3), CIFAR)
IMAGE = np.random.RandomState(1).randint(0, 256, (32, 48, 3)).astype(np.uint8)
SPACES = {"autoaugment": spaces.AUTO, "randaugment": spaces.RANDOM, "trivialaugment": spaces.WIDE}


def short(name):
    return name.replace("Increasing", "").replace("Rel", "")


@pytest.mark.parametrize("name", POLICIES)
def test_sub_policies_are_the_published_ones(policies, name):
    found = [[[step.name, step.probability, step.level] for step in pair] for pair in POLICIES[name].rows]
    without = ("AutoContrast", "Equalize", "Invert")
    expected = [
        [[short(op), part, 0 if op in without else level] for op, part, level in pair]
        for pair in policies["autoaugment"][name]
    ]
    assert found == expected and len(found) == 25


@pytest.mark.parametrize("name", [*SPACES, "augmix"])
def test_amounts_are_those_of_torchvision(policies, name):
    space, expected = SPACES.get(name, spaces.MIXED), policies["levels"][name]
    assert set(space.names) == {*expected, *(["Identity"] if name == "augmix" else [])}
    for change, (values, signed) in expected.items():
        for place, value in enumerate(values if isinstance(values, list) else []):
            level, sizes = tf.constant(place / (len(values) - 1), tf.float32), (32, 48)
            for sign in (1.0, -1.0):
                found = float(space.amount(change, level, tf.constant(sign), sizes))
                wanted = sign * value if signed else value
                wanted = 1.0 + wanted if change in spaces.ENHANCED else wanted
                if change.startswith("Translate"):  # towards 0; 15.9999 is 16 that was rounded
                    wanted = sign * int(value + 1e-4)
                assert found == pytest.approx(wanted, abs=1e-4), (change, place)


@pytest.mark.parametrize(("name", "space"), [("increasing", spaces.INCREASING), ("v0", spaces.TPU)])
def test_amounts_are_those_of_timm(policies, name, space):
    expected = policies["levels"][name]
    assert {short(change) for change in expected} <= set(space.names)
    for change, values in expected.items():
        for place, value in enumerate(values or []):
            level = tf.constant(place / 10, tf.float32)
            found = float(space.amount(short(change), level, tf.constant(1.0), (100, 100)))
            assert found == pytest.approx(value * (100 if "Translate" in change else 1), abs=1e-4), (change, place)
    if name == "increasing":
        assert {short(change) for change in expected} == set(space.names)
        assert float(space.factor(tf.constant(1.0), tf.constant(-1.0))) == pytest.approx(0.1)


def seeds(count):
    return tf.constant([[number, 7] for number in range(count)], tf.int64)


def results(text, count=40, image=IMAGE):
    """What each of some seeds makes of an image."""
    operations = augment.parse(text)
    image, target = tf.constant(image), Target(image.shape, CIFAR)

    def change(seed):
        return apply.change_images(operations, image, seed, target)

    dataset = tf.data.Dataset.from_tensor_slices(seeds(count)).map(change, tf.data.AUTOTUNE)
    return np.stack(list(dataset.as_numpy_iterator()))


def test_each_change_is_done_as_it_is_called():
    """With one name in a space, the policy does that change by that amount."""
    level, sign = tf.constant(0.5), tf.constant(-1.0)
    image = tf.constant(20 + IMAGE // 2)
    change = spaces.changer(spaces.RANDOM, image, "nearest", (7, 8, 9))
    for number, name in enumerate(spaces.RANDOM.names):
        amount = spaces.RANDOM.amount(name, level, sign, IMAGE.shape[:2])
        expected = spaces.CHANGES[name](image, amount, "nearest", (7, 8, 9)).numpy()
        np.testing.assert_array_equal(change(image, number, level, sign), expected, err_msg=name)
        assert name == "Identity" or (expected != image.numpy()).any()


@pytest.mark.parametrize(
    "text",
    [
        "autoaugment(v0)",
        "augmix(2, 2, 1, 0.5)",
        pytest.param("randaugment(3, 7, 0.5, 0.5, increasing, bilinear, gray)", marks=pytest.mark.after),
    ],
)
def test_results_follow_from_the_seed(text):
    found = results(text, 12)
    assert found.dtype == np.uint8 and found.shape == (12, *IMAGE.shape)
    assert len({one.tobytes() for one in found}) > 6
    tf.random.set_seed(3)
    np.testing.assert_array_equal(results(text, 12), found)


def test_a_policy_of_no_changes_changes_nothing():
    np.testing.assert_array_equal(results("randaugment(2, 9, probability=0)", 3), np.stack([IMAGE] * 3))
    # At level 0 only posterize (to 4 bits), and solarize of 256, are left among the increasing; a shift of 0 is none.
    flat = np.full_like(IMAGE, 240)
    found = results("randaugment(1, 0)", 30, flat)
    np.testing.assert_array_equal(np.unique(found), [240])


def test_random_changes_are_equally_likely():
    draws = tf.random.stateless_uniform([14_000, 4], [1, 2])
    counts = np.bincount([int(automatic.draw_change(draw, 14)[0]) for draw in draws.numpy()], minlength=14)
    assert len(counts) == 14 and abs(counts - 1000).max() < 5 * np.sqrt(1000)


def test_augmix_is_a_mixture():
    """A chain of changes that only move what is flat leaves it; weights add up to 1."""
    weights = np.stack([mixing.draw_dirichlet(1.0, 3, seed) for seed in seeds(400)])
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    assert abs(weights.mean(axis=0) - 1 / 3).max() < 5 * np.sqrt(1 / 18 / 400)  # the variance of each is 1/18
    gray = np.full_like(IMAGE, 0)
    found = results("augmix(1)", 10, gray)  # of level 0, black is left as it is by all but solarize of 255: also black
    np.testing.assert_array_equal(found, np.zeros_like(found))


@pytest.mark.after
def test_gray_images_and_floats():
    gray = IMAGE[..., :1]
    for text in ("autoaugment(cifar)", "trivialaugment(bilinear, mean)"):
        assert results(text, 8, gray).shape == (8, 32, 48, 1)
    assert results("pca_noise(0) + randaugment(1)", 6).dtype == np.uint8


def test_what_is_refused():
    for text, message in (
        ("autoaugment(cifar100)", "policy of autoaugment must be one of imagenet, cifar, svhn, v0"),
        ("autoaugment(3)", "policy of autoaugment must be one of"),
        ("randaugment(2.5)", r"count of randaugment must be a whole number from 1 to 20. Received: .*2.5"),
        ("randaugment(2, 31)", "magnitude of randaugment must be a finite number"),
        ("randaugment(2, 11, space=increasing)", "magnitude of randaugment must be at most 10 in space increasing"),
        ("randaugment(two)", r"numbers, or the words that there are, as the arguments of randaugment\(count, "),
        ("augmix(0)", "severity of augmix must be a whole number from 1 to 10"),
    ):
        with pytest.raises(InputError, match=message):
            augment.check(text)
    with pytest.raises(InputError, match="for segmentation"):
        augment.check("randaugment", "segmentation")


@pytest.mark.after
def test_images_in_memory_are_changed_one_by_one():
    """A small set: each image of a batch has changes of its own, and a run that resumes sees the same."""
    pixels = np.stack([IMAGE[:, :32]] * 8)
    source = Source("same", ("a", "b"), (32, 32, 3), dict.fromkeys(PARTS, Arrays(pixels, np.arange(8) % 2)))
    given = {"image_shape": (32, 32, 3), "preprocessing": CIFAR, "batch_size": 4, "seed": 5, "epochs": 3}
    batches, _ = data.train_pipeline(source, augment="flip + randaugment + mixup", **given)
    images = [images for images, _ in batches.as_numpy_iterator()]
    plain = data.train_pipeline(source, augment="randaugment(1, 30)", **given)[0].as_numpy_iterator()
    assert len({image.tobytes() for batch, _ in plain for image in batch}) > 12
    again, _ = data.train_pipeline(source, augment="flip + randaugment + mixup", first_epoch=2, **given)
    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    again = again.with_options(options)  # and with any number of threads
    for one, two in zip(images[4:], [images for images, _ in again.as_numpy_iterator()], strict=True):
        np.testing.assert_array_equal(one, two)
