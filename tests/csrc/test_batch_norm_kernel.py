"""The kernel of batch normalisation on NumPy arrays: values, gradients, threads, instruction sets."""

import os
import subprocess
import sys

import numpy as np
import pytest

kernels = pytest.importorskip("kerascnn._kernels", exc_type=ImportError)

# rows, channels: one of each, fewer rows than a tile, several slabs of channels, several parts of several tiles
SIZES = [(1, 1), (1, 5), (7, 3), (100, 1), (33, 600), (50, 1030), (9001, 17), (40000, 4)]


def expected(x, scale, offset, dy, epsilon, relu):
    """y, mean, variance, dx, dscale, doffset by the formulas in float64."""
    x, scale, offset, dy = (value.astype("float64") for value in (x, scale, offset, dy))
    mean, variance = x.mean(0), x.var(0)
    deviation = (x - mean) / np.sqrt(variance + epsilon)
    y = deviation * scale + offset
    arriving = dy * (y > 0) if relu else dy
    dscale, doffset = (arriving * deviation).sum(0), arriving.sum(0)
    dx = scale / np.sqrt(variance + epsilon) * (arriving - doffset / len(x) - deviation * dscale / len(x))
    return y, mean, variance, dx, dscale, doffset


def data(rows, channels, dtype="float32", center=3.0):
    generator = np.random.default_rng(rows + channels)
    arrays = [generator.normal(size=(rows, channels)) * 2 + center, generator.normal(size=channels) + 1]
    arrays += [generator.normal(size=channels), generator.normal(size=(rows, channels))]
    return [array.astype(dtype) for array in arrays]


def computed(x, scale, offset, dy, epsilon=1e-3, relu=False, threads=1):
    y, mean, variance = kernels.batch_norm_forward(x, scale, offset, epsilon, threads)
    return y, mean, variance, *kernels.batch_norm_backward(x, scale, offset, mean, variance, dy, epsilon, relu, threads)


def difference(got, want):
    return np.abs(got - want).max() / max(np.abs(want).max(), 1e-3)


@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-13), ("float32", 3e-6)])
@pytest.mark.parametrize("rows, channels", SIZES)
def test_values_and_gradients(rows, channels, dtype, tolerance):
    arrays = data(rows, channels, dtype)
    for relu in (False, True):
        results = computed(*arrays, 0.01, relu)
        for got, want in zip(results, expected(*arrays, 0.01, relu), strict=True):
            assert got.dtype == dtype
            assert difference(got, want) <= tolerance


@pytest.mark.parametrize("rows, channels", SIZES)
def test_threads_do_not_change_a_bit(rows, channels):
    arrays = data(rows, channels)
    for relu in (False, True):
        one = computed(*arrays, relu=relu)
        for threads in (2, 3, 8):
            for got, want in zip(computed(*arrays, relu=relu, threads=threads), one, strict=True):
                np.testing.assert_array_equal(got, want)


def test_a_large_mean_costs_no_digits():
    x, scale, offset, dy = data(5000, 20, center=1e4)
    for got, want in zip(computed(x, scale, offset, dy), expected(x, scale, offset, dy, 1e-3, False), strict=True):
        assert difference(got, want) < 5e-4  # float32 has steps of 1e-3 at 1e4
    _, _, variance = kernels.batch_norm_forward(np.full((999, 3), 0.1, "float32"), *2 * [np.ones(3, "float32")])
    np.testing.assert_allclose(variance, 0, atol=1e-12)


def test_nan_and_infinity_stay_in_their_channel():
    x, scale, offset, dy = data(50, 20)
    x[3, 2], x[7, 5], dy[1, 9] = np.nan, np.inf, np.nan
    finite = np.ones(20, bool)
    finite[[2, 5]] = False
    y, mean, variance, dx, dscale, _ = computed(x, scale, offset, dy)
    assert np.isfinite(y[:, finite]).all() and np.isnan(y[:, 2]).all() and not np.isfinite(variance[5])
    finite[9] = False
    assert np.isfinite(dx[:, finite]).all() and np.isfinite(dscale[finite]).all() and np.isnan(dx[:, 9]).all()


def test_any_rank_and_no_elements():
    x, scale, offset, dy = data(24, 5)
    flat = computed(x, scale, offset, dy)
    for got, want in zip(computed(x.reshape(2, 3, 4, 5), scale, offset, dy.reshape(2, 3, 4, 5)), flat, strict=True):
        np.testing.assert_array_equal(got, want.reshape(got.shape))
    for shape in [(0, 5), (3, 0), (2, 0, 4), (0, 0)]:
        ones = np.ones(shape[-1], "float32")
        empty = np.zeros(shape, "float32")
        y, mean, variance, dx, dscale, doffset = computed(empty, ones, ones, empty)
        assert y.shape == dx.shape == shape and not dscale.any() and not doffset.any()
        assert np.isnan(mean).all() and np.isnan(variance).all()


@pytest.mark.parametrize("epsilon", [-1.0, float("nan"), float("inf")])
def test_check_refuses_epsilon(epsilon):
    with pytest.raises(ValueError, match="epsilon must be at least 0. Received"):
        kernels.batch_norm_forward(np.ones((2, 3)), np.ones(3), np.ones(3), epsilon)


def test_check_refuses_shapes():
    ones = np.ones
    with pytest.raises(ValueError, match="at least 2 dimensions. Received: 1"):
        kernels.batch_norm_forward(ones(3), ones(3), ones(3))
    for lengths in [(2, 3), (3, 4), (0, 3)]:
        with pytest.raises(ValueError, match="each of the 3 channels of x. Received"):
            kernels.batch_norm_forward(ones((2, 3)), *map(ones, lengths))
    with pytest.raises(ValueError, match="dy must have the shape of x"):
        kernels.batch_norm_backward(ones((2, 3)), ones(3), ones(3), ones(3), ones(3), ones((3, 3)))
    with pytest.raises(ValueError, match="mean and variance must have the length of scale"):
        kernels.batch_norm_backward(ones((2, 3)), ones(3), ones(3), ones(2), ones(3), ones((2, 3)))


@pytest.mark.parametrize("level", ["baseline", "avx2"])
def test_every_instruction_set_gives_the_same_to_rounding(level, tmp_path):
    arrays = data(1000, 70)
    np.savez(tmp_path / "in.npz", *arrays)
    script = (
        "import sys, numpy as np; from kerascnn import _kernels as k; x, s, o, dy = np.load(sys.argv[1]).values();"
        "print(k.cpu_level()); y, m, v = k.batch_norm_forward(x, s, o);"
        "np.savez(sys.argv[2], y, m, v, *k.batch_norm_backward(x, s, o, m, v, dy, relu=True))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "in.npz"), str(tmp_path / "out.npz")]
    environment = {**os.environ, "KERASCNN_CPU_LEVEL": level, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() in (level, "baseline")
    with np.load(tmp_path / "out.npz") as results:
        for got, want in zip(results.values(), computed(*arrays, relu=True), strict=True):
            assert difference(got, want) <= 2e-6
