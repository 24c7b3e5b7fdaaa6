"""Explanations against NumPy and finite differences: gradients and occlusion, what they share, and the picture."""

import dataclasses

import keras
import numpy as np
import pytest
from PIL import Image

import kerascnn
from kerascnn import explain
from kerascnn._errors import InputError

L = keras.layers
SHAPE = (6, 5, 2)  # not square


def images(count=3, seed=0, shape=SHAPE):
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype("float32")


def linear(activation="softmax", classes=4):
    image = keras.Input(SHAPE)
    model = keras.Model(image, L.Dense(classes, activation, name="head")(L.Flatten()(image)))
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(size=w.shape) * 3 for w in model.get_weights()])
    return model, model.get_layer("head").kernel.numpy().reshape(*SHAPE, classes)


def network(activation="softmax", seed=0):
    keras.utils.set_random_seed(seed)
    x = image = keras.Input(SHAPE)
    x = L.BatchNormalization()(L.Conv2D(4, 3, padding="same", activation="tanh", name="conv")(x))
    x = L.Dropout(0.5)(L.AveragePooling2D(2, name="pool")(x))
    return keras.Model(image, L.Dense(3, activation, name="head")(L.Flatten()(x)))


def logit(model, x, target):
    """The score by NumPy alone, from the outputs' logarithm where the network ends in a softmax."""
    head = keras.Model(model.inputs[0], model.get_layer("head").input)(x, training=False).numpy()
    kernel, bias = (w.astype("float64") for w in model.get_layer("head").get_weights())
    return (head @ kernel + bias)[np.arange(len(x)), target]


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", None])
def test_the_gradient_of_a_linear_score_is_its_weights(activation):
    model, kernel = linear(activation)
    x = images() * 50  # the softmax saturates; its gradient would be 0
    found = explain.gradients(model, x, target=[2, 0, 3])
    expected = kernel.transpose(3, 0, 1, 2)[[2, 0, 3]]
    np.testing.assert_allclose(found.raw, expected, rtol=1e-5)
    np.testing.assert_allclose(found.maps, np.abs(expected).max(-1), rtol=1e-5)
    assert found.method == "gradients" and found.layer is None and found.target.tolist() == [2, 0, 3]
    np.testing.assert_allclose(found.scores, logit(model, x, [2, 0, 3]), rtol=1e-4)


def test_the_gradient_by_finite_differences():
    model, x = network(), images(2)
    found = explain.gradients(model, x, target=1)
    step = 1e-2
    for place in [(0, 0, 0), (5, 4, 1), (3, 2, 0), (2, 0, 1), (4, 3, 1)]:
        moved = np.zeros(SHAPE, "float32")
        moved[place] = step
        slope = (logit(model, x + moved, [1, 1]) - logit(model, x - moved, [1, 1])) / (2 * step)
        np.testing.assert_allclose(found.raw[(slice(None), *place)], slope, rtol=5e-3, atol=1e-4)


def test_the_gradient_at_a_layer():
    model, x = network(), images(2)
    found = explain.gradients(model, x, target=0, layer="pool")
    head = model.get_layer("head").kernel.numpy()[:, 0].reshape(found.raw.shape[1:])
    np.testing.assert_allclose(found.raw, np.stack([head, head]), rtol=1e-4, atol=1e-6)  # only flattened in between
    assert found.maps.shape == (2, 6, 5) and found.layer == "pool"


def test_batches_and_defaults_do_not_change_the_result():
    model, x = network(), images(5)
    whole = explain.gradients(model, x)
    assert whole.target.tolist() == model(x).numpy().argmax(1).tolist()
    np.testing.assert_allclose(explain.gradients(model, x, batch_size=2).raw, whole.raw, rtol=1e-5, atol=1e-6)
    few = explain.occlusion(model, x, window=2, batch_size=3)
    np.testing.assert_allclose(few.raw, explain.occlusion(model, x, window=2).raw, rtol=1e-4, atol=1e-5)


def test_the_model_stays_as_it_is():
    model, x = network(), images()
    before, weights = model(x).numpy(), model.get_weights()
    explain.gradients(model, x, layer="conv"), explain.occlusion(model, x)
    np.testing.assert_array_equal(model(x), before)
    assert all((a == b).all() for a, b in zip(weights, model.get_weights(), strict=True))


@pytest.mark.parametrize("value", [0.0, [0.5, -1.0]])
def test_occlusion_of_a_linear_score(value):
    model, kernel = linear()
    x = images()
    found = explain.occlusion(model, x, target=1, window=2, stride=2, value=value)
    assert found.raw.shape == (3, 3, 3)  # the last column of windows is cut at the border
    falls = (kernel[..., 1] * (x - np.array(value, "float32"))).sum(-1)
    for row in range(3):
        for column in range(3):
            expected = falls[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].sum((1, 2))
            np.testing.assert_allclose(found.raw[:, row, column], expected, rtol=1e-3, atol=1e-3)
            place = (slice(None), slice(2 * row, 2 * row + 2), slice(2 * column, 2 * column + 2))
            assert np.ptp(found.maps[place], axis=(1, 2)).max() == 0
    everything = logit(model, x, [1] * 3) - logit(model, np.full_like(x, value), [1] * 3)
    np.testing.assert_allclose(found.raw.sum((1, 2)), everything, rtol=1e-3)


def test_occlusion_by_plain_loops():
    model, x = network(), images(2)
    found = explain.occlusion(model, x, target=2, window=3, stride=2, value=1.5)
    total, covered = np.zeros((2, 6, 5)), np.zeros((6, 5))
    for top in (0, 2, 4):
        for left in (0, 2):
            hidden = x.copy()
            hidden[:, top : top + 3, left : left + 3] = 1.5
            fall = logit(model, x, [2, 2]) - logit(model, hidden, [2, 2])
            total[:, top : top + 3, left : left + 3] += fall[:, None, None]
            covered[top : top + 3, left : left + 3] += 1
    np.testing.assert_allclose(found.maps, total / covered, rtol=1e-3, atol=1e-4)


def test_occlusion_at_its_limits():
    model, x = network(), images(1)
    whole = explain.occlusion(model, x, window=6)
    assert whole.raw.shape == (1, 1, 1) and np.ptp(whole.maps) == 0
    assert not explain.occlusion(model, np.zeros_like(x)).maps.any()


@pytest.mark.parametrize("method", explain.METHODS.values(), ids=explain.METHODS)
@pytest.mark.parametrize(
    "change, match",
    [
        ({"images": np.zeros((6, 5, 2))}, r"a batch \[n, 6, 5, 2\]"),
        ({"images": np.zeros((0, 6, 5, 2))}, "a batch"),
        ({"images": np.full((1, 6, 5, 2), np.nan)}, "finite"),
        ({"images": "photo.jpg"}, "numbers"),
        ({"target": 3}, "from 0 to 2"),
        ({"target": -1}, "from 0 to 2"),
        ({"target": [0, 1]}, "one an image"),
        ({"target": 1.0}, "from 0 to 2"),
        ({"target": True}, "from 0 to 2"),
        ({"layer": "absent"}, "layer must"),
        ({"layer": "head"}, "layer must"),
        ({"batch_size": 0}, "batch_size must"),
        ({"model": "lenet5"}, "functional"),
        ({"model": keras.Sequential([keras.Input((6, 5, 2)), L.Lambda(lambda x: x)])}, "must be one of Keras"),
        ({"model": keras.Sequential([keras.Input((6, 5, 2)), L.Conv2D(3, 1)])}, "one output"),
    ],
)
def test_bad_arguments_of_every_method(method, change, match):
    with pytest.raises(InputError, match=match) as caught:
        method(**{"model": network(), "images": images(1), **change})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change, match",
    [
        ({"window": 0}, "window must"), ({"window": 7}, "window must"), ({"window": 2, "stride": 3}, "stride must"),
        ({"value": [1, 2, 3]}, "value must"), ({"value": float("nan")}, "value must"), ({"value": "a"}, "value must"),
    ],
)  # fmt: skip
def test_bad_options_of_occlusion(change, match):
    with pytest.raises(InputError, match=match):
        explain.occlusion(network(), images(1), **change)


def test_networks_of_this_package():
    for name, options in (("lenet5", {}), ("deeply_supervised_nin", {"auxiliary_heads": True})):
        model = kerascnn.create_model(name, **options)
        x = images(2, shape=model.input_shape[1:])
        layer = next(x.name for x in model.layers if isinstance(x, L.Conv2D))
        found = explain.gradients(model, x, layer=layer)
        assert found.maps.shape == x.shape[:3] and found.maps.any()


def test_methods_are_the_files_of_the_folder(tmp_path, monkeypatch):
    assert list(explain.METHODS) == sorted(explain.METHODS) and {"gradients", "occlusion"} <= set(explain.METHODS)
    (tmp_path / "brightness.py").write_text(
        "from kerascnn.explain.explanation import Explanation, ask\n"
        "def brightness(model, images, target=None, *, layer=None):\n"
        "    asked = ask(model, images, target)\n"
        "    return Explanation(asked.images.mean(-1), asked.images, None, asked.target, asked.scores, 'brightness')\n"
    )
    monkeypatch.setattr(explain, "__path__", [*explain.__path__, str(tmp_path)])
    found = explain._methods()["brightness"](network(), images())
    np.testing.assert_allclose(found.maps, images().mean(-1))


def test_the_picture(tmp_path):
    x = images(3)
    for method, channels in ((explain.gradients, x[..., :1]), (explain.occlusion, x.repeat(2, axis=-1)[..., :3])):
        found = method(network(), x)
        explain.draw(found, channels, tmp_path / "a.png", class_names=["$a", "b", "c"], titles=["1", "2", "3"])
        with Image.open(tmp_path / "a.png") as picture:
            assert 600 < picture.width < 800
        empty = dataclasses.replace(found, maps=np.zeros_like(found.maps))
        explain.draw(empty, channels, tmp_path / "empty.png")
    with pytest.raises(InputError, match="those of the explanation"):
        explain.draw(found, x[:2], tmp_path / "b.png")
