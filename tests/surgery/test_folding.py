import keras
import numpy as np
import pytest
from serving_nets import conv_bn, randomize, small_net

from kerascnn.layers import BatchNormalization, Conv2D, DepthwiseConv2D
from kerascnn.surgery.folding import float32_copy, fold_batch_norm


def norms(model):
    return [layer.name for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]


def outputs(model, seed=1):
    images = np.random.default_rng(seed).normal(size=(3, *model.input_shape[1:])).astype("float32")
    return np.asarray(model(images, training=False))


def build(make, shape=(8, 8, 6)):
    inputs = keras.Input(shape)
    return randomize(keras.Model(inputs, make(inputs)))


def same(model, copy):
    np.testing.assert_allclose(outputs(copy), outputs(model), rtol=1e-4, atol=1e-5)


def test_everything_foldable_is_folded_and_the_rest_stays():
    model = small_net()
    weights = model.get_weights()
    copy, folded = fold_batch_norm(model)
    assert folded == 4 and norms(copy) == ["preactivation"]
    assert copy.get_layer("grouped").groups == 4 and copy.get_layer("grouped").use_bias
    same(model, copy)
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("padding", ["same", "valid", 1, ((2, 0), (1, 3))])
def test_zero_padding_does_not_disturb_folding(padding):
    model = build(lambda x: conv_bn(x, 4, Conv2D, groups=2, strides=2, padding=padding))
    copy, folded = fold_batch_norm(model)
    assert folded == 1
    same(model, copy)


def test_a_depthwise_convolution_with_explicit_padding_absorbs_its_norm():
    def net(x):
        x = DepthwiseConv2D(3, strides=2, padding=1, depth_multiplier=2, use_bias=False)(x)
        return keras.layers.BatchNormalization()(x)

    model = build(net)
    copy, folded = fold_batch_norm(model)
    assert folded == 1
    same(model, copy)


def shared_convolution(x):
    conv, norm = keras.layers.Conv2D(6, 1), keras.layers.BatchNormalization()
    return conv(norm(conv(x)))


def shared_norm(x):
    norm = keras.layers.BatchNormalization()
    return norm(keras.layers.Conv2D(6, 1)(norm(keras.layers.Conv2D(6, 1)(x))))


def two_readers(x):
    x = keras.layers.Conv2D(6, 1)(x)
    return keras.layers.Add()([x, keras.layers.BatchNormalization()(x)])


def read_by_the_output(x):
    x = keras.layers.Conv2D(6, 1)(x)
    return [x, keras.layers.BatchNormalization()(x)]


def activation_between(x):
    return keras.layers.BatchNormalization()(keras.layers.Conv2D(6, 1, activation="relu")(x))


def other_axis(x):
    return keras.layers.BatchNormalization(axis=1)(keras.layers.Conv2D(6, 1)(x))


class Standardized(keras.layers.Conv2D):
    """Not linear in its kernel."""

    def convolution_op(self, inputs, kernel):
        return super().convolution_op(inputs, kernel / keras.ops.std(kernel))


def subclass(x):
    return keras.layers.BatchNormalization()(Standardized(6, 1)(x))


@pytest.mark.parametrize(
    "make",
    [shared_convolution, shared_norm, two_readers, read_by_the_output, activation_between, other_axis, subclass],
)
def test_what_cannot_be_folded_exactly_stays(make):
    model = build(make)
    copy, folded = fold_batch_norm(model)
    assert folded == 0 and norms(copy)
    images = np.random.default_rng(1).normal(size=(2, 8, 8, 6)).astype("float32")
    answers = (keras.tree.flatten(network(images, training=False)) for network in (copy, model))
    for got, expected in zip(*answers, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_a_norm_that_always_uses_batch_statistics_stays():
    model = build(lambda x: keras.layers.BatchNormalization()(keras.layers.Conv2D(6, 1)(x), training=True))
    copy, folded = fold_batch_norm(model)
    assert folded == 0
    same(model, copy)


@pytest.mark.parametrize("kind", [keras.layers.BatchNormalization, BatchNormalization])
def test_both_kinds_of_norm_are_folded(kind):
    model = build(lambda x: kind()(keras.layers.Conv2D(4, 3)(kind()(x))))
    copy, folded = fold_batch_norm(model)
    assert folded == 1 and type(copy.layers[1]) is kind
    same(model, copy)


def test_models_inside_models_and_sequential_models():
    inner = build(lambda x: conv_bn(x, 6))
    outer = build(lambda x: conv_bn(inner(conv_bn(x, 6)), 2))
    stack = keras.Sequential([keras.Input((8, 8, 6)), keras.layers.Conv2D(3, 2), keras.layers.BatchNormalization()])
    for model, count in ((outer, 3), (randomize(stack), 1)):
        copy, folded = fold_batch_norm(model)
        assert folded == count and not norms(copy)
        same(model, copy)


def test_compiled_models_and_operations_without_layers():
    model = build(lambda x: keras.ops.relu(conv_bn(x, 4)) * 2.0 + 1.0)
    model.compile("sgd", loss="mse")
    copy, folded = fold_batch_norm(model)
    assert folded == 1 and not copy.compiled
    same(model, copy)


def test_mixed_precision_becomes_float32():
    mixed = small_net(dtype="mixed_bfloat16")
    assert any(layer.compute_dtype == "bfloat16" for layer in mixed.layers)
    whole = small_net()  # the same weights, by the same seed
    for copy in (float32_copy(mixed), fold_batch_norm(mixed)[0]):
        assert {layer.compute_dtype for layer in copy.layers} == {"float32"}
        np.testing.assert_allclose(outputs(copy), outputs(whole), rtol=1e-4, atol=1e-6)
    assert float32_copy(whole) is whole
