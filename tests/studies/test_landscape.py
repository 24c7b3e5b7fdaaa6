"""The loss around trained weights: against NumPy, and that nothing is written to the network."""

import keras
import numpy as np
import pytest

from kerascnn import studies
from kerascnn._errors import InputError
from kerascnn.layers import DepthwiseConv2D
from kerascnn.studies.landscape import Surface, normalized

L = keras.layers
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.normal(size=(40, 6, 6, 3)).astype("float32")
LABELS = RANDOM.integers(0, 4, 40)


def network(end="softmax"):
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((6, 6, 3))
    x = L.ReLU()(L.BatchNormalization()(L.Conv2D(5, 3, use_bias=False, name="conv")(x)))
    x = DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x)
    x = L.Dropout(0.5)(L.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, L.Dense(4, end, name="head")(x), name="small")


def losses(model, images, labels):
    p = np.asarray(model(images, training=False), "float64")[np.arange(len(labels)), labels]
    return -np.log(p).mean()


def test_a_linear_network_against_numpy():
    inputs = keras.Input((6, 6, 3))
    model = keras.Model(inputs, L.Dense(4, name="head")(L.Flatten()(inputs)))
    kernel, bias = model.get_layer("head").get_weights()
    found = studies.landscape(model, IMAGES, LABELS, points=5, span=0.8, seed=3, batch_size=7)
    directions = []
    for number in range(2):
        drawn = np.random.default_rng((3, number)).standard_normal(kernel.shape)
        directions.append(drawn / np.linalg.norm(drawn, axis=0) * np.linalg.norm(kernel, axis=0))
    np.testing.assert_allclose(found.arrays["at"], [-0.8, -0.4, 0, 0.4, 0.8])
    flat = IMAGES.reshape(40, -1).astype("float64")
    for r, b in enumerate(found.arrays["at"]):
        for c, a in enumerate(found.arrays["at"]):
            logits = flat @ (kernel + a * directions[0] + b * directions[1]) + bias
            logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
            assert found.arrays["loss"][r, c] == pytest.approx(-logs[np.arange(40), LABELS].mean(), rel=1e-5)
            assert found.arrays["accuracy"][r, c] == pytest.approx((logits.argmax(1) == LABELS).mean())


def test_the_middle_is_the_network_which_is_left_as_it_is():
    model = network()
    before = model.get_weights()
    found = studies.landscape(model, IMAGES, LABELS, points=3)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert found.arrays["loss"][1, 1] == pytest.approx(losses(model, IMAGES, LABELS), rel=1e-5)
    again = studies.landscape(model, IMAGES, LABELS, points=3)
    np.testing.assert_array_equal(again.arrays["loss"], found.arrays["loss"])
    other = studies.landscape(model, IMAGES, LABELS, points=3, seed=1)
    assert other.arrays["loss"][1, 1] == found.arrays["loss"][1, 1]
    assert abs(other.arrays["loss"][0] - found.arrays["loss"][0]).max() > 1e-4


def test_each_filter_of_a_direction_has_the_norm_of_the_networks():
    model = network()
    direction = Surface(model, IMAGES, LABELS, 10).direction(RANDOM)
    for name, axes in (("conv", (0, 1, 2)), ("depthwise", (0, 1)), ("head", (0,))):
        kernel = np.asarray(model.get_layer(name).kernel)
        own = next(x for x in direction if x.shape == kernel.shape)
        np.testing.assert_allclose((own**2).sum(axes), (kernel**2).sum(axes), rtol=1e-5)
    assert len(direction) == 3  # scales and biases stay
    kernel = np.zeros((3, 2))
    kernel[:, 1] = [3.0, 0.0, 4.0]
    found = normalized(np.ones((3, 2)), kernel, (0,))
    np.testing.assert_allclose(found[:, 0], 0)
    np.testing.assert_allclose(found[:, 1], 5 / np.sqrt(3))


def test_a_filter_before_batch_norm_may_be_scaled():
    """Scaled weights, with statistics that follow them, are the same function and have the same surface."""
    model = network()
    model.layers[2].set_weights([RANDOM.uniform(0.5, 1.5, 5) for _ in range(4)])
    model.layers[2].epsilon = 0.0
    first = studies.landscape(model, IMAGES, LABELS, points=3).arrays["loss"]
    scale = np.array([0.1, 1.0, 3.0, 10.0, 0.5], "float32")
    model.get_layer("conv").kernel.assign(model.get_layer("conv").kernel * scale)
    model.layers[2].moving_mean.assign(model.layers[2].moving_mean * scale)
    model.layers[2].moving_variance.assign(model.layers[2].moving_variance * scale**2)
    np.testing.assert_allclose(studies.landscape(model, IMAGES, LABELS, points=3).arrays["loss"], first, rtol=1e-4)


@pytest.mark.after
def test_the_curvature_and_the_claims():
    """A network without a hidden layer has a convex loss; where it is least there, it rises everywhere."""
    inputs = keras.Input((6, 6, 3))
    model = keras.Model(inputs, L.Dense(4, use_bias=False)(L.Flatten()(inputs)))
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    labels = (IMAGES.sum((1, 2)) @ RANDOM.normal(size=(3, 4))).argmax(1)
    model.fit(IMAGES, labels, epochs=200, batch_size=40, verbose=0)
    found = studies.landscape(model, IMAGES, labels, points=9)
    assert all(found.claims.values()) and (found.arrays["curvature"] > 0).all()
    at, loss = found.arrays["at"], found.arrays["loss"]
    expected = (loss[4, 3] - 2 * loss[4, 4] + loss[4, 5]) / (at[1] - at[0]) ** 2
    assert found.arrays["curvature"][0] == pytest.approx(expected)
    spoiled = network()
    spoiled.get_layer("head").kernel.assign(-spoiled.get_layer("head").kernel)
    assert not all(studies.landscape(spoiled, IMAGES, LABELS, points=9).claims.values())


def test_one_dimension_and_pictures(tmp_path):
    model = network(None)
    line = studies.landscape(model, IMAGES, LABELS, points=5, dimensions=1)
    plane = studies.landscape(model, IMAGES, LABELS, points=5)
    assert line.arrays["loss"].shape == (1, 5) and line.arrays["curvature"].shape == (1,)
    np.testing.assert_allclose(line.arrays["loss"][0], plane.arrays["loss"][2], rtol=1e-5)
    for study in (line, plane):
        study.save(tmp_path / str(study.settings["dimensions"]))
        assert (tmp_path / str(study.settings["dimensions"]) / "picture.png").stat().st_size > 5000


def test_an_interrupted_one_goes_on(tmp_path, monkeypatch):
    model, calls = network(), []
    measure = Surface.measure

    def counted(self, directions, steps):
        calls.append(1)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return measure(self, directions, steps)

    whole = studies.landscape(model, IMAGES, LABELS, points=5)
    monkeypatch.setattr(Surface, "measure", counted)
    with pytest.raises(KeyboardInterrupt):
        studies.landscape(model, IMAGES, LABELS, points=5, folder=tmp_path)
    found = studies.landscape(model, IMAGES, LABELS, points=5, folder=tmp_path)
    assert len(calls) == 8 + 20  # the first row was done
    np.testing.assert_array_equal(found.arrays["loss"], whole.arrays["loss"])
    model.get_layer("head").bias.assign([1.0, 0, 0, 0])
    with pytest.raises(InputError, match="rows of another study: state differ"):
        studies.landscape(model, IMAGES, LABELS, points=5, folder=tmp_path)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"points": 4}, "points must be odd"),
        ({"points": 1}, "points must be"),
        ({"span": 0.0}, "span must be"),
        ({"dimensions": 3}, "dimensions must be"),
        ({"labels": LABELS[:5]}, "labels must be 40 classes from 0 to 3"),
        ({"labels": LABELS + 1}, "labels must be 40 classes"),
        ({"labels": LABELS.astype("float32")}, "labels must be 40 classes"),
        ({"images": IMAGES[:, :5]}, "images must be a batch"),
    ],
)
def test_what_is_refused(change, words):
    given = {"images": IMAGES, "labels": LABELS, **change}
    with pytest.raises(InputError, match=words):
        studies.landscape(network(), **given)
