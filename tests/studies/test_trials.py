"""What studies that train networks share: divided examples, seeds, steps."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.studies.small_networks import small_network
from kerascnn.studies.trials import Draws, Trainer, ascending, divided, measure, orders

RANDOM = np.random.default_rng(0)
IMAGES, LABELS = RANDOM.integers(0, 256, (50, 8, 8, 1), dtype=np.uint8), np.arange(50) % 3


def test_examples_are_standardized_by_those_that_are_trained_on():
    examples = divided(IMAGES, LABELS, 0.2)
    assert (len(examples.images), len(examples.held_images), examples.classes) == (40, 10, 3)
    assert abs(examples.images.mean()) < 1e-5 and abs(examples.images.std() - 1) < 1e-5
    again = divided(IMAGES / 255.0, LABELS, 0.2)
    np.testing.assert_allclose(again.held_images, examples.held_images, atol=1e-5)
    np.testing.assert_array_equal(examples.held_labels, LABELS[40:])


@pytest.mark.parametrize(
    "images, labels, held_out, told",
    [
        (IMAGES[0], LABELS, 0.2, "images must be numbers"), (IMAGES > 3, LABELS, 0.2, "images must be numbers"),
        (np.full((50, 2, 2, 1), np.nan), LABELS, 0.2, "finite"),
        (IMAGES, LABELS[:-1], 0.2, "labels must be 50 classes"),
        (IMAGES, LABELS - 1, 0.2, "labels must be"), (IMAGES, 0 * LABELS, 0.2, "at least two"),
        (IMAGES, LABELS / 2, 0.2, "labels must be"), (IMAGES, LABELS, 0, "held_out"), (IMAGES, LABELS, 1.5, "held_out"),
        (IMAGES, LABELS, 0.001, "both parts"), (IMAGES[:0], LABELS[:0], 0.2, "images must be numbers"),
    ],
)  # fmt: skip
def test_what_is_no_examples(images, labels, held_out, told):
    with pytest.raises(InputError, match=told):
        divided(images, labels, held_out)


def test_a_constant_image_divides_by_one():
    assert (divided(np.zeros((10, 2, 2, 1)), np.arange(10) % 2, 0.2).images == 0).all()


def test_the_same_seeds_give_the_same_training():
    examples = divided(IMAGES, LABELS, 0.2)
    losses = []
    for seed in (3, 3, 4):
        tf.random.set_seed(len(losses))  # which must not matter
        model = small_network(examples.shape, 3, Draws(seed), dropout=0.5)
        losses.append(Trainer(model, examples, keras.optimizers.SGD(0.1), 8, seed).steps(6))
    np.testing.assert_array_equal(losses[0], losses[1])
    assert (losses[0] != losses[2]).all()


def test_a_step_is_plain_gradient_descent():
    examples = divided(IMAGES, LABELS, 0.2)
    inputs = keras.Input((8, 8, 1))
    model = keras.Model(inputs, keras.layers.Dense(3, name="dense")(keras.layers.Flatten()(inputs)))
    kernel = model.get_layer("dense").kernel.numpy().astype("float64")
    x, y = examples.images.reshape(40, -1).astype("float64"), np.eye(3)[examples.labels]
    (loss,) = Trainer(model, examples, keras.optimizers.SGD(0.5), 40, 0).steps(1)
    odds = np.exp(x @ kernel)
    chance = odds / odds.sum(axis=1, keepdims=True)
    assert loss == pytest.approx(-np.log((chance * y).sum(axis=1)).mean(), rel=1e-5)
    expected = kernel - 0.5 * x.T @ (chance - y) / 40
    np.testing.assert_allclose(model.get_layer("dense").kernel.numpy(), expected, atol=1e-6)


def test_a_loss_that_is_no_number_ends_training():
    examples = divided(IMAGES, LABELS, 0.2)
    model = small_network(examples.shape, 3, Draws(0), batch_norm=False)
    seen = []
    losses = Trainer(model, examples, keras.optimizers.SGD(1e20), 8, 0).steps(20, seen.append)
    assert np.isnan(losses[len(seen) :]).all() and np.isfinite(losses[: len(seen)]).all() and len(seen) < 20


def test_each_pass_has_each_example_once():
    batches = [order for order, _ in zip(orders(20, 5, 1), range(8), strict=False)]
    for half in (batches[:4], batches[4:]):
        assert sorted(np.concatenate(half)) == list(range(20))


def test_a_batch_larger_than_the_examples():
    examples = divided(IMAGES, LABELS, 0.2)
    model = small_network(examples.shape, 3, Draws(0))
    with pytest.raises(InputError, match="batch_size must be at most"):
        Trainer(model, examples, keras.optimizers.SGD(0.1), 41, 0)


def test_measuring_is_of_all_images_and_at_inference():
    model = small_network((8, 8, 1), 3, Draws(0), dropout=0.9)
    images = RANDOM.normal(size=(1001, 8, 8, 1)).astype("float32")
    labels = np.arange(1001) % 3
    logits = model(images, training=False).numpy().astype("float64")
    chance = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    loss, accuracy = measure(model, images, labels)
    assert loss == pytest.approx(-np.log(chance[np.arange(1001), labels]).mean(), rel=1e-5)
    assert accuracy == (logits.argmax(axis=1) == labels).mean()


@pytest.mark.parametrize("values", [(), 3, "12", (2, 1), (1, 1)])
def test_what_does_not_ascend(values):
    with pytest.raises(InputError, match="sizes must be ascending numbers"):
        ascending("sizes", values, int)


def test_the_small_network_is_that_of_its_depth():
    model = small_network((28, 28, 1), 10, Draws(0), blocks=3, widths=(16, 32, 64))
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(convolutions) + 1 == 20 and model.name == "residual20"
    assert model.get_layer("stage1_block1_relu2").output.shape == (None, 14, 14, 16)
    assert model.get_layer("stage3_block3_relu2").output.shape == (None, 4, 4, 64)
    plain = small_network((28, 28, 1), 10, Draws(0), blocks=3, widths=(16, 32, 64), shortcuts=False)
    assert plain.count_params() == model.count_params()
