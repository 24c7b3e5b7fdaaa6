"""The depthwise kernels on NumPy arrays: against plain loops in float64, any sizes and threads, every CPU level."""

import itertools
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from kernel_arrays import convolve, kernels, loops, stored, widened

CASES = {  # x shape, taps, strides, padding (top, bottom, left, right), dilations
    "3x3": ((2, 10, 21, 17), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1)),
    "whole vectors": ((1, 9, 19, 32), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1)),
    "several chunks": ((1, 5, 12, 500), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1)),
    "three channels": ((2, 12, 18, 3), (3, 3), (1, 1), (0, 0, 0, 0), (1, 1)),
    "1x1": ((2, 5, 13, 20), (1, 1), (1, 1), (0, 0, 0, 0), (1, 1)),
    "1x1 stride 2": ((1, 6, 19, 18), (1, 1), (2, 2), (0, 0, 0, 0), (1, 1)),
    "3x3 stride 2": ((2, 17, 36, 17), (3, 3), (2, 2), (0, 1, 0, 1), (1, 1)),
    "stride 3": ((1, 11, 30, 18), (3, 3), (3, 3), (1, 1, 1, 1), (1, 1)),
    "5x5": ((2, 12, 20, 20), (5, 5), (1, 1), (2, 2, 2, 2), (1, 1)),
    "5x5 stride 2": ((1, 12, 35, 17), (5, 5), (2, 2), (2, 1, 2, 1), (1, 1)),
    "7x7": ((1, 14, 22, 17), (7, 7), (1, 1), (3, 3, 3, 3), (1, 1)),
    "7x7 stride 2": ((1, 15, 40, 16), (7, 7), (2, 2), (2, 3, 2, 3), (1, 1)),
    "small image": ((8, 7, 7, 24), (5, 5), (1, 1), (2, 2, 2, 2), (1, 1)),
    "dilated": ((1, 13, 40, 17), (3, 3), (1, 1), (2, 2, 3, 3), (2, 3)),
    "dilated beyond the image": ((1, 5, 6, 17), (3, 3), (1, 1), (7, 7, 7, 7), (7, 7)),
    "stride with dilation": ((1, 19, 41, 17), (3, 5), (2, 3), (2, 1, 0, 3), (3, 2)),
    "stride and dilation alike": ((1, 15, 40, 16), (3, 3), (2, 2), (2, 2, 2, 2), (2, 2)),
    "stride 6, dilation 4": ((1, 19, 50, 18), (3, 3), (6, 6), (1, 2, 3, 4), (4, 4)),
    "stride beyond the image": ((1, 3, 2, 17), (2, 2), (7, 5), (1, 1, 1, 1), (1, 1)),
    "asymmetric padding": ((2, 6, 17, 9), (2, 4), (1, 1), (0, 3, 2, 0), (1, 1)),
    "wide padding": ((1, 3, 3, 17), (2, 2), (1, 1), (5, 3, 14, 16), (1, 1)),
    "window larger than the image": ((2, 2, 3, 17), (5, 7), (1, 1), (2, 2, 3, 3), (1, 1)),
    "one row of taps": ((1, 4, 30, 16), (1, 9), (1, 1), (0, 0, 4, 4), (1, 1)),
    "many rows": ((1, 100, 12, 8), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1)),
    "empty batch": ((0, 5, 5, 17), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1)),
    "no output": ((1, 2, 2, 17), (3, 3), (1, 1), (0, 0, 0, 0), (1, 1)),
}
TYPES = {"float32": ("", 1e-5), "float64": ("", 1e-13), "float16": ("_float16", 1e-3), "bfloat16": ("_bfloat16", 4e-3)}


def inputs(case, dtype):
    """x, w, dy as the kernels take them, the same in float64, and the window."""
    x_shape, taps, *window = CASES[case]
    random = np.random.default_rng(0)
    x, exact_x = stored(random.normal(size=x_shape), dtype)
    w, exact_w = stored(random.normal(size=(*taps, 1, x_shape[3])), dtype)
    y = loops(exact_x, exact_w, *window)
    dy, exact_dy = stored(random.normal(size=y.shape), dtype)
    return (x, w, dy), (exact_x, exact_w, exact_dy, y), window


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("case", CASES)
def test_kernels_equal_plain_loops_for_any_number_of_threads(case, dtype):
    arrays, (x, w, dy, y), window = inputs(case, dtype)
    suffix, tolerance = TYPES[dtype]
    results = convolve(*arrays, window, suffix, 1)
    for ours, exact in zip(results, (y, *loops(x, w, *window, dy=dy)), strict=True):
        assert ours.shape == exact.shape
        limit = tolerance * max(1.0, np.abs(exact).max(initial=0))
        np.testing.assert_allclose(widened(ours, dtype), exact, rtol=0, atol=limit)
    for threads in (2, 3, 7):
        for a, b in zip(results, convolve(*arrays, window, suffix, threads), strict=True):
            assert a.tobytes() == b.tobytes()


def test_what_is_not_finite_stays_in_its_channel_and_window():
    """A tile computes neighbors together; an infinity must reach only what sees it."""
    for position, value in itertools.product((0, 7, 8, 20), (np.inf, np.nan)):
        x, w = np.ones((1, 5, 21, 18), np.float32), np.ones((3, 3, 1, 18), np.float32)
        x[0, 2, position, 17] = value
        y = kernels.conv2d_forward(x, w, padding=(1, 1, 1, 1))
        wrong = np.argwhere(~np.isfinite(y))
        assert {tuple(place) for place in wrong} == {
            (0, i, j, 17) for i in (1, 2, 3) for j in range(position - 1, position + 2) if 0 <= j < 21
        }
        dw = kernels.conv2d_filter_gradient(x, w.shape, np.ones_like(y), padding=(1, 1, 1, 1))
        assert np.isfinite(dw[..., :17]).all() and not np.isfinite(dw[1, 1, 0, 17])


@pytest.mark.parametrize("suffix", ("_bfloat16", "_float16"))
def test_halves_are_rounded_as_by_a_cast(suffix):
    """Every bit pattern through a 1x1 filter of one: what comes out is what went in."""
    x = np.arange(2**16, dtype=np.uint16).reshape(1, 16, 256, 16)
    dtype = suffix[1:]
    y = getattr(kernels, "conv2d_forward" + suffix)(x, stored(np.ones((1, 1, 1, 16)), dtype)[0])
    same = np.isnan(widened(x, dtype)) | (widened(x, dtype) == widened(y, dtype))
    assert same.all() and (np.isnan(widened(x, dtype)) == np.isnan(widened(y, dtype))).all()
    random = np.random.default_rng(0)
    x, w = np.exp(random.uniform(-20, 9, size=(1, 8, 8, 32))), random.normal(size=(1, 1, 1, 32))
    (x, exact_x), (w, exact_w) = stored(x, dtype), stored(w, dtype)
    y = widened(getattr(kernels, "conv2d_forward" + suffix)(x, w), dtype)
    exact = (exact_x * exact_w).astype(np.float32)
    bits = exact.view(np.uint32)
    nearest_even = widened(((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16), "bfloat16")
    np.testing.assert_array_equal(y, exact.astype(np.float16) if dtype == "float16" else nearest_even)


LEVEL = """
    import sys
    sys.path.insert(0, {folder!r})
    import test_depthwise_kernel as test
    for case in test.CASES:
        for dtype in test.TYPES:
            test.test_kernels_equal_plain_loops_for_any_number_of_threads(case, dtype)
    test.test_what_is_not_finite_stays_in_its_channel_and_window()
    test.test_halves_are_rounded_as_by_a_cast("_bfloat16")
    test.test_halves_are_rounded_as_by_a_cast("_float16")
    print("passed")
"""


@pytest.mark.parametrize("level", ("baseline", "avx2"))
def test_every_cpu_level(level):
    environment = {**os.environ, "KERASCNN_CPU_LEVEL": level, "PYTHONPATH": os.pathsep.join(sys.path)}
    program = textwrap.dedent(LEVEL).format(folder=os.path.dirname(os.path.abspath(__file__)))
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "passed" in done.stdout, done.stderr[-3000:]
