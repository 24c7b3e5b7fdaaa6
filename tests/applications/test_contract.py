"""What every network promises, checked over the registry; the smallest of each family by default, all when slow."""

import inspect
import json
import math
from pathlib import Path

import keras
import numpy as np
import pytest
import selection
import tensorflow as tf
from training_check import loss_falls

from kerascnn import applications
from kerascnn._errors import InputError

PUBLISHED = json.loads((Path(__file__).parents[1] / "golden/published.json").read_text(encoding="utf-8"))

# Token mixing ends in a bias that moves all channels of a token alike, which every later layer norm takes out again.
INVISIBLE = {"mixer": "_tokens2/bias"}


def gradients_reach_every_weight(model, golden, x, weigh, family):
    """The outputs, as a list, for seeded weights, after asserting that every trainable weight changes them.

    The few channels of a narrow layer may all be negative, and so dead, for one draw of the weights: two are made then.
    """
    dead = {weight.path for weight in model.trainable_weights}
    for draw in range(2):
        golden.seed_weights(model, draw)
        with tf.GradientTape() as tape:
            outputs = tf.nest.flatten(model(x, training=False))  # batch norm in training mode would cancel biases
            loss = sum(tf.reduce_sum(output * weigh) for output in outputs)
        gradients = tape.gradient(loss, [w.value for w in model.trainable_weights])
        for weight, gradient in zip(model.trainable_weights, gradients, strict=True):
            assert gradient is not None, f"no gradient reaches {weight.path}"
            largest = float(tf.reduce_max(tf.abs(gradient)))
            assert np.isfinite(largest), f"{weight.path}: {largest}"
            if largest > 0:
                dead.discard(weight.path)
        if not dead:
            break
    assert [path for path in dead if not path.endswith(INVISIBLE.get(family, ()))] == []
    return outputs


def odd_size(info):
    """An odd size where the network takes one, else its smallest."""
    size = max(17, info.min_size | 1)
    return size if size % info.size_multiple == 0 else -(-info.min_size // info.size_multiple) * info.size_multiple


def test_trains_and_comes_back_from_a_file(network, golden, tmp_path):
    """One channel, an odd size, seven classes, logits: gradients reach every weight, and a file gives it back."""
    info = applications.model_info(network)
    size = odd_size(info)
    options = {"input_shape": (size, size, 1), "classes": 7, "classifier_activation": None}
    model = applications.create_model(network, **options)
    x = np.random.default_rng(1).standard_normal((2, size, size, 1)).astype("float32")
    weigh = np.random.default_rng(2).standard_normal((2, 7)).astype("float32")
    weigh = weigh if info.task == "classification" else weigh[:, None, None]
    (logits,) = gradients_reach_every_weight(model, golden, x, weigh, info.family)
    assert logits.shape == ((2, 7) if info.task == "classification" else (2, size, size, 7))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    spread = np.std(logits)
    np.testing.assert_allclose(again(x, training=False), logits, rtol=1e-5, atol=1e-5 * spread)


def test_stage_outputs(network, golden, without_values):
    info = applications.model_info(network)
    size = info.input_shape[0] if info.known_size else None
    with without_values:
        model = applications.create_model(network, features_only=True, input_shape=(size, size, 4))
    usual = [1, 2, 4] if info.input_shape[0] <= 64 else [4, 8, 16, 32]
    assert model.feature_strides == PUBLISHED[network].get("strides", usual)
    shapes = model.output_shape if size else model.compute_output_shape((1, 512, 512, 4))
    for stride, shape in zip(model.feature_strides, shapes, strict=True):
        places = ((size or 512) + PUBLISHED[network].get("border", 0)) / stride
        assert places / 1.2 < shape[1] <= math.ceil(places)  # windows without padding lose the border
    assert [shape[3] for shape in shapes] == [stage[2] for stage in golden.read()[network]["stages"]]


def with_auxiliary_heads():
    """The networks whose builders have the option; all but the cheapest of a group for small images are slow tests."""
    infos = [applications.model_info(name) for name in applications.list_models()]
    infos = [i for i in infos if "auxiliary_heads" in inspect.signature(getattr(applications, i.builder)).parameters]
    quick = {}
    for info in sorted(infos, key=lambda info: info.macs or 0):
        if info.input_shape[0] <= 64 and selection.group(info.family) != "cells":  # theirs take a minute
            quick.setdefault(selection.group(info.family), info.name)
    return [pytest.param(i.name, marks=[pytest.mark.slow] * (i.name not in quick.values())) for i in infos]


@pytest.mark.parametrize("name", with_auxiliary_heads())
def test_auxiliary_heads(name, golden, without_values, tmp_path):
    """Gradients reach every weight of all heads, a file gives them back, and all are float32 in mixed precision."""
    info = applications.model_info(name)
    *size, channels = info.input_shape
    if info.task == "segmentation":  # the heads take any size
        size = 2 * [odd_size(info)]
    model = applications.create_model(
        name, auxiliary_heads=True, classifier_activation=None, input_shape=(*size, channels)
    )
    with without_values:
        plain = applications.create_model(name, input_shape=(*size, channels))
    assert len(model.weights) > len(plain.weights) and model.output_shape == plain.output_shape
    x = np.random.default_rng(1).standard_normal((2, *size, channels)).astype("float32")
    weigh = np.random.default_rng(2).standard_normal((2, info.classes)).astype("float32")
    weigh = weigh if info.task == "classification" else weigh[:, None, None]
    outputs = gradients_reach_every_weight(model.training_graph, golden, x, weigh, info.family)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for ours, theirs in zip(outputs, again.training_graph(x, training=False), strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-5 * np.std(ours))
    keras.config.set_dtype_policy("mixed_float16")
    with without_values:
        mixed = applications.create_model(name, auxiliary_heads=True)
    assert {output.dtype for output in mixed.training_graph.outputs} == {"float32"}


@pytest.mark.after
def test_the_loss_falls(network):
    loss_falls(network)


@pytest.mark.slow  # by code that all share, which test_build.py tests on one network
def test_without_the_head(network, golden, without_values):
    channels = golden.read()[network]["stages"][-1][2]
    info = applications.model_info(network)
    image = keras.Input((*info.input_shape[:2], 3) if info.known_size else (None, None, 3))
    with without_values:
        model = applications.create_model(network, include_top=False, pooling="avg", input_tensor=image)
    assert model.output.shape == (None, channels)
    assert model.input is image


def test_mixed_precision_ends_in_float32(network, without_values):
    keras.config.set_dtype_policy("mixed_float16")
    info = applications.model_info(network)
    with without_values:
        model = applications.create_model(network)
    assert model.output.dtype == "float32"
    assert model.output.shape[-1] == info.classes
    assert len(model.output.shape) == (2 if info.task == "classification" else 4)
    assert "float16" in {layer.compute_dtype for layer in model.layers}
    assert {w.dtype for w in model.weights} == {"float32"}


def test_inputs_of_a_wrong_size_are_refused(network):
    info = applications.model_info(network)
    size = info.min_size - 1
    with pytest.raises(InputError, match="at least"):
        applications.create_model(network, input_shape=(size, size, 3))
    if info.size_multiple > 1:
        size = info.input_shape[0] + 1
        with pytest.raises(InputError, match=f"multiples of {info.size_multiple}"):
            applications.create_model(network, input_shape=(size, size, 3))
    if info.known_size:
        with pytest.raises(InputError, match="known size"):
            applications.create_model(network, input_shape=(None, None, 3))
