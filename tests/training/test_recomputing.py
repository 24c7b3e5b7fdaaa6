"""Recomputed activations: the same numbers as without, and what Keras' own scope does instead."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn import layers, training
from kerascnn._errors import InputError
from kerascnn.models import AuxiliaryModel

IMAGES = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype(np.float32)
LABELS = np.arange(8) % 4


def residual(auxiliary=False, side=8, channels=3, classes=4):
    """Blocks of batch norm, dropout and drop-path beside a shortcut, one of whose layers is called twice."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((side, side, channels))
    x = keras.layers.Conv2D(8, 3, padding="same", name="stem")(inputs)
    twice = keras.layers.Dense(8, name="twice")
    ends = []
    for index in range(4):
        y = layers.BatchNormalization(momentum=0.5)(keras.layers.Conv2D(8, 3, padding="same")(x))
        y = keras.layers.Dropout(0.3, seed=index)(keras.layers.ReLU()(y))
        x = keras.layers.Add()([x, layers.DropPath(0.3, seed=index)(twice(y) if index < 2 else y)])
        if auxiliary and index == 1:
            ends.append(keras.layers.Dense(4, name="auxiliary")(keras.layers.GlobalAveragePooling2D()(x)))
    main = keras.layers.Dense(classes, name="head", dtype="float32")(keras.layers.GlobalAveragePooling2D()(x))
    if auxiliary:
        return AuxiliaryModel(inputs, [main, *ends], auxiliary_weights=[0.3])
    return keras.Model(inputs, main)


def trained(model, recompute, steps=3, **compiled):
    """What steps of SGD give: losses, and all variables, states of random numbers too."""
    if recompute:
        assert training.recompute(model).segments >= 2
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, jit_compile=False, **compiled)
    losses = [model.train_on_batch(IMAGES, LABELS) for _ in range(steps)]
    return np.array(losses), [variable.numpy() for variable in model.variables]


@pytest.mark.parametrize("auxiliary, compiled", [(True, {}), (False, {"run_eagerly": True})])
def test_equals_the_plain_model(auxiliary, compiled):
    """Weights after three steps say that gradients are equal; moving statistics that they moved once."""
    (losses, plain), (others, recomputed) = (trained(residual(auxiliary), again, **compiled) for again in (False, True))
    np.testing.assert_allclose(others, losses, rtol=1e-6)
    assert len(plain) == len(recomputed)
    for value, other in zip(plain, recomputed, strict=True):
        np.testing.assert_allclose(other, value, rtol=1e-6, atol=1e-6)
    assert len(np.unique(losses)) == 3


@pytest.mark.after
def test_mixed_precision_keeps_weights_in_32_bits():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        (losses, plain), (others, recomputed) = (trained(residual(), again) for again in (False, True))
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_allclose(others, losses, rtol=1e-3)
    for value, other in zip(plain, recomputed, strict=True):
        np.testing.assert_allclose(other, value, rtol=0.02, atol=2e-3)


def test_the_graph_computes_segments_twice_and_only_when_their_gradients_have_come():
    convolutions = []
    for again in (False, True):
        model = residual()
        segments = training.recompute(model).segments if again else 0

        @tf.function
        def step(images, model=model):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(model(images, training=True))
            return tape.gradient(loss, model.trainable_variables)

        graph = step.get_concrete_function(tf.TensorSpec(IMAGES.shape)).graph
        convolutions.append([x for x in graph.get_operations() if x.type == "Conv2D"])
    plain, recomputed = convolutions
    assert segments >= 2 and len(plain) == 5 and len(recomputed) == 10
    assert [any(map(waits, ancestors(x))) for x in recomputed] == [False] * 5 + [True] * 5


def ancestors(operation):
    found, waiting = {}, [operation]
    while waiting:
        one = waiting.pop()
        if one.name not in found:
            found[one.name] = one
            waiting += [*(x.op for x in one.inputs), *one.control_inputs]
    return found.values()


def waits(operation):
    """Whether it copies a tensor as soon as something else is there."""
    return operation.type == "Identity" and bool(operation.control_inputs)


def test_a_chain_is_cut_at_the_root_of_its_length():
    """Chen et al. 2016, section 4.3: of n equal layers in segments of k, n / k cuts and k outputs are kept at once."""
    x = inputs = keras.Input((10,))
    for _ in range(64):
        x = keras.layers.Dense(10)(x)
    saving = training.recompute(keras.Model(inputs, x))
    least = min((64 / k - 1 + k, k) for k in range(1, 65) if 64 % k == 0)
    assert least == (15, 8) and saving.before == 64 * 40
    assert (saving.segments, saving.after) == (7, 15 * 40)
    assert saving.text.startswith("7 parts of the network are computed twice")


def test_files_and_predictions_stay(tmp_path):
    model = residual()
    wanted = model.predict(IMAGES, verbose=0)
    training.recompute(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for one in (model, loaded):
        np.testing.assert_allclose(one.predict(IMAGES, verbose=0), wanted, rtol=1e-6)
    with pytest.raises(InputError, match="recomputes already"):
        training.recompute(model)


def test_what_is_refused():
    inputs = keras.Input((8,))
    with pytest.raises(InputError, match="places where"):
        training.recompute(keras.Model(inputs, keras.layers.Dense(2)(inputs)))
    regular = keras.layers.Dense(2, activity_regularizer="l2", name="regular")(inputs)
    with pytest.raises(InputError, match="activity_regularizer. Received: regular"):
        training.recompute(keras.Model(inputs, keras.layers.Dense(2)(regular)))
    with pytest.raises(InputError, match="functional"):
        training.recompute(keras.layers.Dense(2))


def test_the_scope_of_keras_cannot_be_traced_and_moves_statistics_twice():
    """Why it is not used. Where this fails Keras may have become right, and `recompute` can be its scope."""

    def model(mode):
        keras.utils.set_random_seed(1)
        with keras.RematScope(mode=mode):
            inputs = keras.Input((8, 8, 3))
            x = keras.layers.BatchNormalization(momentum=0.5, name="norm")(keras.layers.Conv2D(4, 3)(inputs))
            return keras.Model(inputs, keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(x)))

    with pytest.raises(ValueError, match="keywords arguments only when eager"):
        trained(model("full"), False)
    statistics = []
    for mode in (None, "full"):
        one = model(mode)
        trained(one, False, run_eagerly=True, steps=1)
        statistics.append(one.get_layer("norm").moving_variance.numpy())
    assert np.abs(statistics[0] - statistics[1]).max() > 1e-3


@pytest.mark.after
def test_a_run_on_two_devices_at_two_sizes_is_the_same(train, tmp_path, same_history):
    def build():
        return residual(side=8, channels=1, classes=10)

    for name, again in (("plain", False), ("again", True)):
        train(
            tmp_path / name, build=build, epochs=2, batch_size=32, recompute=again, progressive=(4, 8),
            strategy="mirrored", virtual_devices=2, warmup_epochs=0.0,
        )  # fmt: skip
    same_history(tmp_path / "plain" / "history.csv", tmp_path / "again" / "history.csv")
