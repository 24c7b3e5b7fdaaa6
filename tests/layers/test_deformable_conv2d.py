"""DeformableConv2D: starts as a convolution, learns to look elsewhere, saves, exports, every policy."""

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

from kerascnn import ops
from kerascnn._errors import InputError
from kerascnn.layers import Conv2D, DeformableConv2D


@pytest.mark.parametrize("modulated", (True, False))
@pytest.mark.parametrize(("strides", "padding", "groups"), [(1, "same", 1), (2, ((1, 0), (0, 2)), 2)])
def test_starts_as_a_convolution(modulated, strides, padding, groups):
    options = dict(strides=strides, padding=padding, groups=groups, use_bias=False)
    x = images(2, 7, 6, 4)
    plain = Conv2D(6, 3, **options)
    expected = plain(x)
    layer = DeformableConv2D(6, 3, **options, modulated=modulated, offset_groups=2)
    layer.build(x.shape)
    layer.kernel.assign(plain.kernel)
    np.testing.assert_allclose(layer(x), expected / 2 if modulated else expected, atol=1e-5)
    assert layer.compute_output_shape(x.shape) == plain.compute_output_shape(x.shape) == expected.shape
    assert [tuple(weight.shape) for weight in layer.weights[1:]] == [
        (3, 3, 4, 54 if modulated else 36),
        (54 if modulated else 36,),
    ]


def test_offsets_and_masks_come_from_the_second_convolution():
    x = images(1, 5, 5, 4)
    layer = DeformableConv2D(3, 3, padding=1, offset_groups=2, offset_initializer="glorot_uniform", activation="relu")
    y = layer(x)
    made = ops.conv2d(tf.constant(x), layer.offset_kernel.value, 1, 1) + layer.offset_bias.value
    mask = tf.sigmoid(made[..., 36:])
    expected = ops.deform_conv2d(x, layer.kernel.value, made[..., :36], mask, 1, 1, offset_groups=2)
    np.testing.assert_allclose(y, tf.nn.relu(expected + layer.bias.value), atol=1e-5)


@pytest.mark.parametrize("padding", [2, "same", ((2, 3), (2, 2))])
def test_the_second_convolution_may_be_dilated_less(padding):
    x = images(1, 9, 8, 4)
    layer = DeformableConv2D(
        3, 3, 2, padding, dilation_rate=2, modulated=False, offset_initializer="he_normal", offset_dilation_rate=1
    )
    y = layer(x)
    less = padding if padding == "same" else 1 if padding == 2 else ((1, 2), (1, 1))
    offset = ops.conv2d(tf.constant(x), layer.offset_kernel.value, 2, less)
    found, mask = layer.offsets(x)
    np.testing.assert_allclose(found, offset, atol=1e-5)
    assert mask is None and layer.get_config()["offset_dilation_rate"] == (1, 1)
    expected = ops.deform_conv2d(x, layer.kernel.value, offset, None, 2, padding, 2)
    np.testing.assert_allclose(y, expected, atol=1e-4)


@pytest.mark.parametrize("padding, dilation, second", [("valid", 2, 1), (2, 1, 2), (0, 2, 1), ("same", 1, 2)])
def test_a_second_convolution_that_does_not_fit_is_refused(padding, dilation, second):
    with pytest.raises(InputError, match="hold the difference"):
        DeformableConv2D(4, 3, 1, padding, dilation_rate=dilation, offset_dilation_rate=second)


def test_the_second_convolution_may_learn_more_slowly():
    x, gradients = images(2, 6, 6, 3), {}
    for factor in (1, 0.1):
        keras.utils.set_random_seed(0)
        options = {"offset_initializer": "glorot_uniform", "offset_learning_rate": factor}
        layer = DeformableConv2D(4, 3, padding=1, **options)
        with tf.GradientTape() as tape:
            y = layer(x)
            loss = tf.reduce_sum(y**2)
        weights = layer.offset_kernel, layer.offset_bias, layer.kernel
        gradients[factor] = [y, *tape.gradient(loss, [weight.value for weight in weights])]
    scales = [1, 0.1, 0.1, 1]  # of output, offset kernel and bias, kernel
    for scale, plain, slow in zip(scales, gradients[1], gradients[0.1], strict=True):
        assert np.any(plain)
        np.testing.assert_allclose(slow, scale * plain, rtol=1e-5, atol=1e-6)


def test_round_trip(tmp_path):
    layer = DeformableConv2D(
        6, (3, 2), 2, 1, dilation_rate=2, groups=2, offset_groups=4, modulated=False, use_bias=False,
        kernel_initializer="he_normal", kernel_regularizer="l2", offset_initializer=keras.initializers.RandomNormal(),
        offset_regularizer=keras.regularizers.L2(0.1), offset_constraint="max_norm", activation="relu",
    )  # fmt: skip
    assert len(check_round_trip([layer], (7, 7, 4), tmp_path).losses) == 2


@pytest.mark.parametrize(("mode", "policy"), [("auto", policy) for policy in POLICIES] + [("off", "mixed_float16")])
def test_trains_under_every_policy(mode, policy):
    def layers():
        yield DeformableConv2D(4, 2, strides=2, padding="same", activation="relu")

    check_training(layers, (6, 6, 4), policy, mode)


def test_trains_when_compiled_by_xla():
    check_training_by_xla(DeformableConv2D(2, (1, 2), padding="same"), (4, 4, 2))


def test_unknown_extents_and_export(tmp_path):
    assert DeformableConv2D(3, 2, 2, 1)(keras.Input((None, None, 2))).shape == (None, None, None, 3)
    check_export(DeformableConv2D(3, 2, 2, 1), 2, tmp_path)


def test_refusals():
    with pytest.raises(InputError, match="`offset_groups` must be a whole number of at least 1"):
        DeformableConv2D(4, 3, offset_groups=0)
    with pytest.raises(InputError, match="`offset_groups` must divide the input channels"):
        DeformableConv2D(4, 3, offset_groups=3).build((None, 8, 8, 4))
    with pytest.raises(InputError, match=r"`offset_learning_rate` must be in \(0, 1\]. Received: 0"):
        DeformableConv2D(4, 3, offset_learning_rate=0)
    with pytest.raises(InputError, match='must be "channels_last"'):
        DeformableConv2D(4, 3, data_format="channels_first")
