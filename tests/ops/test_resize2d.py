"""resize2d: native against plain TensorFlow and Pillow, in graphs, refusals."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerascnn import data
from kerascnn._errors import InputError
from kerascnn.ops import _native, build_info, native, resize2d
from kerascnn.ops.resize2d import reference

NATIVE = build_info()["available"]
needs_native = pytest.mark.skipif(not NATIVE, reason="native library: " + build_info()["reason"])
MODES = [pytest.param("require", marks=needs_native), "off"]
PILLOW = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def bytes_of(rng, *shape):
    """Noise, or black and white, where a cubic goes beyond 0 and 255."""
    return (rng.integers(0, 256, shape) if rng.integers(2) else 255 * rng.integers(0, 2, shape)).astype("uint8")


@needs_native
@pytest.mark.parametrize("interpolation", PILLOW)
def test_native_equals_reference(interpolation):
    rng = np.random.default_rng(0)
    for case in range(60):
        sizes, channels = [int(size) for size in rng.integers(1, 90, 4)], (1, 3, 4, 2, 5, 70)[case % 6]
        image = bytes_of(rng, *sizes[:2], channels)
        with native("require"):
            ours = resize2d(image, sizes[2:], interpolation)
        np.testing.assert_array_equal(ours, reference(image, sizes[2:], interpolation), err_msg=f"{sizes}, {channels}")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("interpolation", PILLOW)
def test_is_what_pillow_does(mode, interpolation):
    """But for what Pillow does between the axes: it rounds, and cuts off what a cubic makes below 0 or above 255."""
    rng = np.random.default_rng(1)
    for height, width, *size in ((60, 90, 24, 24), (17, 13, 40, 35), (300, 20, 7, 30), (1, 5, 3, 1)):
        image = rng.integers(90, 166, (height, width, 3)).astype("uint8")  # a cubic's weights add up to at most 1.3
        with native(mode):
            ours = resize2d(image, size, interpolation).numpy().astype("int16")
        theirs = np.asarray(Image.fromarray(image).resize(size[::-1], PILLOW[interpolation]))
        assert np.abs(ours - theirs).max() <= 1


@pytest.mark.parametrize("mode", MODES)
def test_by_hand(mode):
    image = np.array([[10, 20], [30, 40]], "uint8")[..., None]
    with native(mode):
        np.testing.assert_array_equal(resize2d(image, (2, 2)), image)
        # Half of the triangle's weight lies in the image: 3/4 and 1/4 of both, over 1.
        np.testing.assert_array_equal(resize2d(image, (1, 1))[..., 0], [[25]])
        np.testing.assert_array_equal(resize2d(image[:1], (1, 4))[..., 0], [[10, 12, 18, 20]])  # 12.5 and 17.5: even
        np.testing.assert_array_equal(
            resize2d(np.full((9, 7, 3), 255, "uint8"), (4, 20), "bicubic"), [[[255] * 3] * 20] * 4
        )


@pytest.mark.parametrize("mode", MODES)
def test_batches_are_images(mode):
    images = bytes_of(np.random.default_rng(2), 3, 20, 30, 3)
    with native(mode):
        together = resize2d(images, (9, 40))
        np.testing.assert_array_equal(together, [resize2d(image, (9, 40)) for image in images])


@pytest.mark.parametrize("mode", MODES)
def test_sizes_that_are_known_later(mode):
    @tf.function(input_signature=[tf.TensorSpec([None, None, 3], tf.uint8), tf.TensorSpec([2], tf.int64)])
    def traced(image, size):
        return resize2d(image, size)

    image = bytes_of(np.random.default_rng(3), 11, 12, 3)
    with native(mode):
        np.testing.assert_array_equal(traced(image, [5, 7]), resize2d(image, (5, 7)))
        with pytest.raises(tf.errors.InvalidArgumentError):
            traced(image, [5, 0])
        with pytest.raises(tf.errors.InvalidArgumentError):
            traced(image[:0], [5, 7])


@needs_native
def test_static_shapes_and_graphs():
    """A SavedModel for other machines has no op of ours."""
    image = tf.TensorSpec([None, None, None, 3], tf.uint8)
    made = {}

    def names(mode):
        with native(mode):
            graph = tf.function(lambda x: resize2d(x, (5, 6))).get_concrete_function(image)
        made[mode] = graph.structured_outputs.shape.as_list()
        return {operation.type for operation in graph.graph.get_operations()}

    assert "Kerascnn>Resize2D" in names("require")
    assert not any(name.startswith("Kerascnn") for name in names("auto"))  # get_concrete_function: for an export
    assert made["require"] == made["auto"] == [None, 5, 6, 3]


@needs_native
def test_pipelines_are_no_exports():
    """TensorFlow traces their functions as it traces what is exported."""
    traced = []

    def change(image):
        image = data.preprocessing.resize(image, 5, 6, "bilinear")
        traced.append(image.op.type)
        return image

    dataset = tf.data.Dataset.from_tensors(np.zeros((8, 8, 3), "uint8")).map(change, tf.data.AUTOTUNE)
    assert next(iter(dataset)).shape == (5, 6, 3) and traced == ["Kerascnn>Resize2D"]


@needs_native
def test_the_device_does_not_matter(monkeypatch):
    monkeypatch.setattr(_native, "has_gpu", lambda: True)
    assert _native.usable(host=True) and not _native.usable()


@pytest.mark.parametrize(
    "image, size, interpolation, words",
    [
        (np.zeros((4, 4, 3), "float32"), (2, 2), "bilinear", "uint8"),
        (np.zeros((4, 4), "uint8"), (2, 2), "bilinear", "height, width, channels"),
        (np.zeros((0, 4, 3), "uint8"), (2, 2), "bilinear", "pixels"),
        (np.zeros((0, 4, 4, 3), "uint8"), (2, 2), "bilinear", "pixels"),
        (np.zeros((4, 4, 3), "uint8"), (2, 0), "bilinear", "from 1"),
        (np.zeros((4, 4, 3), "uint8"), (2, 2**24 + 1), "bilinear", "from 1"),
        (np.zeros((4, 4, 3), "uint8"), (2,), "bilinear", "a height and a width"),
        (np.zeros((4, 4, 3), "uint8"), (2.5, 2), "bilinear", "whole numbers"),
        (np.zeros((4, 4, 3), "uint8"), "22", "bilinear", "whole numbers"),
        (np.zeros((4, 4, 3), "uint8"), None, "bilinear", "whole numbers"),
        (np.zeros((4, 4, 3), "uint8"), (2, 2), "nearest", "bicubic"),
    ],
)
def test_what_is_refused(image, size, interpolation, words):
    for function in (resize2d, reference):
        with pytest.raises(InputError, match=words):
            function(image, size, interpolation)
