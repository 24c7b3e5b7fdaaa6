"""Blocks that are taken out, exchanged, closed to gradients: against networks that were built so."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerascnn
from kerascnn import studies
from kerascnn._errors import InputError
from kerascnn.explain.prepared import prepared
from kerascnn.studies.gated import Gated
from kerascnn.studies.lesions import Patient, kendall

L = keras.layers
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.normal(size=(30, 8, 8, 3)).astype("float32")
LABELS = RANDOM.integers(0, 4, 30)


def branch(x, channels, strides=1):
    x = L.Conv2D(channels, 3, strides=strides, padding="same", use_bias=False)(x)
    return L.BatchNormalization()(L.ReLU()(x))


def residual(without=(), blocks=3):
    """The second block opens a stage, with a projection."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((8, 8, 3))
    x = L.Conv2D(4, 3, padding="same", name="stem")(x)
    for number in range(blocks):
        y = branch(x, 6 if number else 4, 2 if number == 1 else 1)
        shortcut = L.Conv2D(6, 1, strides=2, name="projection")(x) if number == 1 else x
        x = shortcut if number in without else L.Add(name=f"block{number}_add")([shortcut, y])
        x = L.ReLU()(x)
    outputs = L.Dense(4, "softmax")(L.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, outputs, name="residual")


def plain(without=(), layers=3):
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((8, 8, 3))
    x = L.Conv2D(4, 3, padding="same", name="stem")(x)
    for number in range(layers):
        y = L.Conv2D(4, 3, padding="same", name=f"layer{number}")(x)
        y = L.ReLU()(L.BatchNormalization()(y))
        x = x if number in without else y
    return keras.Model(inputs, L.Dense(4)(L.Flatten()(L.MaxPooling2D()(x))), name="plain")


def spread(model):
    """Random weights."""
    values = [RANDOM.uniform(0.3, 1.5, x.shape) for x in model.get_weights()]
    model.set_weights([x * RANDOM.choice([1, 1, -1], x.shape) if x.ndim > 1 else x for x in values])
    return model


def gated(model, images=IMAGES, labels=LABELS):
    return Patient(Gated(prepared(model).network), images, labels, 7)


def numbers_without(count, without):
    found = np.ones((count, 3), "float32")
    found[list(without), 0] = 0
    return tf.constant(found)


@pytest.mark.parametrize("build", [residual, plain])
@pytest.mark.parametrize("without", [(), (0,), (1,), (2,), (0, 2), (0, 1, 2)])
def test_a_deleted_block_is_a_network_without_it(build, without):
    model = spread(build())
    network = prepared(model).network
    found = Gated(network)
    assert len(found.blocks) == 3 and found.residual == (build is residual)
    logits = found.run(tf.constant(IMAGES), numbers_without(3, without), tf.range(3))
    if not without:
        np.testing.assert_array_equal(logits, network(IMAGES, training=False))
        return
    other = build(without)  # built in the same order, so that its layers have the same places
    kept = iter([layer for layer in model.layers if layer.weights])
    for layer in (layer for layer in other.layers if layer.weights):
        source = next(x for x in kept if [w.shape for w in x.weights] == [w.shape for w in layer.weights]
                      and not _taken_out(model, x, without))  # fmt: skip
        layer.set_weights(source.get_weights())
    np.testing.assert_allclose(logits, prepared(other).network(IMAGES, training=False), rtol=1e-4, atol=1e-4)


def _taken_out(model, layer, without):
    blocks = Gated(prepared(model).network).blocks
    return any(layer.weights[0] is x for number in without for x in blocks[number].variables)


def test_blocks_that_open_a_stage_and_their_groups():
    found = Gated(prepared(residual(blocks=5)).network)
    assert [block.name for block in found.blocks] == [f"block{number}" for number in range(5)]
    assert [block.opens for block in found.blocks] == [False, True, False, False, False]
    assert found.groups == [[0], [1], [2, 3, 4]]


def test_exchanged_blocks_have_each_others_weights():
    model = spread(residual(blocks=5))
    patient = gated(model)
    order = np.array([0, 1, 4, 2, 3])
    found = patient.gated.run(tf.constant(IMAGES), numbers_without(5, ()), tf.constant(order, tf.int32))
    blocks = patient.gated.blocks
    values = [[x.numpy() for x in blocks[number].variables] for number in order]
    for block, taken in zip(blocks, values, strict=True):
        for variable, value in zip(block.variables, taken, strict=True):
            variable.assign(value)
    np.testing.assert_allclose(found, prepared(model).network(IMAGES, training=False), rtol=1e-5, atol=1e-5)
    for swaps in range(5):
        drawn = patient.shuffled(np.random.default_rng(swaps), swaps)
        assert sorted(drawn) == list(range(5)) and drawn[:2].tolist() == [0, 1]
        assert swaps or drawn.tolist() == list(range(5))


def test_the_gradients_of_all_paths_sum_to_the_gradient():
    """The product over the blocks of (shortcut + branch), multiplied out."""
    model = spread(residual())
    network = prepared(model).network
    found = Gated(network)

    def slope(call):
        x = tf.constant(IMAGES)
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, call(x)))
        return tape.gradient(total, x).numpy().astype("float64")

    total = 0.0
    for taken in itertools.product((0.0, 1.0), repeat=3):
        numbers = np.ones((3, 3), "float32")
        numbers[:, 1], numbers[:, 2] = 1 - np.array(taken), taken
        total = total + slope(lambda x, numbers=numbers: found.run(x, tf.constant(numbers), tf.range(3)))
    expected = slope(lambda x: network(x, training=False))
    np.testing.assert_allclose(total, expected, atol=1e-4 * abs(expected).max())


def test_kendall():
    assert kendall(np.arange(6)) == 1 and kendall(np.arange(6)[::-1]) == -1 and kendall(np.array([0])) == 1
    assert kendall(np.array([1, 0, 2, 3])) == pytest.approx(1 - 2 / 6)


@pytest.mark.parametrize("build", [residual, plain])
def test_the_study(build, tmp_path):
    model = spread(build())
    before = model.get_weights()
    found = studies.lesions(model, IMAGES, LABELS, draws=2, batch_size=11)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    wrong = np.argmax(model.predict(IMAGES, verbose=0), axis=1) != LABELS
    assert found.arrays["original"] == pytest.approx(wrong.mean())
    assert found.arrays["deleted"].shape == (3,) and found.arrays["several"].shape == (3, 2)
    assert found.arrays["several"][2, 0] == found.arrays["several"][2, 1]  # all three, in both draws
    assert ("lengths" in found.arrays) == (build is residual)
    if build is residual:
        assert found.arrays["shares"].sum() == pytest.approx(1) and (found.arrays["lengths"] > 0).all()
    found.save(tmp_path)
    assert (tmp_path / "picture.png").stat().st_size > 5000
    again = studies.lesions(model, IMAGES, LABELS, draws=2, batch_size=11)
    np.testing.assert_array_equal(again.arrays["several"], found.arrays["several"])


@pytest.mark.parametrize(
    "name, count, opening",
    [("resnet20", 9, 2), ("resnet18", 8, 3), ("vit_thin_patch4_32", None, 0), ("plain20", None, 0), ("vgg11", None, 0)],
)
def test_networks_of_the_package(name, count, opening):
    model = kerascnn.create_model(name, classes=10)
    found = Gated(prepared(model).network)
    assert sum(block.opens for block in found.blocks) == opening
    assert len(found.blocks) == (count or len(found.blocks)) and len(found.blocks) > 1
    images = tf.constant(RANDOM.normal(size=(1, *model.input_shape[1:])), tf.float32)
    numbers = numbers_without(len(found.blocks), ())
    logits = found.run(images, numbers, tf.range(len(found.blocks)))
    np.testing.assert_allclose(logits, prepared(model).network(images, training=False), rtol=1e-5, atol=1e-5)


def test_what_is_refused():
    inputs = keras.Input((8, 8, 3))
    dense = keras.Model(inputs, L.Dense(4)(L.Flatten()(inputs)))
    with pytest.raises(InputError, match="residual blocks, or convolutions that keep"):
        studies.lesions(dense, IMAGES, LABELS)
    with pytest.raises(InputError, match="draws must be"):
        studies.lesions(residual(), IMAGES, LABELS, draws=0)
    with pytest.raises(InputError, match="labels must be 30 classes"):
        studies.lesions(residual(), IMAGES, LABELS + 4)
