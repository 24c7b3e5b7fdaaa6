"""The encoder block: order of its layers, names, options, parameters."""

import keras
import numpy as np
import pytest

from kerascnn import layers
from kerascnn.blocks import transformer


def build(rate=0.0, **options):
    x = keras.Input((5, 8))
    return keras.Model(x, transformer.encoder_block(x, transformer.Encoder(2, **options), rate, name="block1"))


def test_layers_and_parameters():
    model = build()
    names = [layer.name.removeprefix("block1_") for layer in model.layers[1:]]
    attention = ["norm1", "qkv", "attention", "proj", "attention_add"]
    assert names == [*attention, "norm2", "mlp1", "mlp_activation", "mlp2", "mlp_add"]
    assert model.count_params() == 2 * 16 + (8 * 24 + 24) + (64 + 8) + (8 * 32 + 32) + (32 * 8 + 8)
    assert build(qkv_bias=False, mlp_ratio=2.0).count_params() == model.count_params() - 24 - 2 * 16 * 8 - 16
    assert model.get_layer("block1_norm2").epsilon == 1e-6


def test_branches_are_added_to_what_was_not_normalized():
    model = build()
    for name in ("block1_proj", "block1_mlp2"):
        layer = model.get_layer(name)
        layer.set_weights([np.zeros_like(w) for w in layer.get_weights()])
    x = np.random.default_rng(0).normal(2, 3, (2, 5, 8)).astype("float32")
    np.testing.assert_array_equal(model(x), x)


def test_dropout_and_drop_path():
    model = build(0.1, dropout_rate=0.2)
    dropped = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert [layer.name for layer in dropped] == [
        f"block1_{n}" for n in ("proj_dropout", "mlp_dropout1", "mlp_dropout2")
    ]
    assert [layer.rate for layer in model.layers if isinstance(layer, layers.DropPath)] == [0.1, 0.1]


def test_gelu_by_a_tanh_is_near_the_exact_one():
    x = np.linspace(-6, 6, 1001, dtype="float32")
    difference = np.abs(layers.tanh_gelu(x) - keras.activations.gelu(x))
    assert 1e-4 < difference.max() < 5e-4
    assert build(activation=layers.tanh_gelu).get_layer("block1_mlp_activation").activation is layers.tanh_gelu


@pytest.mark.parametrize("index", [0, 2, 4])
def test_maps_and_tokens(index):
    image = keras.Input((4, 6, 3))
    x = transformer.patch_embedding(image, 2, 7)
    sequence = transformer.tokens(x, name="tokens")
    taken = transformer.token(sequence, index, name="token")
    back = transformer.tokens_to_map(layers.ClassToken()(sequence), (2, 3), name="map")
    model = keras.Model(image, [x, sequence, taken, back])
    a, b, c, d = (np.asarray(y) for y in model(np.random.default_rng(0).normal(size=(2, 4, 6, 3))))
    np.testing.assert_array_equal(b.reshape(2, 2, 3, 7), a)
    np.testing.assert_array_equal(c, b[:, index])
    np.testing.assert_array_equal(d, a)


def test_attention_of_another_width():
    x = keras.Input((5, 9))
    assert transformer.self_attention(x, 1, width=6, qkv_bias=False, name="a").shape == (None, 5, 6)


def test_kernels_start_by_glorots_rule_for_each_projection():
    x = keras.Input((5, 64))
    model = keras.Model(x, transformer.self_attention(x, 1, name="a"))
    for name in ("a_qkv", "a_proj"):
        kernel, bias = model.get_layer(name).get_weights()
        assert np.abs(kernel).max() == pytest.approx((6 / 128) ** 0.5, rel=0.01)
        assert 0 < np.abs(bias).max() < 1e-5
