"""The conv2d kernels on NumPy arrays: against plain loops in float64, awkward sizes, any number of threads."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from kernel_arrays import convolve, kernels, loops, stored, widened

CASES = {  # x shape, filters shape, strides, padding (top, bottom, left, right), dilations
    "resnext": ((2, 9, 14, 32), (3, 3, 4, 32), (1, 1), (1, 1, 1, 1), (1, 1)),
    "resnext stride 2": ((2, 15, 16, 32), (3, 3, 8, 32), (2, 2), (1, 1, 1, 1), (1, 1)),
    "16 channels a group": ((1, 8, 8, 64), (3, 3, 16, 64), (1, 1), (1, 1, 1, 1), (1, 1)),
    "32 channels a group": ((1, 7, 7, 64), (3, 3, 32, 64), (1, 1), (1, 1, 1, 1), (1, 1)),
    "8 channels a group": ((1, 9, 31, 32), (3, 3, 8, 32), (1, 1), (1, 1, 1, 1), (1, 1)),
    "2x2 tiles, even": ((2, 14, 14, 48), (3, 3, 16, 48), (1, 1), (1, 1, 1, 1), (1, 1)),
    "2x2 tiles, odd": ((1, 13, 11, 64), (3, 3, 32, 64), (1, 1), (2, 1, 0, 1), (1, 1)),
    "2x2 tiles in strips": ((1, 150, 63, 16), (3, 3, 16, 16), (1, 1), (0, 1, 1, 2), (1, 1)),
    "4 channels in place": ((2, 9, 31, 64), (3, 3, 4, 64), (1, 1), (1, 1, 1, 1), (1, 1)),
    "8 channels in place, stride 2": ((1, 12, 30, 48), (3, 3, 8, 48), (2, 2), (0, 1, 0, 1), (1, 1)),
    "2 channels in place, dilated": ((1, 11, 25, 32), (3, 3, 2, 32), (1, 1), (2, 2, 3, 3), (2, 3)),
    "4 channels in place, wide padding": ((1, 4, 5, 32), (3, 5, 4, 32), (2, 1), (3, 3, 7, 4), (1, 1)),
    "16 channels, stride 2": ((1, 11, 29, 32), (3, 3, 16, 32), (2, 2), (1, 1, 1, 1), (1, 1)),
    "16 channels, stride 2 as same": ((1, 10, 28, 32), (3, 3, 16, 32), (2, 2), (0, 1, 0, 1), (1, 1)),
    "32 channels, stride 2": ((1, 8, 17, 64), (3, 3, 32, 64), (2, 2), (0, 0, 2, 2), (1, 1)),
    "8 channels, stride 2": ((1, 7, 19, 16), (3, 3, 8, 16), (2, 2), (1, 1, 3, 1), (1, 1)),
    "16 channels, dilated": ((1, 9, 15, 32), (3, 3, 16, 32), (1, 1), (2, 2, 2, 2), (2, 2)),
    "16 channels, 5 taps": ((1, 6, 16, 32), (5, 5, 16, 32), (1, 1), (2, 2, 2, 2), (1, 1)),
    "8 channels, 7 taps": ((1, 7, 9, 16), (7, 7, 8, 16), (2, 1), (3, 3, 3, 3), (1, 1)),
    "more out than in": ((1, 6, 23, 24), (3, 3, 12, 80), (1, 1), (1, 1, 1, 1), (1, 1)),
    "one column": ((3, 5, 1, 32), (3, 1, 16, 32), (1, 1), (1, 1, 0, 0), (1, 1)),
    "many groups": ((1, 4, 4, 512), (3, 3, 16, 512), (1, 1), (1, 1, 1, 1), (1, 1)),
    "depthwise": ((2, 7, 9, 17), (3, 3, 1, 17), (1, 1), (1, 1, 1, 1), (1, 1)),
    "depth multiplier": ((1, 5, 6, 6), (3, 2, 1, 18), (1, 2), (1, 0, 0, 1), (1, 1)),
    "two channels": ((1, 6, 7, 10), (2, 3, 2, 10), (1, 1), (0, 0, 0, 0), (1, 1)),
    "no groups": ((2, 7, 8, 5), (3, 3, 5, 7), (1, 1), (1, 1, 1, 1), (1, 1)),
    "many channels": ((1, 4, 5, 70), (1, 1, 70, 40), (1, 1), (0, 0, 0, 0), (1, 1)),
    "tiles": ((3, 7, 9, 32), (3, 3, 32, 48), (1, 1), (1, 1, 1, 1), (1, 1)),
    "tiles, stride 2": ((2, 10, 9, 24), (3, 3, 24, 40), (2, 2), (0, 1, 1, 1), (1, 1)),
    "tiles, pointwise": ((2, 8, 7, 64), (1, 1, 64, 16), (1, 1), (0, 0, 0, 0), (1, 1)),
    "tiles, pointwise, stride 2": ((1, 8, 7, 17), (1, 1, 17, 33), (2, 2), (0, 0, 0, 0), (1, 1)),
    "tiles, stride beyond the kernel": ((2, 9, 11, 16), (1, 2, 16, 16), (3, 4), (0, 0, 1, 0), (1, 1)),
    "tiles, dilated": ((1, 12, 13, 16), (3, 3, 16, 20), (1, 2), (2, 2, 3, 3), (2, 3)),
    "tiles in slices": ((1, 5, 6, 160), (3, 3, 160, 144), (1, 1), (1, 1, 1, 1), (1, 1)),
    "tiles in strips": ((1, 60, 500, 16), (3, 3, 16, 16), (1, 1), (1, 1, 1, 1), (1, 1)),
    "tiles, uneven": ((2, 6, 8, 16), (2, 5, 16, 16), (1, 2), (3, 0, 0, 4), (3, 1)),
    "dilated": ((1, 13, 12, 8), (3, 3, 4, 8), (1, 1), (2, 2, 3, 3), (2, 3)),
    "stride with dilation": ((1, 13, 17, 8), (3, 3, 4, 8), (2, 3), (2, 1, 0, 3), (3, 2)),
    "stride beyond the kernel": ((2, 9, 11, 8), (1, 2, 4, 8), (3, 4), (0, 0, 1, 0), (1, 1)),
    "stride beyond the image": ((1, 3, 2, 4), (2, 2, 2, 4), (7, 5), (1, 1, 1, 1), (1, 1)),
    "wide padding": ((1, 3, 3, 4), (2, 2, 4, 4), (1, 1), (5, 3, 4, 6), (1, 1)),
    "one pixel": ((1, 1, 1, 1), (1, 1, 1, 1), (1, 1), (0, 0, 0, 0), (1, 1)),
    "large and odd": ((1, 31, 217, 8), (3, 3, 8, 8), (1, 1), (1, 1, 1, 1), (1, 1)),
    "several strips": ((1, 200, 64, 16), (3, 3, 4, 16), (2, 1), (1, 1, 1, 1), (1, 1)),
    "empty batch": ((0, 5, 5, 4), (3, 3, 2, 4), (1, 1), (1, 1, 1, 1), (1, 1)),
    "no output": ((1, 2, 2, 4), (3, 3, 2, 4), (1, 1), (0, 0, 0, 0), (1, 1)),
}
TYPES = {"float32": ("", 1e-5), "float64": ("", 1e-13), "float16": ("_float16", 1e-3), "bfloat16": ("_bfloat16", 8e-3)}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("case", CASES)
def test_kernels_equal_plain_loops(case, dtype):
    x_shape, w_shape, *window = CASES[case]
    random = np.random.default_rng(0)
    x, exact_x = stored(random.normal(size=x_shape), dtype)
    w, exact_w = stored(random.normal(size=w_shape), dtype)
    y = loops(exact_x, exact_w, *window)
    dy, exact_dy = stored(random.normal(size=y.shape), dtype)
    suffix, tolerance = TYPES[dtype]
    expected = (y, *loops(exact_x, exact_w, *window, dy=exact_dy))
    for ours, exact in zip(convolve(x, w, dy, window, suffix, 2), expected, strict=True):
        assert ours.shape == exact.shape
        limit = tolerance * max(1.0, np.abs(exact).max(initial=0))
        np.testing.assert_allclose(widened(ours, dtype), exact, rtol=0, atol=limit)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("case", CASES)
def test_bits_do_not_depend_on_threads(case, dtype):
    x_shape, w_shape, *window = CASES[case]
    random = np.random.default_rng(1)
    x, w = stored(random.normal(size=x_shape), dtype)[0], stored(random.normal(size=w_shape), dtype)[0]
    suffix = TYPES[dtype][0]
    y = getattr(kernels, "conv2d_forward" + suffix)(x, w, *window)
    dy = stored(random.normal(size=y.shape), dtype)[0]
    one = convolve(x, w, dy, window, suffix, 1)
    for threads in (2, 3, 7):
        for a, b in zip(one, convolve(x, w, dy, window, suffix, threads), strict=True):
            assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    "case", ["resnext stride 2", "2x2 tiles, odd", "depthwise", "more out than in", "4 channels in place"]
)
def test_bias_and_relu_are_those_of_separate_steps(case, dtype):
    x_shape, w_shape, *window = CASES[case]
    random = np.random.default_rng(3)
    x, w = stored(random.normal(size=x_shape), dtype)[0], stored(random.normal(size=w_shape), dtype)[0]
    bias, exact_bias = stored(random.normal(size=w_shape[3]), dtype)
    forward = getattr(kernels, "conv2d_forward" + TYPES[dtype][0])
    y = widened(forward(x, w, *window), dtype)
    wide = np.float64 if dtype == "float64" else np.float32
    summed = (y.astype(wide) + exact_bias.astype(wide)).astype(np.float64)
    for relu in (False, True):
        got = widened(forward(x, w, *window, n_threads=2, bias=bias, relu=relu), dtype)
        expected = np.maximum(summed, 0) if relu else summed
        step = {"float16": 2.0**-11, "bfloat16": 2.0**-8}.get(dtype, 0)  # rounded once more
        np.testing.assert_allclose(got, expected, rtol=step, atol=step * 1e-2)
    clipped = widened(forward(x, w, *window, relu=True), dtype)
    np.testing.assert_array_equal(clipped, np.maximum(y, 0))
    with pytest.raises(ValueError, match="bias must have one number for each output channel"):
        forward(x, w, *window, bias=bias[1:])


LEVEL = """
    import sys
    sys.path.insert(0, {folder!r})
    import test_conv2d_kernel as test
    for case in test.CASES:
        for dtype in ("float32", "float64"):
            test.test_kernels_equal_plain_loops(case, dtype)
        test.test_bits_do_not_depend_on_threads(case, "float32")
    test.test_kernels_equal_plain_loops("resnext", "bfloat16")
    test.test_rounding_of_2x2_tiles(1.0)
    print("passed")
"""


@pytest.mark.parametrize("level", ("baseline", "avx2"))
def test_every_cpu_level(level):
    environment = {**os.environ, "KERASCNN_CPU_LEVEL": level, "PYTHONPATH": os.pathsep.join(sys.path)}
    program = textwrap.dedent(LEVEL).format(folder=os.path.dirname(os.path.abspath(__file__)))
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "passed" in done.stdout, done.stderr[-3000:]


TILES = """
    import sys
    sys.path.insert(0, {folder!r})
    import numpy as np
    import test_conv2d_kernel as test
    for case in test.CASES:
        test.test_kernels_equal_plain_loops(case, "bfloat16")
        test.test_bits_do_not_depend_on_threads(case, "bfloat16")
    test.test_bias_and_relu_are_those_of_separate_steps("more out than in", "bfloat16")
    x, w = (test.stored(np.ones(size), "bfloat16")[0] for size in ((1, 5, 5, 32), (3, 3, 32, 32)))
    w[0, 0, 0, 0] = test.stored(np.array([np.inf]), "bfloat16")[0][0]
    y = test.kernels.conv2d_forward_bfloat16(x, w, (2, 2), (1, 1, 1, 1), (1, 1))
    print("tiles" if np.isnan(test.widened(y, "bfloat16")[0, 0, 0, 0]) else "loops")
"""


def test_tiles_of_bfloat16_are_emulated_where_no_processor_has_them():
    program = textwrap.dedent(TILES).format(folder=os.path.dirname(os.path.abspath(__file__)))
    for tiles, kernel in (("emulated", "tiles"), ("off", "loops")):  # tiles multiply the zeros around an image, too
        environment = {**os.environ, "KERASCNN_TILES": tiles, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout.split() == [kernel], done.stderr[-3000:]


@pytest.mark.parametrize("scale", (1e-30, 1.0, 1e30))
def test_rounding_of_2x2_tiles(scale):
    """Winograd's sums are about as exact as those of any order, at any scale, and where large numbers cancel."""
    random = np.random.default_rng(2)
    x = random.normal(size=(2, 14, 14, 32)).astype(np.float32)
    x[:, ::3] += 100
    x *= np.float32(scale)
    w = random.normal(size=(3, 3, 16, 32)).astype(np.float32)
    window = ((1, 1), (1, 1, 1, 1), (1, 1))
    exact = loops(x.astype(np.float64), w.astype(np.float64), *window)
    y = kernels.conv2d_forward(x, w, *window, n_threads=2)
    assert np.abs(y - exact).max() <= 2e-6 * np.abs(exact).max()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strides": (0, 1)}, "Strides must be at least 1"),
        ({"dilations": (1, -1)}, "Dilations must be at least 1"),
        ({"padding": (0, -1, 0, 0)}, "Padding must be at least 0"),
        ({"filters": np.zeros((3, 3, 3, 4), np.float32)}, "groups \\* the filters' input channels"),
        ({"filters": np.zeros((3, 3, 2, 5), np.float32)}, "must divide the filters' output channels"),
        ({"filters": np.zeros((3, 0, 2, 4), np.float32)}, "at least 1"),
        ({"filters": np.zeros((3, 3, 2), np.float32)}, "four dimensions"),
        ({"padding": (2**31 - 1, 2**31 - 1, 0, 0)}, "must be smaller than 2\\^31"),
        ({"padding": (0, 2**40, 0, 0)}, "below 2\\^31"),
    ],
)
def test_wrong_arguments_are_refused_in_words(change, message):
    arguments = {"x": np.zeros((1, 5, 5, 4), np.float32), "filters": np.zeros((3, 3, 2, 4), np.float32)} | change
    with pytest.raises(ValueError, match=message):
        kernels.conv2d_forward(**arguments)


def test_a_gradient_of_another_shape_is_refused():
    x, w = np.zeros((1, 5, 5, 4), np.float32), np.zeros((3, 3, 2, 4), np.float32)
    with pytest.raises(ValueError, match="dy must have the shape"):
        kernels.conv2d_input_gradient(x.shape, w, np.zeros((1, 5, 5, 4), np.float32))
    with pytest.raises(ValueError, match="dy must have the shape"):
        kernels.conv2d_filter_gradient(x, w.shape, np.zeros((1, 3, 3, 5), np.float32))


def test_filter_gradient_of_an_empty_batch_is_zero():
    dw = kernels.conv2d_filter_gradient(np.zeros((0, 5, 5, 4)), (3, 3, 2, 4), np.zeros((0, 3, 3, 4)), n_threads=2)
    assert dw.shape == (3, 3, 2, 4) and not dw.any()
