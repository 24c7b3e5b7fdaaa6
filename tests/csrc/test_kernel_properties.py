"""Random shapes, strides, dilations, groups, paddings, dtypes and thread counts: kernels equal their definitions."""

import numpy as np
import test_deform_conv2d_kernel as deform
import test_saf_pool2d_kernel as saf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_arrays import convolve, kernels, loops, stored, widened
from test_conv2d_kernel import TYPES  # dtype -> suffix, tolerance

RULES = settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def extents(low, high):
    return st.integers(low, high)


@st.composite
def convolutions(draw):
    """x shape, filters shape, strides, padding, dilations."""
    groups = draw(extents(1, 6))
    depth = draw(st.sampled_from([1, 1, 2, 3, 4, 5, 8, 16, 17, 32]))
    out = depth if draw(st.booleans()) else draw(extents(1, 18))
    taps = draw(st.tuples(extents(1, 5), extents(1, 5)))
    x = (draw(extents(0, 3)), draw(extents(1, 17)), draw(extents(1, 19)), groups * depth)
    return (
        x,
        (*taps, depth, groups * out),
        draw(st.tuples(extents(1, 3), extents(1, 3))),
        draw(st.tuples(*[extents(0, 4)] * 4)),
        draw(st.tuples(extents(1, 3), extents(1, 3))),
    )


@st.composite
def depthwise_convolutions(draw):
    """The same with one channel a group, one filter each."""
    channels = draw(extents(1, 70))
    return (
        (draw(extents(0, 2)), draw(extents(1, 17)), draw(extents(1, 40)), channels),
        (draw(extents(1, 7)), draw(extents(1, 7)), 1, channels),
        draw(st.tuples(extents(1, 4), extents(1, 4))),
        draw(st.tuples(*[extents(0, 6)] * 4)),
        draw(st.tuples(extents(1, 4), extents(1, 4))),
    )


def check_convolution(case, dtype, threads, seed):
    x_shape, w_shape, *window = case
    suffix, tolerance = TYPES[dtype]
    rng = np.random.default_rng(seed)
    (x, x64), (w, w64) = (stored(rng.standard_normal(shape), dtype) for shape in (x_shape, w_shape))
    y64 = loops(x64, w64, *window)
    dy, dy64 = stored(rng.standard_normal(y64.shape), dtype)
    dx64, dw64 = loops(x64, w64, *window, dy=dy64)
    results = convolve(x, w, dy, window, suffix, threads)
    # Sums of n terms of size one have a standard deviation of sqrt(n); errors are measured against that.
    terms = (np.prod(w_shape[:3]), np.prod(w_shape[:2]) * w_shape[3] * w_shape[2] / x_shape[3], np.prod(y64.shape[:3]))
    for result, expected, count in zip(results, (y64, dx64, dw64), terms, strict=True):
        assert result.shape == expected.shape
        scale = max(1.0, float(count)) ** 0.5
        values = widened(result, dtype)
        rounding = 0 if suffix == "" else tolerance * np.abs(expected)
        assert np.all(np.abs(values - expected) <= tolerance * scale * 4 + rounding)
    for one, many in zip(convolve(x, w, dy, window, suffix, 1), results, strict=True):
        np.testing.assert_array_equal(one, many)


@RULES
@given(convolutions(), st.sampled_from(sorted(TYPES)), extents(1, 5), st.integers(0, 2**16))
def test_conv2d(case, dtype, threads, seed):
    check_convolution(case, dtype, threads, seed)


@RULES
@given(depthwise_convolutions(), st.sampled_from(sorted(TYPES)), extents(1, 5), st.integers(0, 2**16))
def test_depthwise(case, dtype, threads, seed):
    check_convolution(case, dtype, threads, seed)


@st.composite
def deformable_convolutions(draw):
    """x shape, filters shape, offset groups, mask, strides, padding, dilations; small, as the plain loops are slow."""
    groups, offset_groups = draw(extents(1, 3)), draw(extents(1, 3))
    depth = offset_groups * draw(extents(1, 6))
    return (
        (draw(extents(0, 2)), draw(extents(1, 5)), draw(extents(1, 6)), groups * depth),
        (draw(extents(1, 3)), draw(extents(1, 3)), depth, groups * draw(extents(1, 5))),
        draw(st.sampled_from([offset_groups, groups * offset_groups])),
        draw(st.booleans()),
        draw(st.tuples(extents(1, 3), extents(1, 3))),
        draw(st.tuples(*[extents(0, 3)] * 4)),
        draw(st.tuples(extents(1, 3), extents(1, 3))),
    )


@settings(RULES, max_examples=50)
@given(deformable_convolutions(), st.sampled_from(sorted(deform.TYPES)), extents(1, 5), st.integers(0, 2**16))
def test_deform_conv2d(case, dtype, threads, seed):
    arrays, exact, options = deform.tensors(case, dtype, seed)
    suffix, tolerance = deform.TYPES[dtype]
    results = deform.run(arrays, options, suffix, threads)
    for result, expected in zip(results, deform.loops(*exact, *options), strict=True):
        assert (result is None) == (expected is None)
        if expected is not None:
            assert result.shape == expected.shape
            limit = tolerance * max(1.0, np.abs(expected).max(initial=0))
            np.testing.assert_allclose(widened(result, dtype), expected, rtol=0, atol=limit)
    for one, many in zip(deform.run(arrays, options, suffix, 1), results, strict=True):
        np.testing.assert_array_equal(one, many)


@RULES
@given(
    st.lists(extents(0, 5), min_size=1, max_size=3), extents(1, 210), extents(0, 80),
    st.sampled_from([0.5, 0.75, 1.0, 0.6]), st.sampled_from(["float32", "float64"]), extents(1, 5), extents(0, 2**16),
)  # fmt: skip
def test_lrn(rows, channels, radius, beta, dtype, threads, seed):
    rng = np.random.default_rng(seed)
    x, dy = (rng.standard_normal((*rows, channels)).astype(dtype) for _ in range(2))
    options = {"depth_radius": radius, "bias": 1.5, "alpha": 0.1, "beta": beta}
    index = np.arange(channels)
    band = (np.abs(index[:, None] - index) <= radius).astype("float64")
    x64, dy64 = x.astype("float64"), dy.astype("float64")
    scale = 1.5 + 0.1 * (x64 * x64) @ band
    y64 = x64 * scale**-beta
    dx64 = dy64 * scale**-beta - 0.2 * beta * x64 * ((dy64 * y64 / scale) @ band)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    for name, inputs, expected in (("lrn_forward", (x,), y64), ("lrn_gradient", (x, dy), dx64)):
        result = getattr(kernels, name)(*inputs, **options, n_threads=threads)
        np.testing.assert_allclose(result, expected, rtol=tolerance, atol=tolerance)
        np.testing.assert_array_equal(result, getattr(kernels, name)(*inputs, **options, n_threads=1))


@st.composite
def poolings(draw):
    """x shape, window, strides, padding; each window sees at least one pixel."""
    window = draw(st.tuples(extents(1, 4), extents(1, 4)))
    pads = [draw(st.tuples(*[extents(0, window[i] - 1)] * 2)) for i in (0, 1)]
    sizes = [draw(extents(window[i], 11)) for i in (0, 1)]
    shape = (draw(extents(1, 3)), *sizes, draw(extents(1, 40)))
    return shape, window, draw(st.tuples(extents(1, 4), extents(1, 4))), (*pads[0], *pads[1])


@RULES
@given(poolings(), st.sampled_from([0.0, 0.2, 0.5, 0.93]), st.booleans(), extents(1, 5), st.integers(0, 2**32 - 1))
def test_saf_pool2d(case, rate, per_channel, threads, seed):
    x = saf.images(case[0])
    options = saf.arguments(case) | {"rate": rate}
    y64, state64 = saf.expected(x, *case[1:], rate, per_channel, (seed, 7))
    y, state = kernels.saf_pool2d_forward(x, (seed, 7), **options, per_channel=per_channel, n_threads=threads)
    np.testing.assert_array_equal(state, state64)
    np.testing.assert_allclose(y, y64, rtol=1e-6)
    dy = np.random.default_rng(1).standard_normal(y.shape).astype("float32")
    dx = kernels.saf_pool2d_gradient(case[0], state, dy, **options, n_threads=threads)
    np.testing.assert_allclose(dx, saf.scattered(case[0], state, dy, *case[1:], rate), rtol=2e-5, atol=2e-5)
    np.testing.assert_array_equal(dx, kernels.saf_pool2d_gradient(case[0], state, dy, **options, n_threads=1))
