"""Numbers of the preprocessing: constants on single pixels, geometry of both fits, formats."""

import numpy as np
import pytest
import tensorflow as tf

from kerascnn import data
from kerascnn._errors import InputError
from kerascnn._preprocessing import CIFAR, IMAGENET, LENET, Preprocessing
from kerascnn.data.preprocessing import center, fit_image

PLAIN = Preprocessing(mean=(0.0,), std=(1 / 255,), crop_fraction=1.0, fit="pad")  # leaves pixel values as they are


def test_imagenet_constants_on_three_pixels():
    """Black, white and one color, worked out by hand as (value / 255 - mean) / std."""
    colors = np.zeros([3, 2, 2, 3], np.uint8)
    colors[1], colors[2] = 255, (124, 116, 104)
    pixels = data.preprocess_image(tf.constant(colors), (2, 2, 3), IMAGENET)[:, 0, 0]
    expected = [
        [-2.117903930131, -2.035714285714, -1.804444444444],
        [2.248908296943, 2.428571428571, 2.640000000000],
        [0.005565544139, -0.004901960784, 0.008191721133],
    ]
    np.testing.assert_allclose(pixels, expected, atol=2e-6)


def test_cifar_and_lenet_constants():
    white = tf.fill([2, 2, 3], tf.constant(255, tf.uint8))
    np.testing.assert_allclose(
        data.preprocess_image(white, (2, 2, 3), CIFAR)[1, 1],
        [2.059109311741, 2.126488706366, 2.115825688073],
        atol=2e-6,
    )
    gray = tf.constant([[[0], [255]]], tf.uint8)
    np.testing.assert_allclose(
        data.preprocess_image(gray, (1, 2, 1), LENET)[0, :, 0],
        [-0.1, 1.175],
        atol=1e-6,  # as LeCun et al. state
    )


def test_constants_adapt_to_the_number_of_channels():
    gray = tf.constant([[[51]]], tf.uint8)
    value = (0.2 - (0.485 + 0.456 + 0.406) / 3) / ((0.229 + 0.224 + 0.225) / 3)
    np.testing.assert_allclose(data.preprocess_image(gray, (1, 1, 1), IMAGENET), [[[value]]], atol=1e-6)
    expected = (0.2 - np.array(IMAGENET.mean)) / IMAGENET.std
    np.testing.assert_allclose(data.preprocess_image(gray, (1, 1, 3), IMAGENET)[0, 0], expected, atol=1e-6)


def test_gray_networks_see_the_luminance_of_colors():
    red_green_blue = tf.constant([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [77, 77, 77]]], tf.uint8)
    gray = data.preprocess_image(red_green_blue, (1, 4, 1), PLAIN)[0, :, 0]
    np.testing.assert_allclose(gray, [76, 150, 29, 77], atol=1e-4)  # 0.299, 0.587, 0.114 of 255; gray stays


def test_pad_28_to_32():
    image = np.random.RandomState(0).randint(1, 256, [28, 28, 1]).astype(np.uint8)
    fitted = data.preprocess_image(tf.constant(image), (32, 32, 1), PLAIN).numpy()
    np.testing.assert_allclose(fitted[2:30, 2:30], image, atol=1e-4)
    fitted[2:30, 2:30] = 0
    assert not fitted.any()


def test_border_is_black_before_normalization():
    image = tf.fill([28, 28, 1], tf.constant(255, tf.uint8))
    fitted = data.preprocess_image(image, (32, 32, 1), LENET)
    np.testing.assert_allclose([fitted[0, 0, 0], fitted[16, 16, 0]], [-0.1, 1.175], atol=1e-6)


def test_pad_8_to_32_is_fourfold():
    image = np.random.RandomState(0).randint(0, 256, [8, 8, 1]).astype(np.uint8)
    nearest = Preprocessing(mean=(0.0,), std=(1 / 255,), crop_fraction=1.0, fit="pad", interpolation="nearest")
    fitted = data.preprocess_image(tf.constant(image), (32, 32, 1), nearest)
    np.testing.assert_allclose(fitted, np.repeat(np.repeat(image, 4, axis=0), 4, axis=1), atol=1e-4)
    # Bilinear with half-pixel centers: between two pixels the weights are 7/8, 5/8, 3/8, 1/8.
    row = data.preprocess_image(tf.constant([[[0], [160]]], tf.uint8), (4, 8, 1), PLAIN)[0, :, 0]
    np.testing.assert_allclose(row, [0, 0, 20, 60, 100, 140, 160, 160], atol=1e-4)


@pytest.mark.parametrize(
    ("size", "target", "content"),
    [
        ((8, 8), (32, 32), (0, 0, 32, 32)),
        ((5, 8), (32, 32), (6, 0, 20, 32)),  # fourfold
        ((9, 9), (32, 32), (2, 2, 27, 27)),  # threefold
        ((64, 32), (32, 32), (0, 8, 32, 16)),  # half
        ((30, 100), (32, 32), (11, 0, 10, 32)),
        ((1, 400), (32, 32), (15, 0, 1, 32)),
        ((33, 10), (32, 48), (0, 19, 32, 10)),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_geometry_of_pad(size, target, content, known):
    """A white image: what is not black is its place (top, left, height, width)."""
    signature = tf.TensorSpec([*size, 1] if known else [None, None, 1], tf.uint8)
    fit = tf.function(lambda image: fit_image(image, (*target, 1), PLAIN), input_signature=[signature])
    fitted = fit(np.full([*size, 1], 255, np.uint8)).numpy()
    rows, columns = np.flatnonzero(fitted.any(axis=(1, 2))), np.flatnonzero(fitted.any(axis=(0, 2)))
    assert (rows[0], columns[0], len(rows), len(columns)) == content
    assert fitted.shape == (*target, 1) and set(np.unique(fitted)) <= {0, 255}


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (224, 224), (40, 30)])
@pytest.mark.parametrize("known", [True, False])
def test_geometry_of_crop(size, known):
    """A ramp along one axis: its ends tell how far from the edges the window lies."""
    short = min(size)
    for axis in (0, 1):
        ramp = np.arange(size[axis], dtype=np.float32) * (240 / size[axis])
        image = np.broadcast_to(ramp[:, None, None] if axis == 0 else ramp[None, :, None], [*size, 1])
        signature = tf.TensorSpec(image.shape if known else [None, None, 1], tf.float32)
        fit = tf.function(lambda image: fit_image(image, (224, 224, 1), IMAGENET), input_signature=[signature])
        fitted = fit(image).numpy()
        assert fitted.shape == (224, 224, 1)
        scale = short / 256  # pixels of the image per pixel of the window
        resized = size[axis] * 256 // short
        first = (((resized - 224) // 2) + 0.5) * size[axis] / resized - 0.5
        line = fitted[:, 5, 0] if axis == 0 else fitted[5, :, 0]
        slope = 240 / size[axis]
        np.testing.assert_allclose(line[10:-10], ((first + np.arange(224) * scale) * slope)[10:-10], atol=0.3)


def test_shrinking_is_antialiased():
    """Single-pixel stripes become their mean, not one of the two colors."""
    stripes = np.tile(np.array([0, 200], np.uint8)[None, :, None], [64, 32, 1])
    fitted = fit_image(tf.constant(stripes), (8, 8, 1), Preprocessing((0.5,), (0.5,), crop_fraction=1.0))
    assert fitted.dtype == tf.uint8
    assert abs(fitted.numpy()[:, 1:-1].astype(int) - 100).max() <= 4


def test_batches_equal_single_images():
    images = tf.constant(np.random.RandomState(0).randint(0, 256, [3, 20, 30, 3]).astype(np.uint8))
    for preprocessing in (IMAGENET, CIFAR):
        batch = data.preprocess_image(images, (16, 16, 3), preprocessing)
        for image, expected in zip(images, batch, strict=True):
            np.testing.assert_array_equal(data.preprocess_image(image, (16, 16, 3), preprocessing), expected)


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 2), (8, 8, 4), (0, 8, 3), (8, None, 3), (8.5, 8, 3), (8, 8, 3, 1)])
def test_image_shapes_that_are_refused(shape):
    with pytest.raises(InputError, match="image_shape must be"):
        data.preprocess_image(tf.zeros([8, 8, 3], tf.uint8), shape, CIFAR)


@pytest.mark.parametrize(
    ("shape", "message"),
    [((8, 8, 4), "1 or 3 channels"), ((8, 8, 2), "1 or 3"), ((8, 8), "rank 3"), ((1,) * 5, "rank")],
)
def test_images_that_are_refused(shape, message):
    for channels in (1, 3):
        with pytest.raises(InputError, match=message):
            data.preprocess_image(tf.zeros(shape, tf.uint8), (8, 8, channels), CIFAR)


def bmp(pixels):
    """A minimal bitmap, bottom row first; channels 1 (with palette), 3 or 4."""
    height, width, channels = pixels.shape
    stored = pixels[::-1, :, [2, 1, 0, 3][:channels]] if channels > 1 else pixels[::-1]
    rows = b"".join(row.tobytes() + bytes(-len(row.tobytes()) % 4) for row in stored)
    palette = b"".join(bytes([level, level, level, 0]) for level in range(256)) if channels == 1 else b""
    offset = 54 + len(palette)
    header = b"BM" + np.array([offset + len(rows), 0, offset, 40, width, height], "<u4").tobytes()
    header += np.array([1, 8 * channels], "<u2").tobytes() + np.array([0, len(rows), 0, 0, 0, 0], "<u4").tobytes()
    return header + palette + rows


@pytest.mark.parametrize("stored", [1, 3, 4])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["png", "bmp"])
def test_formats_and_channels(kind, stored, channels):
    pixels = np.random.RandomState(0).randint(0, 256, [4, 8, stored]).astype(np.uint8)
    contents = tf.io.encode_png(pixels) if kind == "png" else tf.constant(bmp(pixels))
    image = data.decode_image(contents, channels)
    colors = np.repeat(pixels, 3, axis=2) if stored == 1 else pixels[:, :, :3]
    expected = colors if channels == 3 else (colors.astype(int) @ [[19595], [38470], [7471]] + 2**15) // 2**16
    np.testing.assert_array_equal(image, expected)
    in_graph = tf.function(data.decode_image).get_concrete_function(tf.TensorSpec([], tf.string), channels)
    assert in_graph.structured_outputs.shape.as_list() == [None, None, channels]
    np.testing.assert_array_equal(in_graph(contents), image)


def test_jpeg_and_gif():
    pixels = np.full([16, 16, 3], (200, 100, 50), np.uint8)
    decoded = data.decode_image(tf.io.encode_jpeg(pixels, quality=100))
    np.testing.assert_allclose(decoded, pixels, atol=3)
    one_red_pixel = bytes.fromhex("47494638396101000100800000ff0000000000 2c000000000100010000 02024401003b")
    np.testing.assert_array_equal(data.decode_image(tf.constant(one_red_pixel)), [[[255, 0, 0]]])


def test_channels_of_decode_image():
    with pytest.raises(InputError, match="channels must be 1 or 3. Received: 4"):
        data.decode_image(tf.constant(b""), 4)


def test_read_image(tmp_path):
    path = tmp_path / "a.png"
    tf.io.write_file(str(path), tf.io.encode_png(tf.zeros([3, 2, 1], tf.uint8)))
    assert data.read_image(path).shape == (3, 2, 3)
    assert data.read_image(str(path), channels=1).shape == (3, 2, 1)


@pytest.mark.parametrize(
    "contents", [b"", b"hello", b"BM", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0" + b"\0" * 50, None]
)
def test_read_image_names_the_file(tmp_path, contents):
    path = tmp_path / "broken.png"
    if contents is None:
        contents = tf.io.encode_png(np.random.RandomState(0).randint(0, 256, [9, 9, 3]).astype(np.uint8)).numpy()[:100]
    path.write_bytes(contents)
    with pytest.raises(
        InputError, match=f"must be a whole JPEG, PNG, GIF, BMP or WebP file. Received: {path}"
    ) as raised:
        data.read_image(path)
    assert "\n" not in str(raised.value)


def test_read_image_without_a_file(tmp_path):
    with pytest.raises(InputError, match=r"cannot be read \(No such file.*nothing.png"):
        data.read_image(tmp_path / "nothing.png")
    with pytest.raises(InputError, match="cannot be read"):
        data.read_image(tmp_path)


def test_center_crop_is_that_of_torchvision_and_timm():
    """The window begins at int(round(free / 2.0)): half a pixel goes to the even side."""
    free = np.arange(0, 999)
    np.testing.assert_array_equal(center(tf.constant(free)), [int(round(number / 2.0)) for number in free])
    for width in range(256, 266):  # of 256 rows: nothing is resized
        image = np.random.RandomState(width).randint(0, 256, [256, width, 3]).astype(np.uint8)
        left = int(round((width - 224) / 2.0))
        fitted = fit_image(tf.constant(image), (224, 224, 3), IMAGENET)
        np.testing.assert_array_equal(fitted, image[16:240, left : left + 224])


@pytest.mark.parametrize(
    ("size", "fraction", "resized"), [(224, 0.875, 256), (240, 240 / 255, 255), (224, 0.9, 248), (260, 0.95, 273)]
)
def test_the_length_of_the_shorter_side(size, fraction, resized):
    """Rounded down, as timm does; a quotient of whole numbers gives them back. Read off a ramp of that many pixels."""
    ramp = np.repeat(np.arange(resized, dtype=np.float32)[:, None, None], resized, axis=1)
    preprocessing = Preprocessing((0.0,), (1 / 255,), crop_fraction=fraction)
    fitted = fit_image(tf.constant(ramp), (size, size, 1), preprocessing).numpy()
    first = int(round((resized - size) / 2.0))
    np.testing.assert_array_equal(fitted[:, 0, 0], np.arange(first, first + size))


@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1), (3, 40_000)])
@pytest.mark.parametrize("preprocessing", [IMAGENET, CIFAR])
def test_very_long_images_are_cut_before_they_are_enlarged(size, preprocessing):
    """Enlarged whole to 256 rows the first would have four thousand million pixels."""
    image = np.zeros([*size, 1], np.uint8)
    image[size[0] // 2, size[1] // 2] = 255
    image[(size[0] - 1) // 2, (size[1] - 1) // 2] = 255
    fitted = fit_image(tf.constant(image), (224, 224, 1), preprocessing).numpy()
    assert fitted.shape == (224, 224, 1)
    if preprocessing is IMAGENET:  # the two pixels in the middle are in the middle
        lit = np.argwhere(fitted[..., 0] > 100)
        np.testing.assert_allclose((lit.min(axis=0) + lit.max(axis=0)) / 2, 111.5, atol=90)


def test_long_images_that_fit_in_memory_are_as_before():
    image = np.random.RandomState(0).randint(0, 256, [20, 300, 3]).astype(np.uint8)
    whole = tf.cast(tf.round(tf.image.resize(image, [64, 960], antialias=True)), tf.uint8)
    fitted = fit_image(tf.constant(image), (56, 56, 3), IMAGENET)
    np.testing.assert_array_equal(fitted, whole[4:60, 452:508])
