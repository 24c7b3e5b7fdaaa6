"""Low-rank adapters are merged exactly, quantized layers refused in one line: in folding, in sliding, everywhere."""

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn import analysis, layers, weights
from kerascnn._errors import InputError
from kerascnn.surgery.adapters import merged_weights
from kerascnn.surgery.folding import float32_copy, fold_batch_norm

L = keras.layers
IMAGES = np.random.default_rng(3).normal(size=(2, 8, 8, 2)).astype("float32")


def net():
    """Every kind of layer that takes an adapter, some with a batch norm to be folded."""
    x = image = keras.Input((8, 8, 2))
    x = L.BatchNormalization()(L.Conv2D(4, 3, padding="same", name="conv")(x))
    x = L.ReLU()(L.BatchNormalization()(layers.Conv2D(4, 3, padding=1, groups=2, name="own")(x)))
    x = L.Flatten()(L.AveragePooling2D(4)(x))
    x = L.BatchNormalization()(L.Dense(5, use_bias=False, name="dense")(x))
    x = L.ReLU()(x)
    return keras.Model(image, L.Dense(3, "softmax", name="head")(x))


def drawn(model, seed=1):
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if "seed" not in weight.name:
            weight.assign(
                rng.uniform(0.5, 1.5, weight.shape) if len(weight.shape) == 1 else rng.normal(0, 0.4, weight.shape)
            )
    return model


def adapted(model, *names, **options):
    for name in names:
        model.get_layer(name).enable_lora(2, **options)
    return drawn(model)


@pytest.mark.parametrize("alpha", [None, 5])
def test_adapters_are_merged_when_batch_norms_are_folded(alpha):
    model = adapted(net(), "conv", "own", "dense", "head", lora_alpha=alpha)
    copy, folded = fold_batch_norm(model)
    assert folded == 3 and not [w.name for w in copy.weights if "lora" in w.name]
    np.testing.assert_allclose(copy(IMAGES), model(IMAGES), rtol=1e-4, atol=1e-6)
    assert [w.name for w in model.get_layer("head").weights] == ["kernel", "bias", "lora_kernel_a", "lora_kernel_b"]


def test_adapters_are_merged_when_a_classifier_slides():
    model = adapted(net(), "conv", "dense")
    slides = kerascnn.fully_convolutional(model)
    assert not [w.name for w in slides.weights if "lora" in w.name]
    np.testing.assert_allclose(slides(IMAGES)[:, 0, 0], model(IMAGES), rtol=1e-4, atol=1e-6)


def wrapped():
    inner = L.Dense(3)
    inner.build((None, 5))
    inner.enable_lora(2)
    return L.TimeDistributed(inner)


def attention():
    layer = L.MultiHeadAttention(2, 3)
    layer.build((None, 4, 5), (None, 4, 5))
    layer.query_dense.enable_lora(2)
    return lambda x: layer(x, x)


def einsum():
    layer = L.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d")
    layer.build((None, 4, 5))
    layer.enable_lora(2)
    return layer


def convolution_1d():
    layer = L.Conv1D(3, 2)
    layer.build((None, 4, 5))
    layer.enable_lora(2)
    return layer


@pytest.mark.parametrize("make", [wrapped, attention, einsum, convolution_1d])
def test_adapters_inside_other_layers(make):
    image = keras.Input((4, 5))
    model = drawn(keras.Model(image, make()(image)))
    copy, _ = fold_batch_norm(model)
    assert not [w.name for w in copy.weights if "lora" in w.name]
    x = np.random.default_rng(0).normal(size=(2, 4, 5)).astype("float32")
    np.testing.assert_allclose(copy(x), model(x), rtol=1e-4, atol=1e-5)


def test_an_embedding():
    codes = keras.Input((4,), dtype="int32")
    layer = L.Embedding(7, 3)
    layer.build()
    layer.enable_lora(2)
    model = drawn(keras.Model(codes, layer(codes)))
    copy, _ = fold_batch_norm(model)
    x = np.arange(4)[None]
    np.testing.assert_allclose(copy(x), model(x), rtol=1e-5)


def test_merging_is_exact_in_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    layer = L.Dense(3)
    layer.build((None, 4))
    layer.enable_lora(2)
    for weight in layer.weights:
        weight.assign(np.random.default_rng(0).normal(size=weight.shape))
    kernel, _, down, up = (np.asarray(w, "float64") for w in layer.weights)
    np.testing.assert_allclose(merged_weights(layer)[0], kernel + down @ up, rtol=1e-12)


@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_quantized_layers_are_refused_in_one_line(mode):
    model = net()
    model.get_layer("dense").quantize(mode)
    for step in (fold_batch_norm, float32_copy, kerascnn.fully_convolutional):
        with pytest.raises(
            InputError, match=rf"before a model is quantized. Received: dense \(Dense\) in {mode}$"
        ) as caught:
            step(model)
        assert "\n" not in str(caught.value)


def test_quantized_layers_are_found_in_models_inside():
    inner = keras.Sequential([keras.Input((8, 8, 2)), L.Flatten(), L.Dense(3, name="deep")])
    inner.layers[-1].quantize("int8")
    with pytest.raises(InputError, match="deep"):
        fold_batch_norm(keras.Sequential([keras.Input((8, 8, 2)), L.ReLU(), inner]))


@pytest.mark.parametrize(
    "change", [lambda x: x.enable_lora(2), *(lambda x, m=m: x.quantize(m) for m in ("int8", "int4", "float8"))]
)
def test_what_a_network_costs_and_sees_is_the_same(change):
    model = net()
    before, field = analysis.count(model), analysis.receptive_field(model)
    change(model.get_layer("dense"))
    after = analysis.count(model)
    assert after.macs == before.macs and not after.unknown
    assert analysis.receptive_field(model) == field
    assert after.params_trainable + after.params_other == sum(int(np.prod(w.shape)) for w in model.weights)


@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_drawing_weights_of_quantized_layers_is_refused(mode):
    model = net()
    model.get_layer("dense").quantize(mode)
    with pytest.raises(InputError, match="quantized"):
        weights.initialize(model, "he")
    with pytest.raises(InputError, match="quantized"):
        weights.copy_weights(net(), model)


def test_drawing_weights_of_adapted_layers():
    model = adapted(net(), "dense", "conv")
    weights.initialize(model, "he", seed=0)
    plain = net()
    weights.initialize(plain, "he", seed=0)
    for name in ("conv", "dense"):
        np.testing.assert_array_equal(model.get_layer(name).kernel, plain.get_layer(name).kernel)
    divided = weights.lsuv(drawn(model), IMAGES, seed=0)
    assert set(divided) == {"conv", "own", "dense", "head"}
    copied = weights.copy_weights(model, plain)
    assert "dense/kernel" in copied
    np.testing.assert_allclose(plain.get_layer("dense").kernel, model.get_layer("dense").kernel, rtol=1e-6)
