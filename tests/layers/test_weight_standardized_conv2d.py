"""WeightStandardizedConv2D: the formula, groups and stride, and what every convolution layer promises."""

import keras
import layer_checks
import numpy as np
import pytest

from kerascnn import analysis, layers


@pytest.mark.parametrize("groups, bias", [(1, False), (2, True)])
def test_is_a_convolution_with_standardized_filters(groups, bias):
    layer = layers.WeightStandardizedConv2D(6, 3, 2, 1, groups=groups, use_bias=bias, bias_initializer="random_normal")
    plain = layers.Conv2D(6, 3, 2, 1, groups=groups, use_bias=bias)
    x = layer_checks.images(2, 7, 9, 4)
    y = layer(x)
    plain.build(x.shape)
    kernel, *rest = layer.get_weights()
    standard = (kernel - kernel.mean((0, 1, 2))) / np.sqrt(kernel.var((0, 1, 2)) + 1e-10)
    plain.set_weights([standard, *rest])
    np.testing.assert_allclose(y, plain(x), rtol=1e-5, atol=1e-5)


def test_the_scale_of_the_filters_does_not_matter():
    layer = layers.WeightStandardizedConv2D(4, 3, padding="same", use_bias=False, dtype="mixed_float16")
    x = layer_checks.images(1, 6, 6, 5).astype("float16")
    y = np.array(layer(x), "float32")
    layer.set_weights([1e-3 * layer.get_weights()[0] + 1])  # in float16 little would be left of the differences
    np.testing.assert_allclose(np.array(layer(x), "float32"), y, rtol=0.02, atol=0.05)


@pytest.mark.parametrize("policy", layer_checks.POLICIES)
def test_trains(policy):
    def make():
        return [layers.WeightStandardizedConv2D(8, 3, 2, 1, groups=2, activation="relu")]

    layer_checks.check_training(make, (8, 8, 4), policy)


def test_trains_by_xla():
    layer_checks.check_training_by_xla(layers.WeightStandardizedConv2D(3, 3, padding="same"), (6, 6, 3))


def test_saves_and_exports(tmp_path):
    conv = layers.WeightStandardizedConv2D(4, 3, 2, 1, epsilon=1e-5, use_bias=False)
    layer_checks.check_round_trip([conv], (8, 8, 3), tmp_path)
    layer_checks.check_export(layers.WeightStandardizedConv2D(4, 3, padding=1), 3, tmp_path)


def test_costs_what_a_convolution_costs():
    def cost(layer):
        return analysis.count(layer_checks.stacked([layer], (16, 16, 4)))

    arguments = {"filters": 8, "kernel_size": 3, "padding": "same", "groups": 2}
    ours, plain = cost(layers.WeightStandardizedConv2D(**arguments)), cost(keras.layers.Conv2D(**arguments))
    assert not ours.unknown and (ours.macs, ours.params_trainable) == (plain.macs, plain.params_trainable)
