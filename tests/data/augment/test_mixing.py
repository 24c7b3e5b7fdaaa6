"""Mixup and CutMix: the weights' distribution, and the arithmetic against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from kerascnn import data
from kerascnn._preprocessing import Preprocessing
from kerascnn.data.augment import mixing
from kerascnn.data.parts import PARTS
from kerascnn.data.source import Source
from kerascnn.data.splits import Arrays

PLAIN = Preprocessing(mean=(0.0,), std=(1 / 255,), crop_fraction=1.0, fit="pad")  # leaves pixel values as they are
N = 20_000


def seed(number):
    return tf.constant([number, 1], tf.int64)


@pytest.mark.parametrize("alpha", [0.01, 0.2, 1.0, 4.0])
def test_weights_have_the_moments_of_beta(alpha):
    draws = mixing.draw_beta(alpha, [N], seed(3)).numpy().astype(np.float64)
    assert draws.dtype == np.float64 and np.isfinite(draws).all() and 0 <= draws.min() <= draws.max() <= 1
    second = (alpha + 1) / (2 * (2 * alpha + 1))  # E w^2
    fourth = np.prod([(alpha + k) / (2 * alpha + k) for k in range(4)])
    for power, expected, square in ((1, 0.5, second), (2, second, fourth)):
        deviation = np.sqrt((square - expected**2) / N)
        assert abs(np.mean(draws**power) - expected) < 5 * deviation
    if alpha == 1.0:  # the uniform distribution
        assert abs(np.histogram(draws, 10, (0, 1))[0] - N / 10).max() < 5 * np.sqrt(N / 10)
    np.testing.assert_array_equal(mixing.draw_beta(alpha, [N], seed(3)), draws.astype(np.float32))


def batch(count=8, height=12, width=10):
    random = np.random.RandomState(0)
    return random.normal(size=(count, height, width, 3)).astype(np.float32), np.eye(count, dtype=np.float32)


def test_mixup_is_linear():
    images, labels = batch()
    seen = set()
    for number in range(20):
        mixed, soft = (value.numpy() for value in mixing.Mixup(1.0).mix(images, labels, seed(number)))
        np.testing.assert_allclose(soft.sum(axis=1), 1, rtol=1e-6)
        weights = np.unique(np.round(soft[(soft > 0) & (soft < 0.9999999)], 5))
        assert len(weights) == 2 and abs(weights.sum() - 1) < 2e-5  # w and 1 - w, one w a batch
        np.testing.assert_allclose(soft.sum(axis=0), 1, rtol=1e-5)  # each image is the partner of one
        np.testing.assert_allclose(mixed, np.tensordot(soft, images, 1), atol=1e-5)
        seen.add(float(weights[0]))
    assert len(seen) == 20


def test_cutmix_puts_one_box_into_all():
    """Image i is i everywhere, so that a result shows whence each pixel is."""
    _, labels = batch()
    images = np.broadcast_to(np.arange(8, dtype=np.float32)[:, None, None, None], [8, 12, 10, 3])
    areas = []
    for number in range(60):
        mixed, soft = (value.numpy() for value in mixing.CutMix(1.0).mix(images, labels, seed(number)))
        assert (mixed == mixed[..., :1]).all()
        foreign = mixed[..., 0] != images[..., 0]
        partners = np.array([image[other][0] if other.any() else own for own, (image, other) in
                             enumerate(zip(mixed[..., 0], foreign, strict=True))]).astype(int)  # fmt: skip
        box = foreign.any(axis=0)
        rows, columns = (box.any(axis=axis) for axis in (1, 0))
        np.testing.assert_array_equal(box, rows[:, None] & columns[None])  # a rectangle
        for inside in (rows, columns):
            assert np.count_nonzero(np.diff(np.concatenate([[0], inside, [0]]))) in (0, 2)  # in one piece
        expected = (1 - box.mean()) * np.eye(8) + box.mean() * np.eye(8)[partners]
        np.testing.assert_allclose(soft, expected, atol=1e-6)
        np.testing.assert_array_equal(mixed[..., 0], np.where(box, partners[:, None, None], images[..., 0]))
        areas.append(box.mean())
    assert min(areas) < 0.1 and max(areas) > 0.6 and len(set(areas)) > 20


@pytest.mark.parametrize("augment", ["mixup(1)", "resized_crop(1) + mixup(1)"])  # whole batches, and image by image
def test_a_pipeline_gives_soft_labels(augment):
    """Image i has the color 10 i, its label is i: the label of a mixture tells its color. Normalized before or after
    the mixture is the same."""
    pixels = np.broadcast_to(np.arange(0, 80, 10, dtype=np.uint8)[:, None, None, None], [8, 4, 4, 1])
    split = Arrays(np.array(pixels), np.arange(8))
    source = Source("flat", tuple("abcdefgh"), (4, 4, 1), dict.fromkeys(PARTS, split))
    dataset, _ = data.train_pipeline(
        source, image_shape=(4, 4, 1), preprocessing=PLAIN, batch_size=4, augment=augment, epochs=3
    )
    assert dataset.element_spec == (tf.TensorSpec([4, 4, 4, 1], tf.float32), tf.TensorSpec([4, 8], tf.float32))
    shares = set()
    for images, labels in dataset.as_numpy_iterator():
        np.testing.assert_allclose(images[:, 1, 2, 0], labels @ np.arange(0, 80, 10), atol=1e-3)
        shares |= set(np.round(labels.max(axis=1), 4).tolist()) - {1.0}
    assert len(shares) >= 5  # of six batches; each has a weight of its own
