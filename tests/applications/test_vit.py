"""ViT: tokens, head, GELU, and weights of other sizes and libraries, on networks of two or four blocks."""

import dataclasses
import math

import keras
import numpy as np
import parity
import pytest
from safetensors.numpy import save_file

import kerascnn
from kerascnn import layers
from kerascnn._errors import InputError
from kerascnn.applications import vit

SMALL = vit.Spec(16, 24, 4, 3, mlp_ratio=2.0)
NAME = "vit_tiny_patch16_224"


def build(size=(64, 64), **options):
    options = {"spec": SMALL, "input_shape": (*size, 3), "classes": 5, "classifier_activation": None, **options}
    return kerascnn.create_model(NAME, **options)


def images(*size, seed=0):
    return np.random.default_rng(seed).standard_normal((2, *size, 3)).astype("float32")


def randomized(*args, **options):
    model = build(*args, **options)
    parity.randomize(model)
    return model


@pytest.mark.parametrize("depth, ends", [(4, [1, 2, 3, 4]), (12, [3, 6, 9, 12]), (6, [1, 3, 4, 6])])
def test_stages_end_after_quarters_of_the_depth(depth, ends):
    model = build((32, 48), features_only=True, spec=dataclasses.replace(SMALL, depth=depth), classes=None)
    assert [tensor.shape for tensor in model.outputs] == [(None, 2, 3, 24)] * 4 and model.feature_strides == [16] * 4
    for number, end in enumerate(ends, 1):
        before = model.get_layer(f"map{number}_crop").input._keras_history.operation.name
        assert before == ("final_norm" if end == depth else f"block{end}_mlp_add")


def test_the_head_reads_the_class_token_and_starts_at_zero():
    model = build()
    assert model.get_layer("head").input.shape == (None, 24)
    np.testing.assert_array_equal(model(images(64, 64)), np.zeros((2, 5)))
    model = randomized()
    tokens = keras.Model(model.input, model.get_layer("final_norm").output)(images(64, 64))
    wanted = model.get_layer("head")(tokens[:, 0])
    np.testing.assert_allclose(model(images(64, 64)), wanted, rtol=1e-5, atol=1e-6)


def test_pooling_is_over_the_places_of_the_image():
    model = randomized(include_top=False, pooling="avg")
    tokens = keras.Model(model.input, model.get_layer("final_norm").output)(images(64, 64))
    np.testing.assert_allclose(model(images(64, 64)), np.mean(tokens[:, 1:], axis=1), rtol=1e-4, atol=1e-5)


def test_gelu_by_a_tanh_is_a_spec_of_its_own():
    exact, by_tanh = build(), build(spec=dataclasses.replace(SMALL, tanh_gelu=True))
    parity.randomize(exact)
    by_tanh.set_weights(exact.get_weights())
    a, b = np.asarray(exact(images(64, 64))), np.asarray(by_tanh(images(64, 64)))
    assert 0 < np.abs(a - b).max() < 1e-2
    assert by_tanh.get_layer("block1_mlp_activation").activation is layers.tanh_gelu


def test_dropout_follows_every_dense_layer_but_qkv():
    model = build(dropout_rate=0.1, drop_path_rate=0.2)
    dropped = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert len(dropped) == 1 + 3 * 4 and dropped[0] == "position_dropout"
    rates = [layer.rate for layer in model.layers if isinstance(layer, layers.DropPath)]
    np.testing.assert_allclose(rates, np.repeat([0.2 / 3, 0.4 / 3, 0.2], 2))


@pytest.mark.parametrize("size", [(48, 96), (128, 128), (32, 32)])
def test_positions_of_another_size_are_resized(size, tmp_path):
    model = randomized((64, 32))
    model.save_weights(tmp_path / "net.weights.h5")
    other = build(size, weights=tmp_path / "net.weights.h5")
    first, positions = other.get_layer("position_embedding").get_weights()
    kept, old = model.get_layer("position_embedding").get_weights()
    np.testing.assert_array_equal(first, kept)
    assert positions.shape == (size[0] // 16, size[1] // 16, 24) and old.shape == (4, 2, 24)
    np.testing.assert_allclose(positions, layers.PositionEmbedding(positions.shape[:2], 1).resized([kept, old])[1])
    np.testing.assert_array_equal(other.get_layer("head").kernel, model.get_layer("head").kernel)


TIMM = {
    "patch_embedding": "patch_embed.proj",
    "final_norm": "norm",
    "head": "head",
    "norm1": "blocks.{}.norm1",
    "qkv": "blocks.{}.attn.qkv",
    "proj": "blocks.{}.attn.proj",
    "norm2": "blocks.{}.norm2",
    "mlp1": "blocks.{}.mlp.fc1",
    "mlp2": "blocks.{}.mlp.fc2",
}
_LAYER = "encoder.layers.encoder_layer_{}."
TORCHVISION = {
    "patch_embedding": "conv_proj",
    "final_norm": "encoder.ln",
    "head": "heads.head",
    "norm1": f"{_LAYER}ln_1",
    "qkv": f"{_LAYER}self_attention.in_proj_",
    "proj": f"{_LAYER}self_attention.out_proj",
    "norm2": f"{_LAYER}ln_2",
    "mlp1": f"{_LAYER}mlp.0",
    "mlp2": f"{_LAYER}mlp.3",
}


def state(model, names, token, positions):
    """The weights of a model in PyTorch's layouts, under a library's names."""
    arrays = {}
    for layer in model.layers:
        block, _, part = layer.name.rpartition("_") if layer.name.startswith("block") else ("", "", layer.name)
        if part not in names or not layer.weights:
            continue
        module = names[part].format(int(block[5:]) - 1 if block else 0)
        for value, entry in zip(layer.get_weights(), ("weight", "bias"), strict=True):
            value = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
            dot = "" if module.endswith("_") else "."
            arrays[f"{module}{dot}{entry}"] = np.ascontiguousarray(value)
    arrays[token] = model.get_layer("class_token").get_weights()[0]
    first, grid = model.get_layer("position_embedding").get_weights()
    arrays[positions] = np.concatenate([first, grid.reshape(-1, grid.shape[-1])])[None]
    return arrays


LIBRARIES = [(TIMM, "cls_token", "pos_embed"), (TORCHVISION, "class_token", "encoder.pos_embedding")]


@pytest.mark.parametrize("names, token, positions", LIBRARIES, ids=["timm", "torchvision"])
def test_state_dicts_are_read(names, token, positions, tmp_path):
    model = randomized()
    save_file(state(model, names, token, positions), tmp_path / "net.safetensors")
    again = build(weights=tmp_path / "net.safetensors")
    np.testing.assert_array_equal(again(images(64, 64)), model(images(64, 64)))
    larger = build((80, 48), weights=tmp_path / "net.safetensors", classes=7)
    assert larger.get_layer("position_embedding").positions.shape == (5, 3, 24)


def test_what_does_not_fit_is_listed(tmp_path):
    arrays = state(randomized(), *LIBRARIES[0])
    del arrays["cls_token"]
    arrays["dist_token"] = np.zeros((1, 1, 24), "float32")
    arrays["pos_embed"] = arrays["pos_embed"][:, :8]  # 7 patches, no square
    save_file(arrays, tmp_path / "net.safetensors")
    with pytest.raises(InputError) as refused:
        build(weights=tmp_path / "net.safetensors")
    for part in ("missing: class_token", "unexpected: dist_token", "position_embedding 1x8x24 instead of 1x24, 4x4x24"):
        assert part in str(refused.value)


@pytest.mark.peers
@pytest.mark.parametrize("size", [48, 128, 320])
def test_positions_are_resized_as_timm_does(size, tmp_path):
    arrays = parity.peer("timm", NAME, tmp_path, size=size, options='{"dynamic_img_size": true}')
    assert math.isqrt(arrays["state/pos_embed"].shape[1] - 1) == 14
    path = parity.save_state(arrays, tmp_path / "peer.safetensors")
    ours = kerascnn.create_model(NAME, input_shape=(size, size, 3), weights=path, classifier_activation=None)
    theirs = arrays["output"]
    np.testing.assert_allclose(ours(parity.images(arrays)), theirs, atol=1e-4 * np.abs(theirs).max(), rtol=0)
