"""kerascnn.layers.Conv2D: equal to Keras' layer where that exists, and what it adds."""

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
from kerascnn.layers import Conv2D
from kerascnn.ops import _native, native
from kerascnn.ops.convolution import reference


@pytest.mark.parametrize("padding", ("same", "valid"))
@pytest.mark.parametrize(("strides", "dilation_rate"), [(1, 1), (2, 1), ((1, 2), 1), (1, 2), (1, (3, 2))])
def test_equals_keras_without_groups(padding, strides, dilation_rate):
    options = dict(strides=strides, padding=padding, dilation_rate=dilation_rate, activation="relu")
    x = images(2, 9, 11, 4)
    theirs, ours = keras.layers.Conv2D(6, 3, **options), Conv2D(6, 3, **options)
    expected = theirs(x)
    ours.build(x.shape)
    ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(ours(x), expected, atol=1e-5)
    assert ours.compute_output_shape(x.shape) == theirs.compute_output_shape(x.shape) == expected.shape
    assert {**ours.get_config(), "name": ""} == {**theirs.get_config(), "name": ""}


@pytest.mark.parametrize("padding", ("same", 1, ((2, 0), (1, 3))))
def test_groups_stride_and_dilation_together(padding):
    layer = Conv2D(8, (3, 2), strides=2, padding=padding, dilation_rate=2, groups=4)
    x = images(2, 9, 8, 8)
    y = layer(x)
    expected = reference(tf.constant(x), layer.kernel.value, 2, layer.padding, 2, 4) + layer.bias.value
    np.testing.assert_allclose(y, expected, atol=1e-5)
    assert layer.compute_output_shape(x.shape) == tuple(y.shape)
    symbolic = layer(keras.Input((None, None, 8)))
    assert symbolic.shape == (None, None, None, 8)


def test_round_trips(tmp_path):
    first = Conv2D(8, 3, padding=((1, 0), (0, 1)), groups=4, use_bias=False, kernel_initializer="he_normal")
    second = Conv2D(4, 3, strides=2, padding=1, dilation_rate=2, activation="relu")
    check_round_trip([first, second], (9, 9, 8), tmp_path)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("mode", ("auto", "off"))
def test_trains_under_every_policy(policy, mode):
    def layers():
        yield Conv2D(8, 3, padding=1, groups=4, activation="relu")
        yield Conv2D(8, 3, strides=2, padding=1, dilation_rate=2, groups=2)

    check_training(layers, (8, 8, 8), policy, mode)


def test_trains_when_compiled_by_xla():
    check_training_by_xla(Conv2D(8, 3, padding=1, groups=4), (6, 6, 8))


def test_exports_stock_ops_only(tmp_path):
    layer = Conv2D(8, 3, strides=2, padding=1, dilation_rate=2, groups=4)
    assert b"Conv2D" in check_export(layer, 8, tmp_path)


def test_same_values_natively_and_not():
    if not _native.register():
        pytest.skip("the native library is not built here")
    layer, x = Conv2D(16, 3, strides=2, padding=1, groups=4), images(2, 9, 9, 16)
    layer.build(x.shape)
    with native("require"):
        ours = layer(x)
    with native("off"):
        np.testing.assert_allclose(layer(x), ours, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data_format": "channels_first"}, '`data_format` must be "channels_last".*channels_first'),
        ({"padding": "causal"}, "`padding` must be.*causal"),
        ({"padding": ((1, 1), (1, -1))}, "`padding` must be"),
        ({"strides": 0}, "`strides` must be"),
        ({"dilation_rate": (1, 2, 3)}, "`dilation_rate` must be"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        Conv2D(4, 3, **options)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="evenly divisible"):
        Conv2D(8, 3, groups=4).build((None, 8, 8, 6))
    with pytest.raises(InputError, match="must fit into the padded input"):
        Conv2D(8, 5, padding=1).build((None, 2, 8, 6))
    with pytest.raises(ValueError, match="ndim"):
        Conv2D(8, 3)(images(4, 4, 3))
