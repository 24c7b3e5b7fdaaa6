"""Changes by a given amount: equal to what Pillow, torchvision and timm make of the same images."""

import ast

import numpy as np
import pytest
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.data.augment import augmix, automatic, colors, filters, jitter, spaces, warps
from kerascnn.data.augment.policies import POLICIES
from kerascnn.data.preprocessing import resize

PLACES = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
COLORS = (
    "invert", "autocontrast", "equalize", "grayscale", "posterize", "solarize", "solarize_add", "brightness",
    "contrast", "color", "sharpness", "hue",
)  # fmt: skip


def recorded(peers, name):
    """(image, arguments, expected) of each record of an operation."""
    found = []
    for key, expected in peers.items():
        called, _, image = key.partition("@")
        if called.partition("(")[0] == name:
            arguments = called.partition("(")[2][:-1].replace("nearest", "'nearest'").replace("bilinear", "'bilinear'")
            found.append(
                (peers[f"image/{image}"], ast.literal_eval(f"({arguments},)" if arguments else "()"), expected)
            )
    assert len(found) > 1
    return found


@pytest.mark.parametrize("name", COLORS)
def test_colors_equal_pillow(peers, name):
    for image, arguments, expected in recorded(peers, name):
        np.testing.assert_array_equal(getattr(colors, name)(image, *arguments), expected, err_msg=str(arguments))


@pytest.mark.parametrize("interpolation", warps.INTERPOLATIONS)
@pytest.mark.parametrize("name", PLACES)
def test_places_equal_pillow(peers, name, interpolation):
    for image, (amount, used, fill), expected in recorded(peers, name):
        if used == interpolation:
            found = getattr(warps, name)(image, amount, used, fill).numpy().astype(int)
            assert abs(found - expected).max() <= (used == "bilinear"), amount


def test_blurs_equal_torchvision(peers):
    for image, (size, sigma), expected in recorded(peers, "gaussian_blur"):
        found = filters.gaussian_blur(image, sigma, size).numpy()
        assert abs(found.astype(int) - expected).max() <= 1


def test_resized_windows_equal_torchvision(peers):
    for image, ((top, left, height, width), size), expected in recorded(peers, "resized_crop"):
        window = tf.constant(image[top : top + height, left : left + width])
        assert abs(resize(window, *size, "bilinear").numpy().astype(int) - expected).max() <= 1


def test_jitter_equals_torchvision(peers):
    """The same amounts in the same order: changes of color do not commute."""
    functions = (colors.brightness, colors.contrast, colors.color, colors.hue)
    for image, (order, amounts), expected in recorded(peers, "color_jitter"):
        found = jitter.in_order(image, functions, amounts, tf.constant(order))
        np.testing.assert_array_equal(found, expected, err_msg=str(order))


def test_mixtures_equal_torchvision(peers):
    """The same chains of changes with the same weights."""

    def change(image, name, magnitude):
        if name in spaces.ENHANCED:
            magnitude += 1.0
        elif name.startswith("Translate"):
            magnitude = int(magnitude)
        return spaces.CHANGES[name](image, magnitude, "nearest", (0, 0, 0))

    for image, (own, weights, chains), expected in recorded(peers, "augmix"):
        found = augmix.mixture(image, change, chains, own, weights).numpy().astype(int)
        assert abs(found - expected).max() <= 1 and (found != expected).mean() < 0.01


@pytest.mark.parametrize("name", ("imagenet", "cifar", "svhn"))
def test_sub_policies_equal_torchvision(peers, name):
    """All 25, each change done that is ever done, but for the last bit of a factor.

    torchvision's factors in steps of 0.1 are not ours to that bit: it is one level where a color was a whole number,
    and up to two after the second change.
    """
    policy, seen = POLICIES[name], 0
    change = spaces.changer(policy.space, tf.constant(peers["image/noise"]), "nearest", (0, 0, 0))
    for image, (of, row, signs), expected in recorded(peers, "autoaugment"):
        if of == name:
            signs = [1.0 if sign else -1.0 for sign in signs]
            found = automatic.sub_policy(tf.constant(image), policy, change, tf.constant(row), (1e-3, 1e-3), signs)
            apart = abs(found.numpy().astype(int) - expected)
            assert apart.max() <= 2 and (apart > 0).mean() < 0.01, (row, policy.rows[row])
            factors = {step.name for step in policy.rows[row]} & set(spaces.ENHANCED)
            assert factors or not apart.any(), (row, policy.rows[row])
            seen += 1
    assert seen == 25


@pytest.mark.parametrize("name", [*COLORS, *PLACES])
def test_batches_and_unknown_sizes(peers, name):
    """Each image of a batch with its own amount is what it is alone; sizes may be unknown."""
    function = getattr(colors if name in COLORS else warps, name)
    first = peers["image/dark"]
    images = tf.constant(np.stack([first, first[::-1], 255 - first]))
    amounts = {"posterize": [2, 5, 8], "solarize": [10.0, 70.0, 256.0], "rotate": [20.0, 0.0, -70.0]}.get(name)
    if name not in ("invert", "autocontrast", "equalize", "grayscale"):
        amounts = amounts or [0.25, 0.5, -0.5 if name in ("hue", *PLACES) else 1.5]
        alone = [function(image, amount) for image, amount in zip(images, amounts, strict=True)]
    else:
        alone = [function(image) for image in images]
    unknown = tf.TensorSpec([None, None, None, 3], tf.uint8)
    given = () if amounts is None else (tf.constant(amounts),)
    together = tf.function(function).get_concrete_function(unknown, *[tf.TensorSpec([None], v.dtype) for v in given])
    np.testing.assert_array_equal(together(images, *given), np.stack(alone))


def test_small_and_float_images():
    for shape in ((1, 1, 3), (2, 1, 3), (1, 5, 1), (2, 2, 3)):
        image = np.random.RandomState(0).randint(0, 256, shape).astype(np.uint8)
        for name in COLORS:
            amounts = () if name in ("invert", "autocontrast", "equalize", "grayscale") else (1,)
            found = getattr(colors, name)(image.astype(np.float32) + 0.3, *amounts)
            assert found.dtype == tf.uint8 and found.shape == shape
            np.testing.assert_array_equal(found, getattr(colors, name)(image, *amounts))
        np.testing.assert_array_equal(colors.sharpness(image, 0.2), image)  # a border and nothing else
    np.testing.assert_array_equal(colors.as_bytes([[[-3.0], [300.0], [2.6]]]), [[[0], [255], [3]]])
    turned = warps.rotate(tf.constant([[[1.5], [2.5]]]), 180.0)
    np.testing.assert_array_equal(turned, [[[2.5], [1.5]]])  # float32 stays as it is


def test_what_is_refused():
    image = np.zeros([4, 4, 3], np.uint8)
    for wrong in (image[0], image[..., :2], image[None, None]):
        with pytest.raises(InputError, match="Received: shape"):
            colors.invert(wrong)
    with pytest.raises(InputError, match="Received: shape"):
        warps.rotate(image[0], 3.0)
    with pytest.raises(
        InputError, match="interpolation must be one of nearest, bilinear. Received: interpolation='cub"
    ):
        warps.rotate(image, 3.0, "cubic")
    for size in (2, 0, 5.5):
        with pytest.raises(InputError, match="size must be an odd whole number"):
            filters.gaussian_blur(image, 1.0, size)
