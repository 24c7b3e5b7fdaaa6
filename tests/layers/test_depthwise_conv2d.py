"""kerascnn.layers.DepthwiseConv2D: equal to Keras' layer where that exists, and what it adds."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_checks import (
    POLICIES,
    check_export,
    check_round_trip,
    check_training,
    check_training_by_xla,
    images,
)

from kerascnn._errors import InputError
from kerascnn.layers import DepthwiseConv2D
from kerascnn.ops import _native, native
from kerascnn.ops.convolution import reference


def value_and_gradients(layer, x):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        loss = tf.reduce_sum(
            y * tf.reshape(tf.range(tf.size(y), dtype=y.dtype), y.shape) / tf.cast(tf.size(y), y.dtype)
        )
    return (y, *tape.gradient(loss, [x, *(weight.value for weight in layer.trainable_weights)]))


@pytest.mark.parametrize("mode", ("auto", "off"))
@pytest.mark.parametrize("padding", ("same", "valid"))
@pytest.mark.parametrize(("strides", "dilation_rate", "multiplier"), [(1, 1, 1), (2, 1, 1), (1, 2, 1), (2, 1, 2)])
def test_equals_keras(mode, padding, strides, dilation_rate, multiplier):
    options = dict(strides=strides, padding=padding, dilation_rate=dilation_rate, depth_multiplier=multiplier)
    x = images(2, 9, 11, 5)
    theirs, ours = keras.layers.DepthwiseConv2D(3, **options), DepthwiseConv2D(3, **options)
    for layer in (theirs, ours):
        layer.build(x.shape)
    ours.set_weights([images(*weight.shape, seed=1) for weight in theirs.get_weights()])
    theirs.set_weights(ours.get_weights())
    with native(mode):
        results = value_and_gradients(ours, x)
    for a, b in zip(results, value_and_gradients(theirs, x), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert ours.compute_output_shape(x.shape) == theirs.compute_output_shape(x.shape) == results[0].shape
    assert {**ours.get_config(), "name": ""} == {**theirs.get_config(), "name": ""}


@pytest.mark.parametrize("padding", ("same", 1, ((2, 0), (1, 3))))
def test_stride_and_dilation_together(padding):
    layer = DepthwiseConv2D((3, 2), strides=(2, 3), padding=padding, dilation_rate=2, depth_multiplier=3)
    x = images(2, 9, 8, 4)
    y = layer(x)
    kernel = tf.reshape(layer.kernel.value, (3, 2, 1, 12))
    expected = reference(tf.constant(x), kernel, (2, 3), layer.padding, 2, 4) + layer.bias.value
    np.testing.assert_allclose(y, expected, atol=1e-5)
    assert layer.compute_output_shape(x.shape) == tuple(y.shape)
    assert layer(keras.Input((None, None, 4))).shape == (None, None, None, 12)


def test_round_trips(tmp_path):
    first = DepthwiseConv2D(3, padding=((1, 0), (0, 1)), depth_multiplier=2, use_bias=False)
    second = DepthwiseConv2D(3, strides=2, padding=1, dilation_rate=2, activation="relu", depthwise_regularizer="l2")
    check_round_trip([first, second], (9, 9, 4), tmp_path)


@pytest.mark.parametrize("policy", POLICIES)
def test_trains_under_every_policy(policy):
    def layers():
        yield DepthwiseConv2D(3, padding=1, activation="relu")
        yield DepthwiseConv2D(3, strides=2, padding=1, dilation_rate=2)

    check_training(layers, (8, 8, 8), policy)


def test_trains_when_compiled_by_xla():
    check_training_by_xla(DepthwiseConv2D(3, padding=1), (6, 6, 8))


def test_exports_stock_ops_only(tmp_path):
    check_export(DepthwiseConv2D(3, strides=2, padding=1, dilation_rate=2), 8, tmp_path)


@pytest.mark.parametrize("dtype", ("float16", "bfloat16", "float32", "float64"))
def test_native_is_as_exact_as_the_type_allows(dtype):
    if not _native.register():
        pytest.skip("the native library is not built here")
    layer, x = DepthwiseConv2D(5, strides=2, padding=2, use_bias=False, dtype=dtype), images(2, 9, 19, 17)
    layer.build(x.shape)
    x = tf.cast(x, dtype)
    kernel = tf.reshape(layer.kernel.value, (5, 5, 1, 17))
    op = _native.loaded().kerascnn_conv2d

    def of(function, *tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            y = function(*tensors)
        return [tf.cast(t, tf.float64).numpy() for t in (y, *tape.gradient(y, tensors))]

    def plain(x, w):
        return reference(x, w, 2, 2, 1, 17)

    def ours(x, w):
        return op(x=x, filters=w, strides=(2, 2), padding="EXPLICIT", explicit_padding=[2] * 4)

    exact = of(plain, tf.cast(x, tf.float64), tf.cast(kernel, tf.float64))
    unit = {"float16": 2**-11, "bfloat16": 2**-8, "float32": 2**-21, "float64": 2**-50}[dtype]
    for a, b, truth in zip(of(ours, x, kernel), of(plain, x, kernel), exact, strict=True):
        assert np.abs(a - truth).max() <= 2 * np.abs(b - truth).max() + unit * np.abs(truth).max()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data_format": "channels_first"}, '`data_format` must be "channels_last".*channels_first'),
        ({"padding": "causal"}, "`padding` must be.*causal"),
        ({"padding": ((1, 1), (1, -1))}, "`padding` must be"),
        ({"strides": 0}, "`strides` must be"),
        ({"dilation_rate": (1, 2, 3)}, "`dilation_rate` must be"),
        ({"depth_multiplier": 0}, "`depth_multiplier` must be.*depth_multiplier=0"),
        ({"depth_multiplier": None}, "`depth_multiplier` must be.*None"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        DepthwiseConv2D(3, **options)


def test_wrong_shapes_are_refused():
    with pytest.raises(InputError, match="must fit into the padded input"):
        DepthwiseConv2D(5, padding=1).build((None, 2, 8, 6))
    with pytest.raises(ValueError, match="ndim"):
        DepthwiseConv2D(3)(images(4, 4, 3))
