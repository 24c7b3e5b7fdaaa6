"""Where deformable layers look: on a grid, moved by constant and by learned offsets; the picture; refusals."""

import keras
import numpy as np
import pytest

from kerascnn import analysis
from kerascnn._errors import InputError
from kerascnn.layers import Conv2D, DeformableConv2D

L = keras.layers


@pytest.fixture
def model():
    """A stem of stride 2, then two deformable layers, the second of stride 2 and dilated."""
    image = keras.Input((33, 33, 3))
    x = Conv2D(4, 3, 2, 1)(image)
    x = L.ReLU()(DeformableConv2D(4, 3, padding=1, modulated=False, name="first")(x))
    x = DeformableConv2D(4, 3, 2, 2, dilation_rate=2, offset_dilation_rate=1, name="second")(Conv2D(4, 1)(x))
    return keras.Model(image, x)


@pytest.fixture
def image():
    return np.random.default_rng(0).uniform(size=(33, 33, 3)).astype("float32")


def test_without_offsets_they_are_those_of_plain_convolutions(model, image):
    """Unit 4 of the second layer lies at pixel 16; its taps are 4 pixels apart, those of the first layer 2."""
    points = analysis.sampling_locations(model, image, (17, 15), layers=2)
    assert points.shape == (81, 2)
    rows = (16 + 4 * np.arange(-1, 2)[:, None] + 2 * np.arange(-1, 2)).ravel()
    expected = {(row, column) for row in rows for column in rows}
    assert set(map(tuple, points.tolist())) == expected
    last = analysis.sampling_locations(model, image, (17, 15), layers=1)
    assert sorted({row for row, _ in last.tolist()}) == [12, 16, 20]


def test_constant_offsets_move_all_points(model, image):
    before = analysis.sampling_locations(model, image, (0, 32), layers=2)
    model.get_layer("first").offset_bias.assign(np.tile([0.5, -0.25], 9))
    model.get_layer("second").offset_bias.assign(
        np.tile(
            [
                1.0,
                0.0,
            ],
            9,
        ).tolist()
        + [0.0] * 9
    )
    after = analysis.sampling_locations(model, image, (0, 32), layers=2)
    np.testing.assert_allclose(after - before, np.tile([2 * 1.5, 2 * -0.25], (81, 1)), atol=1e-5)


def test_taps_are_ordered_and_offsets_are_those_of_the_layer(model, image):
    rng = np.random.default_rng(1)
    second = model.get_layer("second")
    second.offset_kernel.assign(rng.normal(0, 0.3, second.offset_kernel.shape))
    points = analysis.sampling_locations(model, image, (16, 16), layers=1)
    moves, _ = second.offsets(keras.Model(model.input, second.input)(image[None]))
    moves = moves.numpy()[0, 4, 4].reshape(9, 2)
    grid = np.stack(np.meshgrid([-2, 0, 2], [-2, 0, 2], indexing="ij"), -1).reshape(9, 2)
    np.testing.assert_allclose(points, 16 + 2 * (grid + moves), rtol=1e-5)


def test_only_pixels_around_the_locations_count():
    image_in = keras.Input((21, 21, 1))
    x = DeformableConv2D(1, 3, padding=1, modulated=False, use_bias=False, kernel_initializer="ones")(image_in)
    net = keras.Model(image_in, x)
    net.layers[1].offset_bias.assign(np.random.default_rng(0).uniform(-4, 4, 18))
    x = np.zeros((21, 21, 1), "float32")
    points = analysis.sampling_locations(net, x, (10, 9), layers=1)
    near = {(int(row) + down, int(column) + aside) for row, column in points for down in (0, 1) for aside in (0, 1)}
    pixels = np.eye(441, dtype="float32").reshape(441, 21, 21, 1)
    seen = np.flatnonzero(net.predict(pixels, verbose=0)[:, 10, 9, 0])
    assert {(int(index) // 21, int(index) % 21) for index in seen} <= near and len(seen) >= 20


def test_picture(model, image, tmp_path):
    points = analysis.sampling_locations(model, image, (3, 4), layers=2)
    analysis.plot_sampling(image, points, tmp_path / "a.png", position=(3, 4), title="first")
    analysis.plot_sampling(image[..., :1], points, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes()[:4] == (tmp_path / "b.png").read_bytes()[:4] == b"\x89PNG"


def test_refusals(model, image, tmp_path):
    for layers in (0, 3, 1.0, True):
        with pytest.raises(InputError, match="deformable layers of"):
            analysis.sampling_locations(model, image, (3, 4), layers=layers)
    with pytest.raises(InputError, match=r"image must be \[height, width, 3\]"):
        analysis.sampling_locations(model, image[..., 0], (3, 4), layers=1)
    with pytest.raises(InputError, match="must fit"):
        analysis.sampling_locations(model, image[:9], (3, 4), layers=1)
    for position in ((33, 0), (0, -1), (1, 2, 3)):
        with pytest.raises(InputError, match="position must be"):
            analysis.sampling_locations(model, image, position, layers=1)
    with pytest.raises(InputError, match="1 or 3"):
        analysis.plot_sampling(image[..., :2], np.zeros((1, 2)), tmp_path / "a.png")
    with pytest.raises(InputError, match="points must be"):
        analysis.plot_sampling(image, np.zeros((1, 3)), tmp_path / "a.png")
