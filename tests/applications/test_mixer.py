"""MLP-Mixer: what is mixed where, the head, and weights of another size, on networks of two blocks."""

import dataclasses

import keras
import numpy as np
import parity
import pytest

import kerascnn
from kerascnn import layers
from kerascnn._errors import InputError
from kerascnn.applications import mixer

SMALL = mixer.Spec(16, 12, 2, 20, 30)
NAME = "mixer_s16_224"


def build(size=(64, 64), **options):
    options = {"spec": SMALL, "input_shape": (*size, 3), "classes": 5, "classifier_activation": None, **options}
    return kerascnn.create_model(NAME, **options)


def images(*size):
    return np.random.default_rng(0).standard_normal((2, *size, 3)).astype("float32")


def test_kernels_mix_places_and_channels():
    model = build((32, 48))
    shapes = [tuple(model.get_layer(f"block1_{name}").kernel.shape) for name in ("tokens1", "tokens2", "channels1")]
    assert shapes == [(6, 20), (20, 6), (12, 30)]
    x = keras.Input((4, 12))
    channels = keras.Model(x, mixer.mixer_block(x, SMALL, 0.0, name="block"))
    tokens = channels.get_layer("block_tokens2")
    tokens.set_weights([np.zeros_like(w) for w in tokens.get_weights()])
    a = np.random.default_rng(0).standard_normal((1, 4, 12)).astype("float32")
    b = a.copy()
    b[0, 1] += np.arange(12)
    differs = np.any(np.asarray(channels(a)) != np.asarray(channels(b)), axis=2)
    np.testing.assert_array_equal(differs, [[False, True, False, False]])  # nothing crosses places any more


def test_stages_and_head():
    model = build((32, 48), features_only=True, classes=None, spec=dataclasses.replace(SMALL, depth=8))
    assert [tensor.shape for tensor in model.outputs] == [(None, 2, 3, 12)] * 4
    model = build()
    np.testing.assert_array_equal(model(images(64, 64)), np.zeros((2, 5)))
    parity.randomize(model)
    tokens = keras.Model(model.input, model.get_layer("final_norm").output)(images(64, 64))
    wanted = model.get_layer("head")(np.mean(tokens, axis=1))
    np.testing.assert_allclose(model(images(64, 64)), wanted, rtol=1e-4, atol=1e-5)


def test_options():
    model = build(drop_path_rate=0.2, spec=dataclasses.replace(SMALL, tanh_gelu=True))
    rates = [layer.rate for layer in model.layers if isinstance(layer, layers.DropPath)]
    assert rates == [0.2, 0.2]
    assert model.get_layer("block2_tokens_activation").activation is layers.tanh_gelu


def test_weights_of_another_size_are_refused(tmp_path):
    build().save_weights(tmp_path / "net.weights.h5")
    with pytest.raises(InputError, match="mis-shaped: block1_tokens1 16x20, 20 instead of 6x20, 20"):
        build((32, 48), weights=tmp_path / "net.weights.h5")
