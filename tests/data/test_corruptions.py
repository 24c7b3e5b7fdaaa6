"""Corruptions against scikit-image and SciPy, and against their definitions."""

import numpy as np
import pytest
from PIL import Image

from kerascnn._errors import InputError
from kerascnn.data import corrupt, corruptions

RANDOM = np.random.default_rng(0)
SMALL = RANDOM.integers(0, 256, (20, 24, 3), dtype=np.uint8)
LARGE = np.clip(128 + 60 * np.sin(np.mgrid[:60, :70].sum(0) / 9)[..., None] + RANDOM.normal(0, 9, (60, 70, 3)), 0, 255)
LARGE = LARGE.astype(np.uint8)
CONSTANTS = {name: (found.small, found.large) for name, found in corruptions.CORRUPTIONS.items()}
both = pytest.mark.parametrize("image, size", [(SMALL, 0), (LARGE, 1)], ids=["small", "large"])
levels = pytest.mark.parametrize("level", [1, 3, 5])


def floor(values):
    return (np.clip(values, 0, 1) * 255 + 1e-6).astype(np.uint8)


def close(made, expected, levels=0):
    """Equal, but for values that a rounding error pushes over a whole number."""
    difference = np.abs(made.astype(int) - expected.astype(int))
    assert difference.max() <= max(levels, 1) and (difference > levels).mean() < 0.01


@both
@levels
def test_gaussian_blur_is_that_of_scikit_image(image, size, level):
    filters = pytest.importorskip("skimage.filters")
    sigma = CONSTANTS["gaussian_blur"][size][level - 1]
    close(corrupt(image, "gaussian_blur", level), floor(filters.gaussian(image / 255, sigma=sigma, channel_axis=-1)))


@both
@levels
def test_brightness_and_saturation_are_those_of_hsv(image, size, level):
    color = pytest.importorskip("skimage.color")
    image = image.copy()
    image[0, :3] = [[0, 0, 0], [90, 90, 90], [255, 255, 255]]
    amount = CONSTANTS["brightness"][size][level - 1]
    hsv = color.rgb2hsv(image / 255)
    hsv[..., 2] = np.clip(hsv[..., 2] + amount, 0, 1)
    close(corrupt(image, "brightness", level), floor(color.hsv2rgb(hsv)))
    factor, more = CONSTANTS["saturate"][size][level - 1]
    hsv = color.rgb2hsv(image / 255)
    hsv[..., 1] = np.clip(hsv[..., 1] * factor + more, 0, 1)
    close(corrupt(image, "saturate", level), floor(color.hsv2rgb(hsv)))


@both
@levels
def test_zoom_blur_is_the_mean_of_scipys_zooms(image, size, level):
    ndimage = pytest.importorskip("scipy.ndimage")
    image = image[:20, :20] if size == 0 else image[:60, :60]
    end, step = CONSTANTS["zoom_blur"][size][level - 1]
    side, total, factors = len(image), image / 255, np.arange(1, end + step / 2, step)
    for factor in factors:
        part = int(np.ceil(side / factor))
        top = (side - part) // 2
        large = ndimage.zoom(image[top : top + part, top : top + part] / 255, (factor, factor, 1), order=1)
        trim = (len(large) - side) // 2
        total = total + large[trim : trim + side, trim : trim + side]
    close(corrupt(image, "zoom_blur", level), floor(total / (len(factors) + 1)))


@both
@levels
def test_defocus_is_a_soft_disk(image, size, level):
    ndimage = pytest.importorskip("scipy.ndimage")
    radius, sigma = CONSTANTS["defocus_blur"][size][level - 1]
    half, soft = (8, 1) if radius <= 8 else (radius, 2)
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    disk = (x**2 + y**2 <= radius**2) / np.sum(x**2 + y**2 <= radius**2)
    edge = np.exp(-(np.arange(-soft, soft + 1) ** 2) / (2 * sigma**2))
    disk = ndimage.correlate(disk, np.outer(edge, edge) / edge.sum() ** 2, mode="mirror")
    expected = np.stack([ndimage.correlate(image[..., c] / 255, disk, mode="mirror") for c in range(3)], axis=-1)
    close(corrupt(image, "defocus_blur", level), floor(expected))


@both
def test_motion_blur_is_along_a_line(image, size):
    """A point becomes a line of falling weights, whose ends say the angle; an even image stays."""
    radius, sigma = CONSTANTS["motion_blur"][size][4]
    point = np.zeros([*image.shape[:2], 1], np.uint8)
    row, column = image.shape[0] // 2, image.shape[1] - 2
    point[row, column] = 255
    made = corrupt(point, "motion_blur", 5, index=3)[..., 0].astype(float)
    weights = np.exp(-0.5 * (np.arange(2 * radius + 1) / sigma) ** 2)
    assert made[row, column] == pytest.approx(255 * weights[0] / weights.sum(), abs=1)
    places = np.argwhere(made)
    assert len(places) > 3 and (places[:, 1] <= column).all()
    slopes = (places[:, 0] - row) / np.maximum(column - places[:, 1], 1)
    assert np.abs(slopes).max() <= 1.5
    even = np.full_like(image, 77)
    np.testing.assert_array_equal(corrupt(even, "motion_blur", 5), even)


def test_noise_has_its_deviation():
    gray = np.full([200, 200, 3], 128, np.uint8)
    values = {name: corrupt(gray, name, 1) / 255 for name in ("gaussian_noise", "speckle_noise", "shot_noise")}
    for name, expected in {"gaussian_noise": 0.08, "speckle_noise": 0.15 * 128 / 255}.items():
        assert values[name].std() == pytest.approx(expected, rel=0.02)
    assert values["shot_noise"].std() == pytest.approx(np.sqrt(128 / 255 / 60), rel=0.02)
    assert len(np.unique(np.round(values["shot_noise"] * 60, 1))) < 60
    impulses = corrupt(gray, "impulse_noise", 5)
    assert (impulses == 0).mean() == pytest.approx(0.135, abs=0.01) == (impulses == 255).mean()
    assert ((impulses == 128) | (impulses == 0) | (impulses == 255)).all()


@both
@levels
def test_the_others_by_their_definitions(image, size, level):
    factor = CONSTANTS["contrast"][size][level - 1]
    mean = (image / 255).mean(axis=(0, 1))
    close(corrupt(image, "contrast", level), floor(mean + factor * (image / 255 - mean)))
    factor = CONSTANTS["pixelate"][size][level - 1]
    wide, tall = image.shape[1], image.shape[0]
    picture = Image.fromarray(image).resize((int(wide * factor), int(tall * factor)), Image.Resampling.BOX)
    expected = np.asarray(picture.resize((wide, tall), Image.Resampling.BOX))
    np.testing.assert_array_equal(corrupt(image, "pixelate", level), expected)
    assert len(np.unique(corrupt(image, "jpeg", level))) > 10


@pytest.mark.parametrize("name", corruptions.CORRUPTIONS)
def test_draws_follow_from_the_seed_and_severities_grow(name):
    one = corrupt(LARGE, name, 2, seed=1, index=5)
    np.testing.assert_array_equal(one, corrupt(LARGE, name, 2, seed=1, index=5))
    assert one.shape == LARGE.shape and one.dtype == np.uint8
    random = {"gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "motion_blur"}
    assert (one != corrupt(LARGE, name, 2, seed=1, index=6)).any() == (name in random)
    changes = [np.abs(corrupt(LARGE, name, level).astype(float) - LARGE).mean() for level in (1, 5)]
    assert 0 < changes[0] < changes[1] or name == "saturate"
    if name != "saturate":
        for shape in ((1, 1, 1), (3, 50, 1), (50, 60, 1)):
            assert corrupt(np.full(shape, 9, np.uint8), name, 5).shape == shape


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((SMALL, "frost", 1), "name must be one of gaussian_noise"),
        ((SMALL, "jpeg", 6), "severity must be"),
        ((SMALL / 255, "jpeg", 1), "must be uint8"),
        ((SMALL[..., :1], "saturate", 1), "gray images do not have"),
        ((SMALL[:0], "jpeg", 1), "must be uint8"),
    ],
)
def test_what_cannot_be_corrupted_is_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        corrupt(*arguments)
    with pytest.raises(InputError, match="index must be a whole number, at least 0"):
        corrupt(SMALL, "jpeg", 1, index=-1)


def test_names():
    assert corruptions.choose("all", 3) == tuple(corruptions.CORRUPTIONS)
    assert "saturate" not in corruptions.choose("all", 1)
    assert corruptions.choose("jpeg, contrast,jpeg", 1) == ("contrast", "jpeg")
    with pytest.raises(InputError, match="all, or some of gaussian_noise.*Received: corruptions='snow'"):
        corruptions.choose("jpeg,snow", 3)
    with pytest.raises(InputError, match="corruptions must be a text"):
        corruptions.choose(("jpeg",), 3)
