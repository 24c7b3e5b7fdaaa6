"""Activations and their statistics against NumPy, on networks whose answers are known."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerascnn import explain
from kerascnn._errors import InputError

L = keras.layers


def network():
    image = keras.Input((6, 5, 2))
    x = L.Conv2D(4, 3, activation="relu", name="fused")(image)
    x = L.ReLU(name="own")(L.Conv2D(3, 1, name="linear")(x))
    x = L.Flatten()(L.LeakyReLU(name="leaky")(x))
    return keras.Model(image, L.Dense(2, name="head")(x))


def images(count=8, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 6, 5, 2)).astype("float32")


def test_activations_are_what_the_layer_gives():
    model, x = network(), images()
    kernel, bias = model.get_layer("fused").get_weights()
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))  # [n, 4, 3, 2, 3, 3]
    expected = np.maximum(np.einsum("nyxcij,ijcf->nyxf", windows, kernel) + bias, 0)
    found = explain.activations(model, x, "fused", batch_size=3)
    np.testing.assert_allclose(found.maps, expected, atol=1e-5)
    assert explain.activations(model, x, "head").maps.shape == (8, 2)


def test_statistics_against_numpy():
    model, x = network(), images()
    found = explain.activation_statistics(model, x, batch_size=3)
    assert list(found) == ["fused", "own"]  # after a ReLU, not the leaky one
    for name, of in found.items():
        values = explain.activations(model, x, name).maps.astype("float64").reshape(-1, len(of.zeros))
        assert of.images == 8 and of.positions == len(values)
        np.testing.assert_allclose(of.zero_fraction, (values == 0).mean(0))
        assert of.dead.tolist() == (values == 0).all(0).tolist()
        root, norms = np.sqrt(len(values)), np.linalg.norm(values, axis=0)
        alive = norms > 0
        hoyer = (root - np.abs(values).sum(0)[alive] / norms[alive]) / (root - 1)
        np.testing.assert_allclose(of.hoyer[alive], hoyer)
        np.testing.assert_allclose(of.treves_rolls[alive], values.mean(0)[alive] ** 2 / (values**2).mean(0)[alive])


def test_a_channel_with_a_very_low_bias_is_dead_and_only_it():
    model = network()
    kernel, bias = model.get_layer("fused").get_weights()
    bias[:] = [0, 0, -1e6, 0]
    model.get_layer("fused").set_weights([kernel, bias])
    found = explain.activation_statistics(model, images(32), ["fused"])["fused"]
    assert found.dead.tolist() == [False, False, True, False]
    assert found.hoyer[2] == 1 and np.isnan(found.treves_rolls[2]) and found.zero_fraction[2] == 1


def test_half_of_a_symmetric_signal_is_zero():
    image = keras.Input((20, 20, 1))
    model = keras.Model(image, L.ReLU(name="relu")(image))
    x = np.random.default_rng(0).normal(size=(25, 20, 20, 1))
    zero = explain.activation_statistics(model, x)["relu"].zero_fraction[0]
    assert abs(zero - 0.5) < 3 * 0.5 / np.sqrt(x.size)


def test_sparsity_at_its_ends():
    image = keras.Input((3, 4, 1))
    model = keras.Model(image, L.ReLU(name="relu")(image))
    one = np.zeros((1, 3, 4, 1))
    one[0, 1, 2] = 5
    for x, hoyer, treves in ((one, 1, 1 / 12), (np.ones_like(one), 0, 1)):
        found = explain.activation_statistics(model, x)["relu"]
        np.testing.assert_allclose([found.hoyer[0], found.treves_rolls[0]], [hoyer, treves], atol=1e-12)


def test_halves_add_up_and_their_order_does_not_matter():
    model, x = network(), images()
    whole = explain.activation_statistics(model, x)["own"]
    first, last = (explain.activation_statistics(model, part)["own"] for part in (x[:3], x[3:]))
    stream = tf.data.Dataset.from_tensor_slices((x[::-1].copy(), np.zeros(8))).batch(5)
    streamed = explain.activation_statistics(model, stream)["own"]
    for other in (first + last, last + first, streamed):
        assert (other.images, other.positions) == (whole.images, whole.positions)
        assert (other.zeros == whole.zeros).all() and (other.dead == whole.dead).all()
        np.testing.assert_allclose(other.squares, whole.squares, rtol=1e-5)
        np.testing.assert_allclose(other.largest, whole.largest, rtol=1e-5)


def test_layers_inside_a_model():
    image = keras.Input((6, 5, 2))
    inner = network()
    model = keras.Model(image, L.Dense(3, name="top")(inner(image)))
    x = images()
    for name in ("own", f"{inner.name}/own"):
        np.testing.assert_allclose(explain.activations(model, x, name).maps, explain.activations(inner, x, "own").maps)
    assert list(explain.activation_statistics(model, x)) == [f"{inner.name}/fused", f"{inner.name}/own"]
    assert explain.filters(model).layer == f"{inner.name}/fused"
    found, alone = (explain.patches(each, x, "own", count=2) for each in (model, inner))
    np.testing.assert_array_equal(found.patches, alone.patches)


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda m: explain.activations(m, images(), "absent"), "layer must be the name"),
        (lambda m: explain.activations(m, images()[..., :1], "own"), "a batch"),
        (lambda m: explain.activations(m, iter([]), "own"), "at least one batch"),
        (lambda m: explain.activations(m, images(), "own", batch_size=0), "batch_size must"),
        (lambda m: explain.activations("lenet5", images(), "own"), "functional"),
        (lambda m: explain.activation_statistics(m, images() * np.nan), "finite"),
        (lambda m: explain.activation_statistics(keras.Sequential([keras.Input((2, 2, 1)), L.Flatten()]), images()),
         "layers must be named"),
        (lambda m: explain.draw_activations(explain.activations(m, images(), "head"), "a.png"), "must be maps"),
        (lambda m: explain.draw_activations(explain.activations(m, images(), "own"), "a.png", index=8), "index must"),
        (lambda m: explain.activation_statistics(m, images())["own"]
         + explain.activation_statistics(m, images())["fused"], "of one layer"),
    ],
)  # fmt: skip
def test_refusals(call, match):
    with pytest.raises(InputError, match=match):
        call(network())


def test_the_sheet(tmp_path):
    found = explain.activations(network(), images(), "fused")
    explain.draw_activations(found, tmp_path / "sheet.png", index=2)
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.width == 1000
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 20


def test_what_is_no_method_is_not_taken_for_one():
    assert not {"activations", "filters"} & set(explain.METHODS) and "gradients" in explain.METHODS
