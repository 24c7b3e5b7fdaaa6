"""Filters as pictures and in numbers, on banks that are known."""

import keras
import numpy as np
import pytest
from PIL import Image

import kerascnn
from kerascnn import explain
from kerascnn._errors import InputError

L = keras.layers


def bank(kernel):
    """A network whose first layer has this kernel, [height, width, channels, filters]."""
    layer = L.Conv2D(kernel.shape[-1], kernel.shape[:2], use_bias=False, name="bank")
    model = keras.Sequential([keras.Input((16, 16, kernel.shape[2])), layer])
    layer.set_weights([kernel])
    return model


def test_a_bank_of_gabor_filters_is_given_back():
    y, x = np.mgrid[-5:6, -5:6] / 5
    angles = np.arange(8) * np.pi / 8
    turned = np.cos(angles)[:, None, None] * x + np.sin(angles)[:, None, None] * y
    gabor = np.exp(-2 * (x**2 + y**2)) * np.cos(6 * turned)
    kernel = np.stack([gabor, 0.5 * gabor, -gabor]).transpose(2, 3, 0, 1).astype("float32")
    found = explain.filters(bank(kernel))
    assert found.layer == "bank"
    np.testing.assert_array_equal(found.kernels, kernel.transpose(3, 0, 1, 2))
    noise = explain.filters(bank(np.random.default_rng(0).normal(size=kernel.shape).astype("float32")))
    assert found.roughness.max() < noise.roughness.min()
    assert found.high_frequencies.max() < noise.high_frequencies.min()


def test_the_spectrum_of_noise_is_flat():
    kernel = np.random.default_rng(0).normal(size=(7, 7, 4, 500)).astype("float32")
    share = explain.filters(bank(kernel)).high_frequencies
    np.testing.assert_allclose(share.mean(), 1 - np.pi / 16, atol=0.01)


def test_norms_and_dead_filters():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 6)).astype("float32")
    kernel[..., 1] *= 1e-3
    kernel[..., 4] = 0
    found = explain.filters(bank(kernel))
    np.testing.assert_allclose(found.norms, np.linalg.norm(kernel.reshape(-1, 6), axis=0), rtol=1e-6)
    assert found.dead.tolist() == [False, True, False, False, True, False]
    assert found.roughness[4] == 0 and found.high_frequencies[4] == 0
    step = np.zeros((3, 3, 1, 1), "float32")
    step[:, 1:] = 1  # three edges of height 1; 6 ones
    assert explain.filters(bank(step)).roughness[0] == pytest.approx(3 / 6)


def test_weights_are_those_of_the_pixels():
    model = kerascnn.create_model("squeezenet1_0", classes=2, input_shape=(64, 64, 3))
    deviation = np.array(kerascnn.model_preprocessing(model).std)
    raw, shown = explain.filters(model, pixels=False), explain.filters(model)
    assert len(set(deviation)) == 3
    np.testing.assert_allclose(shown.kernels, raw.kernels / deviation * deviation.mean(), rtol=1e-5)
    later = [x.name for x in model.layers if isinstance(x, L.Conv2D)][3]
    np.testing.assert_array_equal(
        explain.filters(model, later).kernels, explain.filters(model, later, pixels=False).kernels
    )


def test_depthwise_filters_have_one_channel():
    model = keras.Sequential([keras.Input((8, 8, 3)), L.DepthwiseConv2D(3, depth_multiplier=2, name="deep")])
    found = explain.filters(model, "deep").kernels
    assert found.shape == (6, 3, 3, 1)
    np.testing.assert_array_equal(found[3, ..., 0], model.get_layer("deep").get_weights()[0][:, :, 1, 1])


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_the_sheet(channels, tmp_path):
    kernel = np.random.default_rng(0).normal(size=(5, 5, channels, 20)).astype("float32")
    explain.draw_filters(explain.filters(bank(kernel)), tmp_path / "a.png", count=18)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width == 1000
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    colored = (np.ptp(pixels, axis=-1) > 40).mean()
    assert colored > 0.2


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda m: explain.filters(m, "absent"), "layer must be the name"),
        (lambda m: explain.filters(m, "flat"), "must be a convolution"),
        (lambda m: explain.filters(m, pixels=1), "pixels must"),
        (lambda m: explain.filters(keras.Sequential([keras.Input((2, 2, 1)), L.Flatten()])), "a convolution"),
        (lambda m: explain.filters(None), "functional"),
        (lambda m: explain.draw_filters(m, "a.png"), "what filters returns"),
        (lambda m: explain.draw_filters(explain.filters(m), "a.png", count=0), "count must"),
    ],
)
def test_refusals(call, match):
    model = keras.Sequential([keras.Input((4, 4, 1)), L.Conv2D(2, 3), L.Flatten(name="flat")])
    with pytest.raises(InputError, match=match):
        call(model)
