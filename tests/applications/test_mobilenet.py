"""MobileNet, version 1: rounding of widths, the two paddings, dilation and initial weights."""

import keras
import numpy as np
import pytest

from kerascnn import applications
from kerascnn._errors import InputError


@pytest.mark.parametrize(
    ("name", "widths"), [("tf_mobilenetv1_075_128", (24, 48, 768)), ("mobilenetv1_100", (32, 64, 1024))]
)
def test_widths(name, widths):
    model = applications.create_model(name, include_top=False)
    layers = ("stem_conv", "stage1_block1_conv2", "stage5_block2_conv2")
    assert tuple(model.get_layer(layer).filters for layer in layers) == widths


def test_tensorflow_pads_even_maps_on_one_side():
    """The first output of a strided window over ones tells how many taps fell on the border."""
    for name, taps in [("tf_mobilenetv1_025_128", 9), ("mobilenetv1_100", 4)]:
        model = applications.create_model(name, include_top=False, input_shape=(64, 64, 1))
        stem = model.get_layer("stem_conv")
        stem.kernel.assign(np.ones(stem.kernel.shape))
        assert np.asarray(stem(np.ones((1, 64, 64, 1), "float32")))[0, 0, 0, 0] == taps


def test_output_stride_keeps_maps_large():
    model = applications.create_model("tf_mobilenetv1_025_128", features_only=True, output_stride=8)
    assert model.feature_strides == [2, 4, 8, 8, 8]
    rates = [model.get_layer(f"stage{s}_block{b}_conv1").dilation_rate for s, b in ((4, 1), (4, 2), (5, 1), (5, 2))]
    assert rates == [(1, 1), (2, 2), (2, 2), (4, 4)]


def test_weights_start_as_in_the_authors_code():
    model = applications.create_model("tf_mobilenetv1_100_224")
    kernel = np.asarray(model.get_layer("stage5_block2_conv2").kernel)
    assert np.abs(kernel).max() <= 0.18 + 1e-6 and kernel.std() == pytest.approx(0.09 * 0.88, rel=0.01)
    assert isinstance(model.get_layer("head"), keras.layers.Conv2D)


@pytest.mark.parametrize("alpha", [0.25, 0.33, 0.5, 0.75, 1.0, 1.3])
@pytest.mark.parametrize("depth_multiplier", [1, 2])
def test_alpha_and_depth_multiplier_are_those_of_keras(alpha, depth_multiplier, without_values):
    options = {"alpha": alpha, "depth_multiplier": depth_multiplier, "classes": 7}
    with without_values:
        theirs = keras.applications.MobileNet(weights=None, **options)
        ours = applications.MobileNet(**options)
    assert ours.count_params() == theirs.count_params()
    assert sorted(tuple(w.shape) for w in ours.weights) == sorted(tuple(w.shape) for w in theirs.weights)


@pytest.mark.parametrize("alpha", [0.35, 0.5, 0.56, 1.0, 1.4])
def test_alpha_of_version_2_is_that_of_keras(alpha, without_values):
    with without_values:
        theirs = keras.applications.MobileNetV2(weights=None, alpha=alpha)
        ours = applications.MobileNetV2(alpha=alpha)
    assert ours.count_params() == theirs.count_params()
    assert sorted(tuple(w.shape) for w in ours.weights) == sorted(tuple(w.shape) for w in theirs.weights)


@pytest.mark.parametrize(
    "option, message",
    [
        ({"alpha": 0}, "alpha must be a finite number"),
        ({"alpha": "half"}, "alpha must be a finite number"),
        ({"alpha": 1e-3}, "alpha must leave each convolution a filter"),
        ({"depth_multiplier": 0}, "depth_multiplier must be a whole number, at least 1"),
        ({"depth_multiplier": 1.5}, "depth_multiplier must be a whole number"),
    ],
)
def test_bad_factors_are_refused(option, message):
    with pytest.raises(InputError, match=message):
        applications.MobileNet(**option)
