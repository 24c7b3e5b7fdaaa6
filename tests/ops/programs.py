"""What the tests of inference programs share: random constants, and native against plain TensorFlow."""

import numpy as np

from kerascnn.ops import inference_program, native
from kerascnn.ops.inference_program import Instruction, reference


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
