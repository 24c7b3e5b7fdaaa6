"""A model with classifiers that exist in training alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn._errors import InputError
from kerascnn.models import AuxiliaryModel

LABELS = np.array([0, 2, 1, 1])


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(size=(4, 6, 6, 2)).astype("float32")


def build(weights=(0.5, 0.25), classes=3):
    inputs = x = keras.Input((6, 6, 2))
    outputs = []
    for name in ("first", "second", "last"):
        x = keras.layers.Conv2D(
            4, 3, activation="relu", padding="same", name=name, kernel_regularizer=keras.regularizers.L2(0.1)
        )(x)
        y = keras.layers.GlobalAveragePooling2D()(x)
        outputs.append(keras.layers.Dense(classes, activation="softmax", name=f"{name}_head")(y))
    return AuxiliaryModel(inputs, [outputs[2], *outputs[:2]], name="supervised", auxiliary_weights=weights)


def crossentropy(probabilities):
    return -np.mean(np.log(probabilities.numpy()[range(4), LABELS]))


def test_inference_has_the_main_output_alone(images):
    model = build()
    assert model.outputs == [model.get_layer("last_head").output]
    assert model.output_shape == (None, 3) and model.compute_output_shape((2, 6, 6, 2)) == (2, 3)
    outputs = model(images, training=True)
    assert [y.shape for y in outputs] == [(4, 3)] * 3
    np.testing.assert_allclose(model(images), outputs[0], rtol=1e-6)
    np.testing.assert_allclose(model.predict(images, verbose=0), outputs[0], rtol=1e-5)


def test_layers_and_weights_are_those_of_all_heads():
    model = build()
    assert {"first_head", "second_head", "last_head"} <= {layer.name for layer in model.layers}
    assert len(model.weights) == len(model.trainable_weights) == 12
    assert model.count_params() == 2 * 9 * 4 + 4 + 2 * (4 * 9 * 4 + 4) + 3 * (4 * 3 + 3)


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", keras.losses.SparseCategoricalCrossentropy()])
def test_the_training_loss_is_the_weighted_sum(loss, images):
    model = build()
    main, first, second = (crossentropy(y) for y in model(images, training=True))
    penalty = sum(0.1 * np.sum(np.square(w)) for w in model.weights if w.name == "kernel" and w.shape.rank == 4)
    model.compile(keras.optimizers.SGD(0.0), loss, metrics=["accuracy"])
    history = model.fit(images, LABELS, batch_size=4, verbose=0).history
    assert history["loss"][0] == pytest.approx(main + 0.5 * first + 0.25 * second + penalty, rel=1e-5)
    evaluated = model.evaluate(images, LABELS, batch_size=4, verbose=0, return_dict=True)
    assert evaluated["loss"] == pytest.approx(main + penalty, rel=1e-5)
    assert evaluated["accuracy"] == history["accuracy"][0]


def test_sample_weights_reach_every_loss(images):
    model = build()
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    whole = model.fit(images, LABELS, batch_size=4, verbose=0).history["loss"][0]
    halved = model.fit(images, LABELS, sample_weight=np.full(4, 0.5), batch_size=4, verbose=0).history["loss"][0]
    penalty = float(sum(model.losses))
    assert halved - penalty == pytest.approx((whole - penalty) / 2, rel=1e-5)


def test_every_weight_learns(images):
    model = build()
    before = model.get_weights()
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    model.fit(images, LABELS, batch_size=4, verbose=0)
    assert all(np.any(a != b) for a, b in zip(before, model.get_weights(), strict=True))


def test_training_under_a_strategy_gives_the_same_loss(images):
    losses = []
    devices, sums = [f"CPU:{i}" for i in range(2)], tf.distribute.ReductionToOneDevice()
    for strategy in (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(devices, cross_device_ops=sums)):
        keras.utils.set_random_seed(1)
        with strategy.scope():
            model = build()
            model.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
        data = tf.data.Dataset.from_tensor_slices((images, LABELS)).batch(4, drop_remainder=True)
        losses.append(model.fit(data, epochs=3, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-4)


@pytest.mark.parametrize("file", ["model.keras", "model.weights.h5"])
def test_comes_back_from_a_file(file, images, tmp_path):
    model = build()
    if file.endswith(".keras"):
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.save(tmp_path / file)
        again = keras.models.load_model(tmp_path / file)
    else:
        model.save_weights(tmp_path / file)
        keras.utils.set_random_seed(5)
        again = build()
        again.load_weights(tmp_path / file)
    assert isinstance(again, AuxiliaryModel) and again.auxiliary_weights == (0.5, 0.25) and again.name == "supervised"
    for ours, theirs in zip(model(images, training=True), again(images, training=True), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_saved_model_holds_the_main_output(images, tmp_path):
    model = build()
    model.export(tmp_path / "saved", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    np.testing.assert_allclose(loaded.serve(images), model(images), rtol=1e-5)


@pytest.mark.parametrize("weights", [(), (0.3,), (0.3, 0.3, 0.3), (0.3, -0.1)])
def test_weights_that_do_not_fit_are_refused(weights):
    with pytest.raises(InputError, match="a weight that is not negative for each"):
        build(weights)
