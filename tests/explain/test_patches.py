"""Patches: the largest activations by plain loops, and that a field is all that a unit sees, and no more."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import kerascnn
from kerascnn import explain
from kerascnn._errors import InputError

L = keras.layers
SHAPE = (17, 14, 2)  # odd and even, so that "same" with strides pads on one side, or on both


def network():
    image = keras.Input(SHAPE)
    x = L.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="first")(image)
    x = L.MaxPooling2D(3, strides=2, padding="same", name="pool")(x)
    x = L.Conv2D(5, 3, padding="same", name="last")(x)
    return keras.Model(image, L.Dense(3, name="head")(L.Flatten()(x)))


def images(count=12, seed=0, shape=SHAPE):
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype("float32")


@pytest.mark.parametrize("layer", ["first", "pool", "last", "head"])
def test_the_largest_by_plain_loops(layer):
    model, x = network(), images()
    maps = explain.activations(model, x, layer).maps.reshape(12, -1, model.get_layer(layer).output.shape[-1])
    found = explain.patches(model, x, layer, channels=[2, 0], count=4, batch_size=5)
    stream = tf.data.Dataset.from_tensor_slices((x, np.zeros(12))).batch(7)
    again = explain.patches(model, stream, layer, channels=[2, 0], count=4)
    for row, channel in enumerate([2, 0]):
        largest = sorted((-maps[i, :, channel].max(), i) for i in range(12))[:4]
        np.testing.assert_allclose(found.values[row], [-value for value, _ in largest], rtol=1e-5)
        assert found.images[row].tolist() == [i for _, i in largest] == again.images[row].tolist()
        assert len(set(found.images[row])) == 4
        for value, i, place in zip(found.values[row], found.images[row], found.positions[row], strict=True):
            shape = model.get_layer(layer).output.shape
            index = place[0] * (shape[2] if len(shape) == 4 else 1) + place[1]
            np.testing.assert_allclose(maps[i, index, channel], value, rtol=1e-5)
    np.testing.assert_array_equal(found.patches, again.patches)
    assert found.seen == 12 and found.channels == (2, 0)


@pytest.mark.parametrize("layer", ["first", "pool", "last"])
def test_nothing_outside_of_a_field_counts_and_its_edges_do(layer):
    """At every position, the corners included; activations are bit-equal."""
    model = network()
    inner = keras.Model(model.inputs[0], model.get_layer(layer).output)
    x = tf.constant(images(1))
    rows, columns, channels = inner.output.shape[1:]
    boxes = kerascnn.surgery.fields_at(inner, [(r, c) for r in range(rows) for c in range(columns)])
    other = images(1, seed=5)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = inner(x)
        sums = [tf.reduce_sum(y[0, r, c] ** 2) for r in range(rows) for c in range(columns)]
    for index, ((top, bottom), (left, right)) in enumerate(boxes):
        inside = np.zeros(SHAPE[:2], bool)
        inside[max(top, 0) : bottom + 1, max(left, 0) : right + 1] = True
        changed = inner(np.where(inside[..., None], x, other))
        place = (0, *divmod(index, columns))
        np.testing.assert_array_equal(changed[place], y[place])
        gradient = tape.gradient(sums[index], x)
        support = np.zeros(SHAPE[:2], bool) if gradient is None else (gradient.numpy()[0] != 0).any(-1)
        assert not (support & ~inside).any()
        if layer == "first" and support.any():  # a linear layer behind a ReLU: the whole field counts
            np.testing.assert_array_equal(support, inside)


def test_a_first_layer_without_padding_is_a_scalar_product():
    image = keras.Input((9, 11, 3))
    model = keras.Model(image, L.Conv2D(4, (3, 5), strides=2, name="conv")(image))
    kernel, bias = model.get_layer("conv").get_weights()
    found = explain.patches(model, images(20, shape=(9, 11, 3)), "conv")
    assert found.patches.shape == (4, 9, 3, 5, 3)
    expected = np.einsum("cnhwi,hwic->cn", found.patches, kernel) + bias[:, None]
    np.testing.assert_allclose(found.values, expected, rtol=1e-4, atol=1e-5)


def test_a_shifted_image_has_a_shifted_patch():
    image = keras.Input((20, 20, 1))
    x = L.Conv2D(3, 3, strides=2, name="a")(image)
    model = keras.Model(image, L.Conv2D(2, 3, strides=2, name="b")(x))
    bright = np.zeros((2, 20, 20, 1), "float32")
    bright[0, 4:9, 4:9] = np.random.default_rng(0).normal(size=(5, 5, 1))
    bright[1, 8:13, 4:9] = bright[0, 4:9, 4:9]  # four pixels lower: the total stride
    found = explain.patches(model, bright, "b", count=2)
    for row in range(2):
        at = {int(i): tuple(place) for i, place in zip(found.images[row], found.positions[row], strict=True)}
        assert at[1] == (at[0][0] + 1, at[0][1])
        np.testing.assert_array_equal(found.patches[row, 0], found.patches[row, 1])


def test_pixels_that_are_not_there_are_nan_and_only_they():
    model, x = network(), images()
    found = explain.patches(model, x, "last")
    for fields, patches, numbers in zip(found.fields, found.patches, found.images, strict=True):
        for (top, left, bottom, right), patch, i in zip(fields, patches, numbers, strict=True):
            height, width = bottom - top + 1, right - left + 1
            assert patch.shape[:2] == (min(height, 17), min(width, 14))
            seen = x[i, max(top, 0) : bottom + 1, max(left, 0) : right + 1]
            assert np.isfinite(patch).sum() == seen.size
            np.testing.assert_array_equal(patch[np.isfinite(patch)], seen.ravel())


def test_gates_are_left_out_and_named():
    image = keras.Input(SHAPE)
    x = L.Conv2D(4, 3, padding="same", name="conv")(image)
    gate = L.Dense(4, "sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(x))
    model = keras.Model(image, L.Multiply(name="gated")([x, gate]))
    found = explain.patches(model, images(), "gated")
    assert found.patches.shape[2:4] == (3, 3) and found.left_out == ("gated",)


def test_equal_values_take_the_first_and_few_images_give_few_patches():
    found = explain.patches(network(), np.zeros((3, *SHAPE), "float32"), "last", channels=1, count=9)
    assert found.images.tolist() == [[0, 1, 2]] and found.positions[0, 0].tolist() == [0, 0]


def test_the_picture(tmp_path):
    model = kerascnn.create_model("lenet5")
    found = explain.patches(model, images(10, shape=(32, 32, 1)), "c3", channels=range(5))
    assert found.preprocessing == kerascnn.model_preprocessing(model)
    explain.draw_patches(found, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width == 1000


@pytest.mark.parametrize(
    "change, match",
    [
        ({"layer": "absent"}, "layer must be the name"), ({"channels": [5]}, "channels must"),
        ({"channels": []}, "channels must"), ({"channels": True}, "channels must"), ({"count": 0}, "count must"),
        ({"images": images(shape=(9, 9, 2))}, "a batch"), ({"model": None}, "functional"), ({"layer": "flat"}, ""),
    ],
)  # fmt: skip
def test_refusals(change, match):
    model = network()
    if change == {"layer": "flat"}:
        image = keras.Input(SHAPE)
        model = keras.Model(image, L.Reshape((17, 28), name="flat")(image))
        match = "a map or units"
    with pytest.raises(InputError, match=match):
        explain.patches(**{"model": model, "images": images(), "layer": "last", **change})
