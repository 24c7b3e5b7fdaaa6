"""What every network promises, checked over the registry; the smallest of each family by default, all when slow."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn import applications
from kerascnn._errors import InputError

STRIDES = {  # input size / size of each stage output
    "lenet5": [2, 4, 4],
    "lenet5_1998": [2, 4, 4],
    "alexnet_cifar10": [1, 2, 4],
    "alexnet": [8, 16, 32],
    "alexnet_2012": [8, 16, 32],
    "alexnet_ungrouped": [8, 16, 32],
    **{f"resnetv2_{depth}_keras": [8, 16, 32, 32] for depth in (50, 101, 152)},  # the last block of a stage strides
    **{f"simplenet_{net}": [1, 2, 4, 8, 16] for net in ("5m", "310k", "460k", "cifar_5m", "cifar_310k", "cifar_460k")},
    "simplenet_cifar_5m_extra_pool": [1, 2, 4, 8, 16, 32],
    **{
        f"simplenetv1_{size}_m{mode}{scale}": [8, 16, 32]
        for size, scale in [("small", "_05"), ("small", "_075"), ("5m", ""), ("9m", "")]
        for mode in (1, 2)
    },
}


def odd_size(info):
    return max(17, info.min_size | 1)


def test_trains_and_comes_back_from_a_file(network, golden, tmp_path):
    """One channel, an odd size, seven classes, logits: gradients reach every weight, and a file gives it back."""
    info = applications.model_info(network)
    size = odd_size(info)
    options = {"input_shape": (size, size, 1), "classes": 7, "classifier_activation": None}
    model = applications.create_model(network, **options)
    golden.seed_weights(model)
    x = np.random.default_rng(1).standard_normal((2, size, size, 1)).astype("float32")
    weigh = np.random.default_rng(2).standard_normal((2, 7)).astype("float32")
    with tf.GradientTape() as tape:
        logits = model(x, training=False)  # batch norm in training mode would cancel biases before it
        loss = tf.reduce_sum(logits * weigh)
    assert logits.shape == (2, 7)
    gradients = tape.gradient(loss, [w.value for w in model.trainable_weights])
    for weight, gradient in zip(model.trainable_weights, gradients, strict=True):
        assert gradient is not None, f"no gradient reaches {weight.path}"
        largest = float(tf.reduce_max(tf.abs(gradient)))
        assert np.isfinite(largest) and largest > 0, f"{weight.path}: {largest}"
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    spread = np.std(logits)
    np.testing.assert_allclose(again(x, training=False), logits, rtol=1e-5, atol=1e-5 * spread)


def test_stage_outputs(network, golden):
    info = applications.model_info(network)
    model = applications.create_model(network, features_only=True, input_shape=(None, None, 4))
    small = info.input_shape[0] <= 64
    assert model.feature_strides == STRIDES.get(network, [1, 2, 4] if small else [4, 8, 16, 32])
    shapes = model.compute_output_shape((1, 256, 256, 4))
    for stride, shape in zip(model.feature_strides, shapes, strict=True):
        assert 256 / stride / 1.2 < shape[1] <= 256 / stride  # windows without padding lose the border
    assert [shape[3] for shape in shapes] == [stage[2] for stage in golden.read()[network]["stages"]]


@pytest.mark.slow  # by code that all share, which test_build.py tests on one network
def test_without_the_head(network, golden):
    channels = golden.read()[network]["stages"][-1][2]
    image = keras.Input((None, None, 3))
    model = applications.create_model(network, include_top=False, pooling="avg", input_tensor=image)
    assert model.output.shape == (None, channels)
    assert model.input is image


def test_mixed_precision_ends_in_float32(network):
    keras.config.set_dtype_policy("mixed_float16")
    info = applications.model_info(network)
    model = applications.create_model(network)
    assert model.output.dtype == "float32"
    assert model.output.shape == (None, info.classes)
    assert "float16" in {layer.compute_dtype for layer in model.layers}
    assert {w.dtype for w in model.weights} == {"float32"}


def test_too_small_an_input_is_refused(network):
    size = applications.model_info(network).min_size - 1
    with pytest.raises(InputError, match="at least"):
        applications.create_model(network, input_shape=(size, size, 3))
