"""The kernel of local response normalization on NumPy arrays: values, gradients, threads, instruction sets."""

import functools
import os
import subprocess
import sys

import numpy as np
import pytest

kernels = pytest.importorskip("kerascnn._kernels", exc_type=ImportError)

# channels, radius: single channel, window wider than the row, odd sizes, blocks of a long row, sliding window
SIZES = [(1, 0), (1, 2), (7, 2), (7, 9), (96, 2), (217, 3), (217, 64), (217, 100), (1700, 5), (2001, 64), (1000, 70)]
BETAS = [0.75, 0.5, 1.0, 0.61]


@functools.lru_cache(1)
def window(channels, radius):
    index = np.arange(channels)
    return (np.abs(index[:, None] - index) <= radius).astype("float64")


def expected(x, radius, bias, alpha, beta):
    """The formula in float64 by a band matrix, and the function that gives its gradient."""
    x = x.astype("float64")
    band = window(x.shape[-1], radius)
    scale = bias + alpha * (x * x) @ band
    y = x * scale**-beta

    def gradient(dy):
        return dy * scale**-beta - 2 * alpha * beta * x * ((dy * y / scale) @ band)

    return y, gradient


def data(*shape):
    generator = np.random.default_rng(sum(shape))
    return generator.normal(size=shape) * 3, generator.normal(size=shape)


@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-13), ("float32", 2e-6)])
@pytest.mark.parametrize("channels, radius", SIZES)
def test_values_and_gradient(channels, radius, dtype, tolerance):
    x, dy = (values.astype(dtype) for values in data(5, channels))
    for beta in BETAS:
        constants = {"depth_radius": radius, "bias": 1.3, "alpha": 0.2, "beta": beta}
        y, gradient = expected(x, *constants.values())
        np.testing.assert_allclose(kernels.lrn_forward(x, **constants), y, rtol=tolerance, atol=tolerance)
        dx = kernels.lrn_gradient(x, dy, **constants)
        assert dx.dtype == dtype
        np.testing.assert_allclose(dx, gradient(dy.astype("float64")), rtol=tolerance, atol=5 * tolerance)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("channels, radius", [(7, 2), (96, 2), (217, 64), (1700, 5)])
def test_sixteen_bits_round_the_float32_result(channels, radius, dtype):
    x, dy = (rounded(values.astype("float32"), dtype) for values in data(29, channels))
    stored = [as_bits(values, dtype) for values in (x, dy)]
    for beta in BETAS:
        constants = (radius, 1.3, 0.2, beta)
        y = getattr(kernels, f"lrn_forward_{dtype}")(stored[0], *constants, n_threads=2)
        dx = getattr(kernels, f"lrn_gradient_{dtype}")(*stored, *constants)
        wide_y, wide_dx = kernels.lrn_forward(x, *constants), kernels.lrn_gradient(x, dy, *constants)
        np.testing.assert_array_equal(y, as_bits(wide_y, dtype))
        np.testing.assert_array_equal(dx, as_bits(wide_dx, dtype))


def as_bits(values, dtype):
    """float32 -> the nearest numbers of 16 bits, ties to even."""
    if dtype == "float16":
        return values.astype("float16").view("uint16")
    bits = values.view("uint32")
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("uint16")


def rounded(values, dtype):
    bits = as_bits(values, dtype)
    if dtype == "float16":
        return bits.view("float16").astype("float32")
    return (bits.astype("uint32") << 16).view("float32")


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-6), ("float64", 2e-14)])
def test_powers_are_exact_over_the_whole_range(dtype, tolerance):
    """One channel, alpha 0: nothing but the power of the bias is rounded."""
    scale = np.exp2(np.linspace(-90, 90, 4003))
    for beta in [*BETAS, 0.1, 1.3]:
        for bias in scale[:: 1 if beta == 0.75 else 16]:
            y = kernels.lrn_forward(np.ones((1, 1), dtype), 0, bias, 0.0, beta)
            np.testing.assert_allclose(y, np.asarray(bias, dtype).astype("float64") ** -beta, rtol=tolerance)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("channels, radius", SIZES)
def test_threads_do_not_change_a_bit(channels, radius, beta):
    x, dy = (values.astype("float32") for values in data(37, channels))
    one = kernels.lrn_forward(x, radius, beta=beta), kernels.lrn_gradient(x, dy, radius, beta=beta)
    for threads in (2, 3, 8):
        np.testing.assert_array_equal(kernels.lrn_forward(x, radius, beta=beta, n_threads=threads), one[0])
        np.testing.assert_array_equal(kernels.lrn_gradient(x, dy, radius, beta=beta, n_threads=threads), one[1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_and_small_numbers(dtype):
    x = np.array([[0.0, 1e-30, 1e5, -3.0, 1e12, 7.0, 0.0, 2.0]], dtype)
    for beta in BETAS:
        y, _ = expected(x, 1, 1e-3, 1e-4, beta)
        np.testing.assert_allclose(kernels.lrn_forward(x, 1, 1e-3, 1e-4, beta), y, rtol=3e-6)


@pytest.mark.parametrize("beta", BETAS)
def test_nan_and_infinity_stay_in_their_window_and_row(beta):
    x = np.ones((3, 9), "float32")
    x[1, 2], x[1, 8] = np.nan, np.inf
    y = kernels.lrn_forward(x, 2, beta=beta)
    dx = kernels.lrn_gradient(x, np.ones_like(x), 2, beta=beta)
    assert np.isfinite(y[[0, 2]]).all() and np.isfinite(dx[[0, 2]]).all()
    assert np.isnan(y[1, :5]).all() and np.isfinite(y[1, 5])
    np.testing.assert_array_equal(y[1, 6:8], 0)  # 1 / inf^beta


def test_any_rank_and_no_elements():
    x, _ = data(2, 3, 4, 5)
    np.testing.assert_array_equal(kernels.lrn_forward(x), kernels.lrn_forward(x.reshape(24, 5)).reshape(2, 3, 4, 5))
    for shape in [(0, 5), (3, 0), (2, 0, 4)]:
        empty = np.zeros(shape, "float32")
        assert kernels.lrn_forward(empty).shape == shape
        assert kernels.lrn_gradient(empty, empty).shape == shape


@pytest.mark.parametrize(
    "arguments, message",
    [({"depth_radius": -1}, "depth_radius must be at least 0. Received: -1"), ({"bias": 0.0}, "bias must be positive"),
     ({"alpha": -1.0}, "alpha must be at least 0"), ({"beta": float("nan")}, "beta must be positive")],
)  # fmt: skip
def test_check_says_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        kernels.lrn_forward(np.ones((2, 3)), **arguments)


def test_check_refuses_shapes():
    with pytest.raises(ValueError, match="at least 2 dimensions. Received: 1"):
        kernels.lrn_forward(np.ones(3))
    with pytest.raises(ValueError, match="dy must have the shape of x"):
        kernels.lrn_gradient(np.ones((2, 3)), np.ones((3, 2)))


@pytest.mark.parametrize("level", ["baseline", "avx2"])
def test_every_instruction_set_gives_the_same_to_rounding(level, tmp_path):
    x, dy = (values.astype("float32") for values in data(29, 70))
    np.savez(tmp_path / "in.npz", x=x, dy=dy)
    script = (
        "import sys, numpy as np; from kerascnn import _kernels as k; d = np.load(sys.argv[1]);"
        "print(k.cpu_level());"
        f"np.savez(sys.argv[2], *[f for b in {BETAS} for f in"
        " (k.lrn_forward(d['x'], beta=b, alpha=0.1), k.lrn_gradient(d['x'], d['dy'], beta=b, alpha=0.1))])"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "in.npz"), str(tmp_path / "out.npz")]
    environment = {**os.environ, "KERASCNN_CPU_LEVEL": level, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() in (level, "baseline")
    results = np.load(tmp_path / "out.npz")
    for index, beta in enumerate(BETAS):
        y, dx = (results[f"arr_{2 * index + i}"] for i in (0, 1))
        np.testing.assert_allclose(y, kernels.lrn_forward(x, beta=beta, alpha=0.1), rtol=1e-5)
        np.testing.assert_allclose(dx, kernels.lrn_gradient(x, dy, beta=beta, alpha=0.1), rtol=1e-4, atol=1e-6)
