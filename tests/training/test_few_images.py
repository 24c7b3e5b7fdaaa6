"""Few images: enough steps, statistics that follow, and the exact statistics of a set."""

import dataclasses

import keras
import numpy as np
import pytest
from plan_inputs import SMALL, Set

from kerascnn import training
from kerascnn._errors import InputError
from kerascnn.training import TrainConfig, few_images, statistics


@pytest.mark.parametrize(
    ("images", "fields", "asked", "expected"),
    [
        (50_000, {}, (), {}),
        (96, {}, (), {"batch_size": 16, "epochs": 84, "statistics_momentum": 0.9}),
        (5, {}, (), {"batch_size": 16, "epochs": 500, "statistics_momentum": 0.9}),
        (1_272, {}, (), {"epochs": 56, "statistics_momentum": 0.9}),
        (96, {"epochs": 300}, (), {"batch_size": 16, "statistics_momentum": 0.9}),
        (96, {}, ("epochs",), {"batch_size": 16, "statistics_momentum": 0.9}),
        (96, {}, ("epochs", "batch_size", "statistics_momentum"), {}),
        (600, {"batch_size": 8}, (), {}),
    ],
    ids=str,
)
def test_what_is_chosen(images, fields, asked, expected):
    config = TrainConfig(**{"batch_size": 128, "epochs": 15, **fields})
    found = few_images.chosen(config, images, asked)
    assert found == expected
    batch = min(found.get("batch_size", config.batch_size), images)
    steps = found.get("epochs", config.epochs) * (images // batch)
    assert steps >= few_images.STEPS or "epochs" in asked


def test_a_plan_says_it_and_offers_weights():
    few = dataclasses.replace(Set(), sizes={"train": 96})
    plan = training.plan(SMALL, few)
    config = plan.config
    assert (config.batch_size, config.epochs, config.statistics_momentum) == (16, 84, 0.9) and plan.asked == ()
    assert config.learning_rate == pytest.approx(0.1 / 8)
    assert "96 images make few steps: batches of 16 instead of 128, 84 epochs instead of 15" in plan.reason
    assert "kerascnn finetune --model efficientnet_lite0 --weights imagenet" in plan.reason
    gray = dataclasses.replace(few, image_shape=(32, 32, 1))
    assert "finetune" not in training.plan(SMALL, gray).reason
    many = training.plan(SMALL, Set())
    assert "few steps" not in many.reason and many.config.statistics_momentum == 0


def network():
    """Two batch norms, the second behind the first."""
    x = inputs = keras.Input((4, 4, 2))
    x = keras.layers.Conv2D(3, 3, name="conv1")(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(name="bn1")(x))
    x = keras.layers.Conv2D(2, 1, name="conv2")(x)
    return keras.Model(inputs, keras.layers.BatchNormalization(name="bn2")(x))


def test_exact_statistics():
    model, images = network(), np.random.default_rng(0).normal(2, 3, (20, 4, 4, 2)).astype("float32")
    kernels = [x.numpy() for x in model.trainable_variables]
    statistics.estimate(model, lambda: np.split(images, [7, 13]))
    for x, y in zip(kernels, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(x, y.numpy())
    first, second = model.get_layer("bn1"), model.get_layer("bn2")
    maps = np.asarray(model.get_layer("conv1")(images), "float64")
    np.testing.assert_allclose(first.moving_mean, maps.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(first.moving_variance, maps.var((0, 1, 2)), rtol=1e-5)
    # The second sees what the first gives with its new statistics: then every output has mean 0 and variance 1.
    outputs = np.asarray(model(images, training=False), "float64")
    np.testing.assert_allclose(outputs.mean((0, 1, 2)), 0, atol=1e-5)
    variance = np.asarray(second.moving_variance, "float64")
    np.testing.assert_allclose(outputs.var((0, 1, 2)), variance / (variance + second.epsilon), rtol=1e-4)


def test_statistics_of_nothing():
    with pytest.raises(InputError, match="of at least one image. Received: none"):
        statistics.estimate(network(), list)
    inner = keras.Sequential([keras.Input((4, 4, 2)), keras.layers.BatchNormalization()])
    outer = keras.Sequential([keras.Input((4, 4, 2)), inner], name="outer")
    assert len(statistics.batch_norms(outer)) == 1
    with pytest.raises(InputError, match="must not be in models inside the model. Received: outer"):
        statistics.estimate(outer, list)


def test_a_run_has_the_momentum(tmp_path, train):
    train(tmp_path / "run", epochs=1, statistics_momentum=0.5)
    model = keras.models.load_model(tmp_path / "run" / "best.keras", compile=False)
    assert [layer.momentum for layer in statistics.batch_norms(model)] == [0.5]
