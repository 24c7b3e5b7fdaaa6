"""The conv2d kernels on NumPy arrays: against plain loops in float64, awkward sizes, any number of threads."""

import numpy as np
import pytest
from kernel_arrays import convolve, kernels, loops, stored, widened

CASES = {  # x shape, filters shape, strides, padding (top, bottom, left, right), dilations
    "resnext": ((2, 9, 14, 32), (3, 3, 4, 32), (1, 1), (1, 1, 1, 1), (1, 1)),
    "resnext stride 2": ((2, 15, 16, 32), (3, 3, 8, 32), (2, 2), (1, 1, 1, 1), (1, 1)),
    "16 channels a group": ((1, 8, 8, 64), (3, 3, 16, 64), (1, 1), (1, 1, 1, 1), (1, 1)),
    "32 channels a group": ((1, 7, 7, 64), (3, 3, 32, 64), (1, 1), (1, 1, 1, 1), (1, 1)),
    "depthwise": ((2, 7, 9, 17), (3, 3, 1, 17), (1, 1), (1, 1, 1, 1), (1, 1)),
    "depth multiplier": ((1, 5, 6, 6), (3, 2, 1, 18), (1, 2), (1, 0, 0, 1), (1, 1)),
    "two channels": ((1, 6, 7, 10), (2, 3, 2, 10), (1, 1), (0, 0, 0, 0), (1, 1)),
    "no groups": ((2, 7, 8, 5), (3, 3, 5, 7), (1, 1), (1, 1, 1, 1), (1, 1)),
    "many channels": ((1, 4, 5, 70), (1, 1, 70, 40), (1, 1), (0, 0, 0, 0), (1, 1)),
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
TYPES = {"float32": ("", 2e-5), "float64": ("", 1e-13), "float16": ("_float16", 1e-3), "bfloat16": ("_bfloat16", 8e-3)}


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
