"""Class images, feature visualization and inversion: linear networks, finite differences, NumPy's Fourier transform."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import kerascnn
from kerascnn import explain
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.explain import fourier_basis
from kerascnn.explain.inversion import alpha_norm, total_variation

L = keras.layers
SHAPE = (5, 6, 3)
CONSTANTS = Preprocessing(mean=(0.4, 0.5, 0.6), std=(0.25, 0.5, 0.2))


def linear():
    image = keras.Input(SHAPE)
    model = keras.Model(image, L.Dense(4, "softmax", name="head")(L.Flatten()(image)))
    model.set_weights([np.random.default_rng(1).normal(size=w.shape) for w in model.get_weights()])
    return model


def images(count=2, seed=0):
    return np.random.default_rng(seed).normal(size=(count, *SHAPE)).astype("float32")


def test_the_class_image_of_a_linear_score():
    """It is w / (2 decay); from 0 the error is (1 - 2 decay step)^steps of it."""
    model, decay, step, steps = linear(), 0.05, 2.0, 9
    kernel = model.get_layer("head").kernel.numpy().T.reshape(4, *SHAPE)[[2, 0]]
    found = explain.class_image(model, [2, 0], decay=decay, step=step, steps=steps)
    limit = kernel / (2 * decay)
    np.testing.assert_allclose(found.images, limit * (1 - (1 - 2 * decay * step) ** steps), rtol=1e-4, atol=1e-4)
    bias = model.get_layer("head").bias.numpy()[[2, 0]]
    np.testing.assert_allclose(found.history[0], bias, rtol=1e-5)  # of the zero image
    assert (np.diff(found.history, axis=0) > 0).all() and found.names == ("class 2", "class 0")


@pytest.mark.parametrize("size", [(6, 8), (7, 9), (6, 9)])
def test_waves_are_those_of_numpy(size):
    """Sizes that are odd, too; and Parseval's equation."""
    parts = fourier_basis.spectrum((2, *size, 1), seed=3)
    found = fourier_basis.colors(tf.constant(parts), *size).numpy()
    waves = (parts[..., 0] + 1j * parts[..., 1]).astype("complex128") * fourier_basis.scales(*size)
    plain = np.fft.irfft2(waves, size).transpose(0, 2, 3, 1) / 4
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-plain)), atol=1e-5)
    energy = (np.abs(np.fft.fft2(plain, axes=(1, 2))) ** 2).sum() / (size[0] * size[1])
    np.testing.assert_allclose(energy, (plain**2).sum())
    assert found.shape == (2, *size, 1)


def test_moves_that_do_nothing_and_moves_by_whole_pixels():
    x = tf.constant(images(2))
    still = fourier_basis.transforms(x.shape, np.random.default_rng(0), 0, 0, 0)
    np.testing.assert_allclose(fourier_basis.transformed(x, still), x, atol=1e-6)
    shift = still.copy()
    shift[:, 2], shift[:, 5] = 1, -2  # one to the left, two down
    found = fourier_basis.transformed(x, shift).numpy()
    np.testing.assert_allclose(found[:, 2:, :-1], x[:, :-2, 1:], atol=1e-6)
    assert (found[:, :2] == 0.5).all() and (found[:, :, -1] == 0.5).all()


def test_turning_by_a_quarter_and_doubling():
    class Drawn:  # the largest of what may be drawn
        def uniform(self, low, high, size):
            return np.full(size, high)

    square = tf.constant(images(1)[:, :5, :5])
    quarter = fourier_basis.transforms(square.shape, Drawn(), 0, 90, 0)
    found = fourier_basis.transformed(square, quarter).numpy()
    np.testing.assert_allclose(found, np.rot90(square, axes=(1, 2)), atol=1e-5)  # about the center
    half = fourier_basis.transforms(square.shape, Drawn(), 0, 0, 0.999999)
    found = fourier_basis.transformed(square, half).numpy()
    np.testing.assert_allclose(found[:, ::2, ::2], square[:, 1:4, 1:4], atol=1e-4)  # twice as large


def test_a_feature_image_rises_is_repeatable_and_goes_where_the_weights_point():
    model = linear()
    settings = {"steps": 60, "preprocessing": CONSTANTS, "jitter": 0, "rotation": 0, "scale": 0}
    found = explain.feature_image(model, 1, **settings)
    kernel = model.get_layer("head").kernel.numpy()[:, 1].reshape(SHAPE)
    pixels = found.images[0] * CONSTANTS.std + CONSTANTS.mean
    assert pixels.min() >= 0 and pixels.max() <= 1
    assert np.corrcoef(pixels.ravel() - 0.5, kernel.ravel())[0, 1] > 0.5
    assert (np.diff(found.history[:20, 0]) > 0).all()
    best = kernel * np.where(kernel > 0, (1 - np.array(CONSTANTS.mean)), -np.array(CONSTANTS.mean)) / CONSTANTS.std
    assert found.history[-1, 0] - found.history[0, 0] > 0.3 * best.sum()
    moved = explain.feature_image(model, [1, 3], steps=8, preprocessing=CONSTANTS, seed=5)
    again = explain.feature_image(model, [1, 3], steps=8, preprocessing=CONSTANTS, seed=5)
    np.testing.assert_array_equal(moved.images, again.images)


def test_a_channel_of_a_layer():
    image = keras.Input((9, 8, 1))
    model = keras.Model(image, L.Dense(2)(L.Flatten()(L.Conv2D(5, 3, activation="tanh", name="conv")(image))))
    given = {"layer": "conv", "preprocessing": Preprocessing(mean=(0.5,), std=(0.5,))}
    found = explain.feature_image(model, [0, 4], steps=25, **given)
    after = explain.activations(model, found.images, "conv").maps.mean((1, 2))[[0, 1], [0, 4]]
    assert (after > found.history[0] + 0.01).all() and found.names == ("conv 0", "conv 4")


def test_regularizers_by_hand():
    edge = np.zeros((1, 6, 7, 1))
    edge[:, :, 3:] = 2.5  # one edge of height 2.5 and length 6
    for beta in (1.0, 1.5, 2.0):
        np.testing.assert_allclose(total_variation(tf.constant(edge), beta), [6 * 2.5**beta])
        np.testing.assert_array_equal(total_variation(tf.constant(np.full_like(edge, 3)), beta), [0])
    np.testing.assert_allclose(alpha_norm(tf.constant(edge), 6.0), [24 * 2.5**6])


@pytest.mark.parametrize("function", [lambda x: total_variation(x, 1.5), lambda x: alpha_norm(x, 6.0)])
def test_slopes_of_regularizers_by_finite_differences(function):
    x = images(1).astype("float64")
    with tf.GradientTape() as tape:
        tensor = tf.constant(x)
        tape.watch(tensor)
        value = function(tensor)
    found = tape.gradient(value, tensor).numpy()
    for place in [(0, 0, 0, 0), (0, 4, 5, 2), (0, 2, 0, 1), (0, 3, 4, 0)]:
        moved = np.zeros_like(x)
        moved[place] = 1e-6
        slope = (function(tf.constant(x + moved)) - function(tf.constant(x - moved))).numpy()[0] / 2e-6
        np.testing.assert_allclose(found[place], slope, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("loss", ["relative", "perceptual"])
def test_what_a_layer_keeps_is_found_again(loss):
    """Of the image itself, and of a linear map that can be inverted."""
    image = keras.Input(SHAPE)
    mixed = L.Conv2D(3, 1, use_bias=False, name="mixed")
    model = keras.Model(image, mixed(L.Identity(name="same")(image)))
    mixed.set_weights([np.array([[[[2, 0.5, 0], [0, -1, 0.5], [0.3, 0, 1]]]])])
    x = images()
    for layer in ("same", "mixed"):
        found = explain.inversion(model, x, layer, loss=loss, alpha_weight=0, variation_weight=0, steps=300, rate=0.1)
        np.testing.assert_allclose(found.images, x, atol=0.05)
        assert found.history[-1].max() < 1e-3 < found.history[0].min()


def test_regularizers_smooth_and_shrink():
    image = keras.Input(SHAPE)
    model = keras.Model(image, L.Identity(name="same")(image))
    x = images()
    plain, smooth = (explain.inversion(model, x, "same", variation_weight=w, steps=150).images for w in (0.0, 5.0))
    assert (
        total_variation(tf.constant(smooth), 2.0).numpy() < 0.5 * total_variation(tf.constant(plain), 2.0).numpy()
    ).all()
    small = explain.inversion(model, x, "same", alpha_weight=5.0, steps=150).images
    assert np.abs(small).max() < np.abs(plain).max()


def test_the_picture(tmp_path):
    model = kerascnn.create_model("lenet5")
    found = explain.class_image(model, range(3), steps=2)
    explain.draw_optimized(found, tmp_path / "a.png")
    explain.draw_optimized(found, tmp_path / "b.png", images=np.zeros((3, 32, 32, 1)))
    for name in "ab":
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert picture.width == 1000
    with pytest.raises(InputError, match="must have the shape"):
        explain.draw_optimized(found, tmp_path / "b.png", images=np.zeros((2, 32, 32, 1)))
    with pytest.raises(InputError, match="that were made"):
        explain.draw_optimized(None, tmp_path / "b.png")


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda m: explain.class_image(m, 4), "from 0 to 3"), (lambda m: explain.class_image(m, []), "target must"),
        (lambda m: explain.class_image(m, None), "target must"), 
        (lambda m: explain.class_image(m, 0, steps=0), "steps must"),
        (lambda m: explain.class_image(m, 0, decay=-1), "decay must"),
        (lambda m: explain.class_image(m, 0, decay=1, step=1), "below 1 / decay"),
        (lambda m: explain.class_image(m, 0, input_shape=(5, 5, 3)), "input_shape must"),
        (lambda m: explain.class_image(None, 0), "one image"),
        (lambda m: explain.feature_image(m, 0), "what its pixels go through"),
        (lambda m: explain.feature_image(m, 9, preprocessing=CONSTANTS), "from 0 to 3"),
        (lambda m: explain.feature_image(m, 9, layer="head", preprocessing=CONSTANTS), "target must"),
        (lambda m: explain.feature_image(m, 0, scale=1, preprocessing=CONSTANTS), "scale must"),
        (lambda m: explain.inversion(m, images(), "absent"), "layer must be the name"),
        (lambda m: explain.inversion(m, images(), "head", loss="l2"), "loss must be one of"),
        (lambda m: explain.inversion(m, images(), "head", beta=0.5), "beta must"),
        (lambda m: explain.inversion(m, images()[:, :2], "head"), "a batch"),
    ],
)  # fmt: skip
def test_refusals(call, match):
    with pytest.raises(InputError, match=match):
        call(linear())
