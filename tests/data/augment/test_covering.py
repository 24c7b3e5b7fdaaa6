"""Random colors, blurs and covered parts: distributions, and that the amounts are drawn as they are said to be."""

import numpy as np
import pytest
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn._preprocessing import CIFAR
from kerascnn.data import augment
from kerascnn.data.augment import Target, colors, filters, mixing

TARGET = Target((32, 24, 3), CIFAR)
IMAGES = np.random.RandomState(0).randint(0, 256, (60, 32, 24, 3)).astype(np.uint8)
MEAN, STD = 255 * np.array(CIFAR.mean), 255 * np.array(CIFAR.std)


def changed(text, number=0, images=IMAGES):
    (operation,) = augment.parse(text)
    return operation.image(tf.constant(images), tf.constant([number, 3], tf.int64), TARGET).numpy()


@pytest.mark.parametrize("text", ["vertical_flip", "grayscale(0.5)", "gaussian_blur(0.5)", "cutout(0.5, 0.5)"])
def test_each_image_of_a_batch_is_drawn_by_itself(text):
    found = changed(text)
    same = (found == IMAGES).all(axis=(1, 2, 3))
    assert abs(same.mean() - 0.5) < 5 * 0.5 / np.sqrt(60)
    np.testing.assert_array_equal(changed(text), found)
    if text == "vertical_flip":
        np.testing.assert_array_equal(found[~same], IMAGES[~same][:, ::-1])
    if text.startswith("gray"):
        np.testing.assert_array_equal(found[~same], colors.grayscale(IMAGES[~same]))
    one = [changed(text, number, IMAGES[5]) for number in range(12)]
    assert len({image.tobytes() for image in one}) > 1 and one[0].shape == IMAGES[5].shape
    (operation,) = augment.parse(text.partition("(")[0] + "(probability=0)")
    np.testing.assert_array_equal(operation.image(tf.constant(IMAGES), [1, 2], TARGET), IMAGES)


def test_what_surrounds_a_window():
    """Mirrored, it has no black, whatever the part; otherwise it is the same window of the same image."""
    white = np.full((8, 8, 6, 3), 255, np.uint8)
    for part in (0.25, 1.0):
        (operation,) = augment.parse(f"pad_crop({part}, reflect)")
        target = Target((8, 6, 3), CIFAR)
        assert (operation.image(tf.constant(white), [4, 3], target).numpy() == 255).all()
        (black,) = augment.parse(f"pad_crop({part})")
        assert (black.image(tf.constant(white), [4, 3], target).numpy() == 0).any()


def test_blur_draws_its_deviation():
    """A point becomes a Gaussian whose height tells its deviation."""
    points = np.zeros((60, 32, 24, 3), np.uint8)
    points[:, 16, 12] = 255
    heights = changed("gaussian_blur(1, 0.5, 2, 0.5)", images=points)[:, 16, 12, 0]
    low, high = (filters.gaussian_blur(points[0], sigma, 13).numpy()[16, 12, 0] for sigma in (2.0, 0.5))
    assert low <= heights.min() < low + 10 and high - 60 < heights.max() <= high and len(set(heights)) > 15
    with pytest.raises(InputError, match="smallest of gaussian_blur must be at most largest=1"):
        augment.check("gaussian_blur(1, 2, 1)")


def test_jitter_draws_each_factor():
    """Of one change alone, the factor is read off one pixel: uniform from 1 - x to 1 + x."""
    flat = np.full((8, 8, 3), 100, np.uint8)
    (jitter,) = augment.parse("color_jitter(0.5, 0, 0)")
    seeds = tf.data.Dataset.from_tensor_slices([[number, 1] for number in range(400)])
    jittered = seeds.map(lambda s: jitter.image(flat, s, TARGET)).as_numpy_iterator()
    found = np.array([one[0, 0, 0] for one in jittered])
    assert 49 <= found.min() < 54 and 145 < found.max() <= 150 and abs(found.mean() - 99.5) < 5 * 29 / 20
    (full,) = augment.parse("color_jitter(0.4, 0.4, 0.4, 0.1)")
    image = tf.constant(IMAGES[0])
    jittered = seeds.take(6).map(lambda s: full.image(image, s, TARGET)).as_numpy_iterator()
    assert len({one.tobytes() for one in jittered}) == 6
    np.testing.assert_array_equal(augment.parse("color_jitter(0, 0, 0)")[0].image(image, [1, 2], TARGET), image)


def box_of(inside):
    """Height and width of what is covered, which is a rectangle."""
    rows, columns = inside.any(axis=1), inside.any(axis=0)
    np.testing.assert_array_equal(inside, rows[:, None] & columns[None])
    for line in (rows, columns):
        assert np.count_nonzero(np.diff(np.concatenate([[0], line, [0]]))) in (0, 2)
    return rows.sum(), columns.sum()


def test_cutout():
    """A square of half of 24 pixels around any pixel; what the network sees there is 0."""
    found = changed("cutout")
    boxes = []
    for image, before in zip(found, IMAGES, strict=True):
        inside = abs(image - MEAN).max(axis=-1) < 1e-3
        boxes.append(box_of(inside))
        np.testing.assert_array_equal(image[~inside], before[~inside])
    boxes = np.array(boxes)
    assert boxes.max() == 12 and boxes.min() >= 6  # half of it at an edge
    assert 0.3 < (boxes[:, 0] == 12).mean() < 0.95
    assert changed("cutout(fill=black)").dtype == np.uint8


def test_random_erasing():
    found = changed("random_erasing(1, 0.1, 0.3, 0.5, black)", images=IMAGES | 1)
    boxes = np.array([box_of((image == 0).all(axis=-1)) for image in found])
    areas, ratios = boxes.prod(axis=1) / (32 * 24), boxes[:, 0] / boxes[:, 1]
    assert 0.08 < areas.min() < 0.14 and 0.25 < areas.max() < 0.33 and abs(areas.mean() - 0.2) < 0.05
    assert 0.4 < ratios.min() < 0.75 and 1.35 < ratios.max() < 2.4 and abs(np.log(ratios).mean()) < 0.3
    noise = changed("random_erasing(1, 0.3, 0.3, 1)") - IMAGES
    covered = np.concatenate(
        [(image + before)[image.any(axis=-1)] for image, before in zip(noise, IMAGES, strict=True)]
    )
    np.testing.assert_allclose(covered.mean(axis=0), MEAN, atol=5)
    np.testing.assert_allclose(covered.std(axis=0), STD, atol=5)
    one = changed("random_erasing(1, 0.3, 0.3, 1, color)")[0]
    assert len(np.unique(one[(one != IMAGES[0]).any(axis=-1)], axis=0)) == 1


@pytest.mark.parametrize("per", ["image", "pair"])
def test_mixtures_by_image_and_pair(per):
    """Image i is i everywhere and its label is i: both tell what was mixed."""
    images = tf.constant(np.broadcast_to(np.arange(9, dtype=np.float32)[:, None, None, None], (9, 10, 12, 3)))
    labels, seed = tf.eye(9), tf.constant([4, 5], tf.int64)
    mixed, soft = (value.numpy() for value in mixing.Mixup(1.0, per).mix(images, labels, seed))
    np.testing.assert_allclose(mixed[:, 3, 4, 0], soft @ np.arange(9), rtol=1e-5)
    cut, shares = (value.numpy() for value in mixing.CutMix(1.0, per).mix(images, labels, seed))
    np.testing.assert_allclose(cut[..., 0].mean(axis=(1, 2)), shares @ np.arange(9), rtol=1e-4)
    for found in (soft, shares):
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
        if per == "pair":
            np.testing.assert_allclose(found, found[::-1, ::-1], rtol=1e-5)  # what one lost, the other has
            assert (np.diag(found) + np.diag(found[:, ::-1]) > 0.999).all()
        assert len(np.unique(np.round(found.max(axis=1), 4))) > 3


def test_mixup_or_cutmix():
    images = tf.constant(IMAGES[:4].astype(np.float32))
    seen = {"mixup": 0, "cutmix": 0, "neither": 0}
    (operation,) = augment.parse("mixup_or_cutmix(0.8, 1, 0.25, 0.5)")
    seeds = tf.data.Dataset.from_tensor_slices([[number, 1] for number in range(200)])
    for mixed, soft in seeds.map(lambda seed: operation.mix(images, tf.eye(4), seed)).as_numpy_iterator():
        np.testing.assert_allclose(soft.sum(axis=1), 1, rtol=1e-5)
        same = (mixed == IMAGES[:4]).all(axis=-1)
        part = same[soft.max(axis=1) < 0.99]
        seen["neither" if same.all() else "cutmix" if part.size and part.any() else "mixup"] += 1
    assert 65 < seen["neither"] < 140 and 40 < seen["mixup"] < 110 and 8 < seen["cutmix"] < 50
