"""The instructions for tokens: native against plain TensorFlow, and that against the layers that they stand for."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from programs import check, conv, images

from kerascnn import layers
from kerascnn.ops import _native, build_info, inference_program, native
from kerascnn.ops.inference_program import SAME, Instruction, Program, reference

needs_native = pytest.mark.skipif(not build_info()["available"], reason="native library: " + build_info()["reason"])


def program(*steps, constants=()):
    return Program(steps, tuple(constants), flat=False)


@needs_native
@pytest.mark.parametrize("channels", [1, 3, 16, 63, 130, 384])
def test_norms(channels):
    """With an offset that is large beside the deviations, and with weights or without."""
    rng = np.random.default_rng(channels)
    constants = [images(rng, channels), images(rng, channels)]
    x = images(rng, 2, 5, 3, channels) + 10
    for scale, shift in ((0, 1), (-1, 1), (-1, -1)):
        check(program(Instruction("norm", x=0, scale=scale, shift=shift, number=1e-3), constants=constants), x)


def test_a_norm_is_that_of_keras():
    rng = np.random.default_rng(0)
    layer = keras.layers.LayerNormalization(epsilon=1e-5)
    x = images(rng, 2, 4, 3, 24)
    layer.build(x.shape)
    layer.set_weights([images(rng, 24), images(rng, 24)])
    made = program(Instruction("norm", x=0, scale=0, shift=1, number=1e-5), constants=layer.get_weights())
    np.testing.assert_allclose(reference(x, made), layer(x), atol=1e-5)


@needs_native
@pytest.mark.parametrize(
    ("height", "width", "heads", "size"),
    [(1, 1, 1, 1), (1, 5, 2, 3), (16, 1, 1, 16), (17, 1, 3, 64), (33, 1, 2, 31), (9, 6, 1, 300), (290, 1, 2, 32),
     (13, 20, 1, 7)],
)  # fmt: skip
def test_attention(height, width, heads, size):
    """One token, odd heads, more tokens and wider heads than a block has; with a bias and without."""
    rng = np.random.default_rng(height * size)
    tokens, x = height * width, images(rng, 2, height, width, 3 * heads * size)
    bias = images(rng, heads, tokens, tokens)
    for number, constants in ((0, [bias]), (-1, [])):
        step = Instruction("attention", x=0, heads=heads, number=size**-0.5, bias=number)
        check(program(step, constants=constants), x)


def test_attention_is_that_of_the_layer():
    x = images(np.random.default_rng(0), 2, 11, 36)
    step = Instruction("attention", x=0, heads=3, number=0.3)
    expected = layers.SelfAttention(3, 0.3)(x)
    np.testing.assert_allclose(reference(x[:, :, None], program(step))[:, :, 0], expected, atol=1e-5)


@needs_native
@pytest.mark.parametrize(
    ("height", "width", "side", "roll"),
    [(7, 7, 7, 3), (14, 7, 7, 3), (8, 12, 4, 0), (8, 12, 4, 2), (6, 9, 3, 1), (5, 10, 5, 4), (4, 4, 1, 0)],
)
def test_attention_in_windows(height, width, side, roll):
    """Rolled along one axis, both or none, with a bias or without."""
    rng = np.random.default_rng(height * width)
    heads, size, tokens = 2, 20, side * side
    x, bias = images(rng, 3, height, width, 3 * heads * size), images(rng, heads, tokens, tokens)
    for number, constants in ((0, [bias]), (-1, [])):
        step = Instruction("attention", x=0, heads=heads, number=0.2, bias=number, side=side, roll=roll)
        check(program(step, constants=constants), x)


@needs_native
def test_scores_that_are_large_or_no_numbers():
    step = Instruction("attention", x=0, heads=1, number=1.0)
    x = images(np.random.default_rng(0), 1, 20, 1, 48) * 30
    check(program(step), x)
    x[0, 3] = np.nan
    with native("require"):
        assert np.isnan(inference_program(x, program(step))).all()


@needs_native
@pytest.mark.parametrize("channels", [1, 16, 21])
def test_stacks_crops_and_shapes(channels):
    rng = np.random.default_rng(channels)
    constants = [images(rng, 2, channels), images(rng, 14, channels)]
    steps = (
        Instruction("reshape", x=0, extents=(12, 1, channels)),
        Instruction("stack", token=0, position=1, parts=(1,)),
        Instruction("crop", x=2, cut=((1, 3), (0, 0), (0, 0))),
        Instruction("stack", parts=(2, 3, 1)),
        Instruction("reshape", x=4, extents=(9, 4, channels)),
        Instruction("crop", x=5, cut=((2, 0), (1, 2), (channels // 2, channels // 3))),
        Instruction("concat", parts=(6, 6)),
        Instruction("flatten", x=7),
    )
    for count in range(1, len(steps) + 1):
        check(program(*steps[:count], constants=constants), images(rng, 3, 3, 4, channels))


@needs_native
@pytest.mark.parametrize(("pixels", "channels"), [(1, 1), (16, 16), (49, 20), (5, 130)])
def test_transpositions(pixels, channels):
    rng = np.random.default_rng(pixels)
    constants = []
    steps = (
        Instruction("transpose", x=0),
        conv(rng, 1, constants, (1, 1), pixels, pixels, activation="gelu"),
        Instruction("transpose", x=2, residual=0),
    )
    check(program(*steps, constants=constants), images(rng, 2, pixels, 1, channels))


@needs_native
@pytest.mark.parametrize("order", ["rows", "columns", "channels"])
def test_patches(order):
    rng = np.random.default_rng(0)
    for window, strides, padding in (
        ((2, 2), (2, 2), SAME), ((3, 2), (1, 2), ((1, 0), (2, 1))), ((7, 7), (4, 4), ((2, 2), (2, 2))),
    ):  # fmt: skip
        step = Instruction("patches", x=0, window=window, strides=strides, padding=padding, order=order)
        for channels in (1, 3, 17):
            check(program(step), images(rng, 2, 9, 8, channels))


@pytest.mark.parametrize(
    ("layer", "order", "window", "strides", "padding"),
    [(layers.PatchMerging(), "columns", (2, 2), (2, 2), SAME),
     (layers.Unfold2D((3, 2), 2, 1), "channels", (3, 2), (2, 2), ((1, 1), (1, 1)))],
)  # fmt: skip
def test_patches_are_those_of_the_layers(layer, order, window, strides, padding):
    x = images(np.random.default_rng(0), 2, 7, 8, 3)
    step = Instruction("patches", x=0, window=window, strides=strides, padding=padding, order=order)
    np.testing.assert_array_equal(reference(x, program(step)), layer(x))


def block(rng, constants, x, width, heads):
    """An encoder's block on value `x`."""
    scale = len(constants)
    constants += [images(rng, width), images(rng, width)]
    norm = {"scale": scale, "shift": scale + 1, "number": 1e-6}
    return (
        Instruction("norm", x=x, **norm),
        conv(rng, x + 1, constants, (1, 1), width, 3 * width),
        Instruction("attention", x=x + 2, heads=heads, number=(width // heads) ** -0.5),
        conv(rng, x + 3, constants, (1, 1), width, width, residual=x),
        Instruction("norm", x=x + 4, **norm),
        conv(rng, x + 5, constants, (1, 1), width, 4 * width, activation="gelu"),
        conv(rng, x + 6, constants, (1, 1), 4 * width, width, residual=x + 4),
    )


@needs_native
def test_a_transformer_of_any_batch():
    """A batch equals its images one by one to the bit."""
    rng = np.random.default_rng(0)
    constants = [images(rng, 1, 48), images(rng, 13, 48)]
    steps = (
        conv(rng, 0, constants, (2, 2), 3, 48, strides=(2, 2)),
        Instruction("reshape", x=1, extents=(12, 1, 48)),
        Instruction("stack", token=0, position=1, parts=(2,)),
        *block(rng, constants, 3, 48, 3),
        *block(rng, constants, 10, 48, 4),
        Instruction("crop", x=17, cut=((0, 12), (0, 0), (0, 0))),
        Instruction("softmax", x=18),
    )
    made = Program(steps, tuple(constants), flat=True)
    x = images(rng, 5, 6, 8, 3)
    together = check(made, x)
    for i in range(len(x)):
        np.testing.assert_array_equal(check(made, x[i : i + 1])[0], together[i])


@needs_native
def test_numbers_that_are_changed_never_crash():
    """Programs of tokens with numbers changed: refused, or run on what they then say."""
    rng = np.random.default_rng(0)
    constants = [images(rng, 1, 12), images(rng, 13, 12)]
    steps = (
        conv(rng, 0, constants, (2, 2), 3, 12, strides=(2, 2)),
        Instruction("reshape", x=1, extents=(12, 1, 12)),
        Instruction("stack", token=0, position=1, parts=(2,)),
        *block(rng, constants, 3, 12, 3),
        Instruction("transpose", x=10),
        Instruction("transpose", x=11, residual=3),
        Instruction("crop", x=12, cut=((1, 0), (0, 0), (0, 0))),
        Instruction("reshape", x=13, extents=(4, 3, 12)),
        Instruction("patches", x=14, window=(2, 2), strides=(2, 2), padding=SAME, order="columns"),
        Instruction("attention", x=15, heads=2, number=0.5, side=2, roll=1),
    )
    made = program(*steps, constants=constants)
    right, x, joined = made.numbers(), images(rng, 1, 6, 8, 3), made.joined()
    refused = 0
    for _ in range(400):
        numbers = list(right)
        for _ in range(rng.integers(1, 3)):
            at = int(rng.integers(len(numbers)))
            numbers[at] = int(rng.choice([-1, 0, 1, 2, 3, 7, 13, 2**31, 2**62, -(2**62), numbers[at] + 1]))
        try:
            _native.loaded().kerascnn_inference_program(images=x, constants=joined, program=numbers, flat=False)
        except (tf.errors.OpError, ValueError):
            refused += 1
    assert 200 < refused < 400
