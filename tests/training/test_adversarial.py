"""Adversarial training: the step sees what the attack gives, and the network becomes harder to deceive."""

import keras
import numpy as np
import pytest

from kerascnn import explain
from kerascnn._errors import InputError
from kerascnn._preprocessing import Preprocessing
from kerascnn.tasks import TASKS
from kerascnn.training import TrainConfig, adversarial, train_adversarially

L = keras.layers
CONSTANTS = Preprocessing(mean=(0.5,), std=(0.25,))


def linear(activation=None):
    keras.utils.set_random_seed(0)
    image = keras.Input((4, 4, 1))
    model = keras.Model(image, L.Dense(2, activation)(L.Flatten()(image)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=activation is None)
    model.compile(keras.optimizers.SGD(0.1), loss)
    return model


def data(count=32):
    """One strong feature, and weak ones that together say more: those are what an attack turns."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, count)
    sign = (2 * labels - 1)[:, None, None, None]
    pixels = 128 + rng.normal(scale=12, size=(count, 4, 4, 1)) + 5 * sign
    pixels[:, 0, 0] = 128 + 40 * sign[:, 0, 0] + rng.normal(scale=25, size=(count, 1))
    return ((np.clip(pixels, 0, 255) / 255 - 0.5) / 0.25).astype("float32"), labels


@pytest.mark.parametrize("part", [1.0, 0.5])
@pytest.mark.parametrize("activation", [None, "softmax"])
def test_a_step_is_one_on_the_changed_images(part, activation):
    x, y = data()
    model, plain = linear(activation), linear(activation)
    changed = explain.fgsm(model, x, y, epsilon=6, preprocessing=CONSTANTS).images
    expected = np.concatenate([changed[: round(32 * part)], x[round(32 * part) :]])
    train_adversarially(model, attack="fgsm", epsilon=6, part=part, preprocessing=CONSTANTS)
    model.fit(x, y, batch_size=32, epochs=1, shuffle=False, verbose=0)
    plain.fit(expected, y, batch_size=32, epochs=1, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    losses = [each.evaluate(x, y, verbose=0) for each in (model, plain)]
    np.testing.assert_allclose(*losses, rtol=1e-5)  # evaluation sees images as they are


@pytest.mark.after
def test_the_network_becomes_harder_to_deceive():
    x, y = data(256)
    errors = {}
    for attack in (None, "fgsm", "pgd"):
        model = linear()
        if attack:
            train_adversarially(model, attack=attack, epsilon=8, step=4, steps=3, preprocessing=CONSTANTS)
        model.fit(x, y, batch_size=64, epochs=10, verbose=0)
        found = explain.pgd(model, x, y, epsilon=8, preprocessing=CONSTANTS)
        errors[attack] = float((found.after != y).mean())
    assert errors["fgsm"] < 0.7 * errors[None] and errors["pgd"] < 0.7 * errors[None], errors


def test_mixed_labels_and_repeatable_starts():
    x, y = data()
    weights = []
    for _ in range(2):
        model = linear()
        model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
        train_adversarially(model, steps=2, seed=3, preprocessing=CONSTANTS)
        model.fit(x, np.eye(2)[y] * 0.8 + 0.1, batch_size=16, epochs=2, shuffle=False, verbose=0)
        weights.append(np.concatenate([w.ravel() for w in model.get_weights()]))
    np.testing.assert_array_equal(*weights)


@pytest.mark.after
def test_a_run(train, tmp_path):
    rows = train(tmp_path / "run", epochs=1, adversarial="pgd", adversarial_steps=2, adversarial_part=0.5).rows
    plain = train(tmp_path / "plain", epochs=1).rows
    assert rows[0]["loss"] > plain[0]["loss"]


@pytest.mark.parametrize(
    "change, match",
    [
        ({"attack": "none"}, "attack must be one of fgsm, pgd"), ({"epsilon": 300}, "epsilon must"),
        ({"part": 0}, "part must"), ({"steps": 0}, "steps must"), ({"step": 0}, "step must"),
        ({"preprocessing": None}, "what its pixels go through"),
    ],
)  # fmt: skip
def test_refusals(change, match):
    with pytest.raises(InputError, match=match):
        train_adversarially(linear(), **{"preprocessing": CONSTANTS, **change})


def test_only_classifiers_of_images():
    config = TrainConfig(adversarial="fgsm")
    adversarial.check(config, TASKS["classification"])
    adversarial.check(TrainConfig(), TASKS["segmentation"])
    with pytest.raises(InputError, match="is for classification"):
        adversarial.check(config, TASKS["segmentation"])
    image = keras.Input((8, 8, 1))
    with pytest.raises(InputError, match="a classifier of one image"):
        train_adversarially(keras.Model(image, L.Conv2D(2, 1)(image)), preprocessing=CONSTANTS)
