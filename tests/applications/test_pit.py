"""PiT: patches that overlap, maps that shrink, one token or two, and positions of another size."""

import keras
import numpy as np
import pytest

import kerascnn
from kerascnn import layers
from kerascnn._errors import InputError
from kerascnn.applications import pit

SMALL = {"spec": pit.Spec((1, 2, 1), (1, 2, 4), 8), "input_shape": (48, 64, 3)}
DISTILLED = {**SMALL, "spec": pit.Spec((1, 2, 1), (1, 2, 4), 8, distilled=True)}


def network(options=SMALL, **more):
    return kerascnn.create_model("pit_ti_224", **{**options, **more})


def test_stage_outputs():
    model = network(features_only=True)
    assert [shape[1:] for shape in model.output_shape] == [(5, 7, 8), (3, 4, 16), (2, 2, 32)]
    heads = [layer.heads for layer in model.layers if isinstance(layer, layers.SelfAttention)]
    assert heads == [1, 2, 2, 4]


def test_positions_are_those_of_the_map_alone():
    model = network()
    (positions,) = model.get_layer("position_embedding").weights
    assert positions.shape == (5, 7, 8)
    assert model.get_layer("class_token").token.shape == (1, 1, 8)


def test_the_head_sees_the_token(golden):
    """What is pooled of the last map plays no part; the token of the last stage does."""
    model = network(classes=5, classifier_activation=None)
    golden.seed_weights(model)
    token = keras.Model(model.input, model.get_layer("token1").output)
    image = np.random.default_rng(0).normal(size=(2, 48, 64, 3)).astype("float32")
    kernel, bias = model.get_layer("head").get_weights()
    np.testing.assert_allclose(model(image), token(image) @ kernel + bias, rtol=1e-4, atol=1e-4)


def test_two_heads_are_averaged(golden):
    model = network(DISTILLED, classes=5)
    golden.seed_weights(model)
    logits = keras.Model(model.input, [model.get_layer(name).output for name in ("head", "head_distilled")])
    image = np.random.default_rng(0).normal(size=(2, 48, 64, 3)).astype("float32")
    mean = np.mean([np.asarray(part) for part in logits(image)], axis=0)
    np.testing.assert_allclose(model(image), keras.ops.softmax(mean), rtol=1e-5, atol=1e-6)


def test_weights_of_another_size_and_number_of_classes(tmp_path, golden):
    model = network(DISTILLED, classes=5)
    golden.seed_weights(model)
    model.save_weights(tmp_path / "five.weights.h5")
    other = network(DISTILLED, classes=3, input_shape=(64, 64, 3), weights=tmp_path / "five.weights.h5")
    positions = other.get_layer("position_embedding").weights[0]
    assert positions.shape == (7, 7, 8) and 0 < np.std(positions) < 1.5 * np.std(model.weights[2])
    for ours, theirs in zip(other.get_layer("stage2_block1_qkv").weights,
                            model.get_layer("stage2_block1_qkv").weights, strict=True):  # fmt: skip
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name, multiple", [("pit_s_224", 8), ("pit_b_224", 7)])
def test_images_that_patches_do_not_cover_are_refused(name, multiple):
    with pytest.raises(InputError, match=f"multiples of {multiple}"):
        kerascnn.create_model(name, input_shape=(8 * 9, 7 * 9 + 2, 3))
