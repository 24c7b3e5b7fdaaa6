"""What the tests of inference programs share: random constants, and native against plain TensorFlow."""

import numpy as np

from kerascnn.ops import inference_program, native
from kerascnn.ops.inference_program import ACTIVATIONS, SAME, Instruction, Program, reference


def images(rng, *shape):
    """Normal numbers, float32."""
    return rng.normal(size=shape).astype("float32")


def run(program, x):
    """The kernel's result."""
    with native("require"):
        return inference_program(x, program).numpy()


def check(program, x):
    """Both agree to 1e-5 of the largest number; rounding alone leaves some 1e-6."""
    expected = reference(x, program).numpy()
    ours = run(program, x)
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5 * max(1e-3, np.abs(expected).max()))
    return ours


def conv(rng, x, constants, kernel, channels, filters, **options):
    """An instruction with a filter and a bias, which are appended to the constants."""
    height, width = kernel
    scale = (height * width * channels) ** -0.5
    constants += [scale * images(rng, height, width, channels, filters), images(rng, filters)]
    return Instruction("conv", x=x, filter=len(constants) - 2, bias=len(constants) - 1, **options)


def dense_convolution(case):
    """A program of one convolution of one group, and images: awkward sizes, odd strides, dilations and padding."""
    rng = np.random.default_rng(case)
    kernel = [(1, 1), (3, 3), (1, 7), (5, 2), (3, 1)][case % 5]
    channels, filters = (int(rng.choice([1, 3, 5, 16, 33, 64, 300])) for _ in range(2))
    strides = tuple(map(int, rng.integers(1, 4, 2)))
    dilations = tuple(map(int, rng.integers(1, 3, 2)))
    explicit = tuple((int(a), int(b)) for a, b in rng.integers(0, 3, (2, 2)))
    padding = SAME if case % 2 else explicit
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    height, width = (int(rng.integers(span, span + 15)) for span in spans)
    constants = []
    options = {"strides": strides, "dilations": dilations, "padding": padding}
    step = conv(rng, 0, constants, kernel, channels, filters, **options, activation=ACTIVATIONS[case % 10])
    return Program((step,), tuple(constants), flat=False), images(rng, 1 + case % 3, height, width, channels)
