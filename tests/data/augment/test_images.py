"""Random changes: what they may do, that a seed determines them, and the stated distributions."""

import numpy as np
import pytest
import tensorflow as tf

from kerascnn import data
from kerascnn._errors import InputError

N = 4000


def seed(number):
    return tf.constant([number, 1], tf.int64)


def numbered(height, width, count=1):
    """Images whose pixels carry their own number, 1 at the top left."""
    image = np.arange(1, height * width + 1, dtype=np.float32).reshape(1, height, width, 1)
    return tf.constant(np.repeat(image, count, axis=0))


FUNCTIONS = {
    "zero": lambda image, seed: data.pad_and_crop(image, seed, 2),
    "reflect": lambda image, seed: data.pad_and_crop(image, seed, 2, "reflect"),
    "crop": lambda image, seed: data.random_crop(image, seed, 5, 6),
    "flip": data.random_flip,
    "pca": data.pca_color_shift,
    "resized": lambda image, seed: data.random_resized_crop(image, seed, 5, 6),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_seed_determines_the_result(name):
    image = tf.constant(np.random.RandomState(0).randint(0, 256, [9, 8, 3]).astype(np.uint8))
    function = FUNCTIONS[name]
    results = [function(image, seed(number)).numpy() for number in range(12)]
    tf.random.set_seed(5)
    np.testing.assert_array_equal(function(image, seed(3)), results[3])
    assert len({result.tobytes() for result in results}) > 1
    expected = (5, 6, 3) if name in ("crop", "resized") else (9, 8, 3)
    assert {result.shape for result in results} == {expected}
    assert results[0].dtype == (np.float32 if name == "pca" else np.uint8)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "resized"])
def test_images_of_a_batch_differ_and_sizes_may_be_unknown(name):
    image = tf.constant(np.random.RandomState(0).randint(0, 256, [9, 8, 3]).astype(np.uint8))
    batch = FUNCTIONS[name](tf.repeat(image[None], 16, axis=0), seed(0)).numpy()
    assert len({result.tobytes() for result in batch}) > 1
    in_graph = tf.function(FUNCTIONS[name]).get_concrete_function(
        tf.TensorSpec([None, None, None, 3], tf.uint8), tf.TensorSpec([2], tf.int64)
    )
    np.testing.assert_allclose(in_graph(tf.repeat(image[None], 16, axis=0), seed(0)), batch, rtol=1e-5)


@pytest.mark.parametrize("mode", ["zero", "reflect"])
def test_pad_and_crop(mode):
    """Each result is one of the 25 windows of the padded image, all equally likely."""
    images = numbered(6, 5, N)
    padded = np.pad(images[0, :, :, 0], 2, mode="constant" if mode == "zero" else "reflect")
    windows = {padded[y : y + 6, x : x + 5].tobytes(): (y, x) for y in range(5) for x in range(5)}
    assert len(windows) == 25
    cropped = data.pad_and_crop(images, seed(1), 2, mode).numpy()
    counts = np.zeros([5, 5])
    for image in cropped:
        counts[windows[image[:, :, 0].tobytes()]] += 1
    assert abs(counts - N / 25).max() < 5 * np.sqrt(N / 25)  # five standard deviations


def test_pad_and_crop_mode():
    with pytest.raises(InputError, match="'edge'"):
        data.pad_and_crop(numbered(6, 5), seed(0), 2, "edge")


def test_random_crop():
    images = numbered(6, 5, N)
    cropped = data.random_crop(images, seed(2), 4, 3).numpy()
    corner = cropped[:, 0, 0, 0].astype(int) - 1
    top, left = corner // 5, corner % 5
    np.testing.assert_array_equal(cropped[7, :, :, 0], images[7, top[7] : top[7] + 4, left[7] : left[7] + 3, 0])
    counts = np.histogram2d(top, left, bins=[range(4), range(4)])[0]
    assert counts.sum() == N and abs(counts - N / 9).max() < 5 * np.sqrt(N / 9)
    np.testing.assert_array_equal(data.random_crop(images[0], seed(2), 6, 5), images[0])


def test_random_flip():
    images = numbered(3, 4, N)
    flipped = data.random_flip(images, seed(3)).numpy()
    changed = (flipped != images.numpy()).any(axis=(1, 2, 3))
    np.testing.assert_array_equal(flipped[changed], images.numpy()[changed][:, :, ::-1])
    assert abs(changed.mean() - 0.5) < 5 * 0.5 / np.sqrt(N)


def windows_of(height, width, count=1000):
    """Top, left, height and width of random windows, read off an image that holds its own coordinates.

    A result of 2x2 pixels without interpolation shows where the window's quarters and three quarters are.
    """
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    image = tf.constant(np.stack([rows, columns, rows], axis=-1).astype(np.float32))

    @tf.function
    def cut(number):
        return data.random_resized_crop(image, [number, tf.constant(0, tf.int64)], 2, 2, interpolation="nearest")

    corners = np.stack([cut(number) for number in tf.range(count, dtype=tf.int64)])
    quarter, three = corners[:, 0, 0, :2], corners[:, 1, 1, :2]
    size = 2 * (three - quarter)
    return quarter - size / 4, size


def test_random_resized_crop_has_the_stated_distribution():
    place, size = windows_of(500, 500)
    area, ratio = size.prod(axis=1) / 500**2, size[:, 1] / size[:, 0]
    assert 0.075 < area.min() < 0.1 and 0.95 < area.max() <= 1.01
    assert 0.74 < ratio.min() < 0.76 and 1.31 < ratio.max() < 1.35
    assert abs(np.log(ratio).mean()) < 0.03
    # The windows that fit are nearly all those of area below 3/4: there the area is uniform.
    small = area[area < 0.7]
    assert abs(np.mean(small) - (0.08 + 0.7) / 2) < 0.03
    assert abs(np.mean(small < 0.39) - 0.5) < 0.06
    assert (place >= -1.5).all() and (place + size <= 501.5).all()
    middle = place + size / 2
    assert abs(middle.mean(axis=0) - 250).max() < 10


def test_random_resized_crop_of_a_long_image_is_central():
    """No window of a permitted ratio fits into 10x1000 pixels but those 7 to 13 wide; large areas cannot be had."""
    image = tf.constant(np.tile(np.arange(1000, dtype=np.float32)[None, :, None], [10, 1, 1]))
    for number in range(3):
        cropped = data.random_resized_crop(image, seed(number), 10, 13, area=(0.9, 1.0)).numpy()
        np.testing.assert_allclose(cropped[0, :, 0], np.arange(493, 506), atol=1.01)


def test_random_resized_crop_of_one_pixel():
    pixel = tf.constant([[[7, 8, 9]]], tf.uint8)
    np.testing.assert_array_equal(data.random_resized_crop(pixel, seed(0), 3, 2), np.full([3, 2, 3], [7, 8, 9]))


def test_pca_color_shift_has_the_stated_covariance():
    """One shift per image; covariance (255 * 0.1)^2 * P diag(l^2) P' with the published components."""
    images = tf.fill([20_000, 2, 2, 3], tf.constant(100, tf.uint8))
    shift = data.pca_color_shift(images, seed(4)).numpy() - 100
    np.testing.assert_allclose(shift, np.broadcast_to(shift[:, :1, :1], shift.shape), atol=1e-4)
    shift = shift[:, 0, 0]
    vectors = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), atol=2e-4)  # they are components, one per column
    expected = 25.5**2 * vectors @ np.diag(np.square([0.2175, 0.0188, 0.0045])) @ vectors.T
    np.testing.assert_allclose(np.cov(shift.T), expected, rtol=0.05)
    assert abs(shift.mean(axis=0)).max() < 5 * 5.55 * 0.584 / np.sqrt(20_000)


def test_pca_color_shift_of_gray_images():
    image = tf.fill([4, 4, 1], tf.constant(100, tf.uint8))
    colors = data.pca_color_shift(tf.repeat(image, 3, axis=-1), seed(5))
    gray = data.pca_color_shift(image, seed(5))
    np.testing.assert_allclose(gray[0, 0, 0], np.mean(colors[0, 0]), atol=1e-4)
