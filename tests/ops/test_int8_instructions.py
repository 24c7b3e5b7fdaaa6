"""Convolutions in 8 bits of inference programs: native against plain TensorFlow, both against float32, odd numbers."""

import numpy as np
import pytest
from programs import conv, dense_convolution, images, run

from kerascnn._errors import InputError
from kerascnn.ops import build_info, inference_program, native
from kerascnn.ops.inference_program import (
    Instruction,
    Program,
    computes_in_8_bits,
    reference,
)

needs_native = pytest.mark.skipif(not build_info()["available"], reason="native library: " + build_info()["reason"])


def in_8_bits(program):
    steps = (
        Instruction(**{**vars(step), "kind": "conv_int8"}) if step.kind == "conv" else step
        for step in program.instructions
    )
    return Program(tuple(steps), program.constants, program.flat)


def check(program, x):
    """Both agree to 1e-5 of the largest number, but for a few of which a source was rounded the other way."""
    expected, ours = reference(x, program).numpy(), run(program, x)
    assert ours.shape == expected.shape
    largest = max(1e-3, np.abs(expected).max())
    apart = np.abs(ours - expected)
    assert np.mean(apart > 1e-5 * largest) <= max(0.03, 1.5 / apart.size) and apart.max() < 0.01 * largest
    return ours


@needs_native
@pytest.mark.parametrize("case", range(40))
def test_equals_plain_tensorflow(case):
    """One pixel, one channel, parts of words and of vectors, several blocks of depth, any window and end."""
    program, x = dense_convolution(case)
    ours = check(in_8_bits(program), x)
    exact = reference(x, program).numpy()
    assert np.sqrt(np.mean((ours - exact) ** 2)) < 0.02 * np.sqrt(np.mean(exact**2))


@needs_native
@pytest.mark.parametrize("channels", [33, 300])
def test_what_comes_before_and_after(channels):
    """A gate, a batch norm with ReLU, a residual; a concatenation that it is written into."""
    rng, constants = np.random.default_rng(channels), []
    constants += [rng.uniform(0.5, 1.5, channels).astype("float32"), images(rng, channels)]
    gate = Instruction("mean", x=0)
    gated = conv(rng, 0, constants, (1, 1), channels, channels, gate=1, residual=0, activation="relu6")
    normed = conv(rng, 0, constants, (1, 1), channels, 40, scale=0, shift=1, activation="silu")
    steps = (gate, gated, normed, Instruction("concat", parts=(2, 3)))
    check(in_8_bits(Program(steps, tuple(constants), flat=False)), images(rng, 3, 9, 7, channels))


@needs_native
def test_rows_have_scales_of_their_own():
    """A pixel of a thousand times the others leaves them as exact as they were; zeros are exact."""
    rng, constants = np.random.default_rng(0), []
    program = in_8_bits(Program((conv(rng, 0, constants, (1, 1), 64, 32),), tuple(constants), flat=False))
    x = images(rng, 1, 5, 5, 64)
    before = run(program, x)
    x[0, 2, 2] *= 1000
    x[0, 3, 3] = 0
    x[0, 4, 4] *= 1e-40  # subnormal
    after = check(program, x)
    others = np.ones((5, 5), bool)
    others[2, 2] = others[3, 3] = others[4, 4] = False
    np.testing.assert_array_equal(before[0][others], after[0][others])
    np.testing.assert_array_equal(after[0, 3, 3], constants[1])
    np.testing.assert_array_equal(after[0, 4, 4], constants[1])


@needs_native
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_not_hidden(bad):
    rng, constants = np.random.default_rng(0), []
    program = in_8_bits(Program((conv(rng, 0, constants, (1, 1), 300, 33),), tuple(constants), flat=False))
    x = images(rng, 1, 4, 5, 300)
    clean = run(program, x)
    x[0, 1, 2, 290] = bad
    for found in (run(program, x), reference(x, program).numpy()):
        assert np.isnan(found[0, 1, 2]).all()
        found[0, 1, 2] = clean[0, 1, 2]
        np.testing.assert_allclose(found, clean, atol=1e-5)
    constants[0][0, 0, 7, 30] = bad
    program = Program(program.instructions, tuple(constants), flat=False)
    assert np.isnan(run(program, images(rng, 1, 4, 5, 300))[..., 30]).all()


@needs_native
def test_groups_are_refused():
    rng, constants = np.random.default_rng(0), []
    program = in_8_bits(Program((conv(rng, 0, constants, (3, 3), 4, 8),), tuple(constants), flat=False))
    with native("require"), pytest.raises(InputError, match="8 bits must have one group"):
        inference_program(images(rng, 1, 6, 6, 8), program)


def test_programs_are_recognized_by_their_numbers():
    rng, constants = np.random.default_rng(0), []
    steps = (conv(rng, 0, constants, (3, 3), 4, 8), Instruction("mean", x=1), conv(rng, 2, constants, (1, 1), 8, 2))
    program = Program(steps, tuple(constants), flat=False)
    numbers = in_8_bits(program).numbers()
    assert computes_in_8_bits(numbers) and not computes_in_8_bits(program.numbers())
    assert not any(computes_in_8_bits(numbers[:count]) for count in range(len(numbers)))
