"""The CUDA kernels of local response normalization, run on the CPU: every kernel and branch, in every type."""

import numpy as np
import pytest
from buffers import DTYPES, Buffer, dtype_of, tolerance

cuda = pytest.importorskip("kerascnn._cuda_on_cpu", exc_type=ImportError)

# rows, channels, radius. By vectors: radius 2 and 5; through shared memory: odd rows, other radii; wide: the last two.
SIZES = [(9, 16, 2), (7, 96, 2), (40, 8, 5), (3, 1056, 5), (5, 8, 1), (9, 7, 2), (30, 217, 3), (3, 2100, 64),
         (2, 217, 100), (1, 1300, 70)]  # fmt: skip


def expected(x, dy, radius, bias, alpha, beta):
    """The formula and its gradient in float64."""
    index = np.arange(x.shape[-1])
    band = (np.abs(index[:, None] - index) <= radius).astype("float64")
    scale = bias + alpha * (x * x) @ band
    y = x * scale**-beta
    return y, dy * scale**-beta - 2 * alpha * beta * x * ((dy * y / scale) @ band)


def run(x, dy, dtype, offset=0, **constants):
    """y and dx of the kernels, from buffers whose surroundings are checked."""
    x, dy = Buffer(x, dtype, offset), Buffer(dy, dtype, offset)
    y, dx = Buffer(np.zeros(x.array.shape), dtype, offset), Buffer(np.zeros(x.array.shape), dtype, offset)
    cuda.lrn_forward(x, out=y, **constants)
    cuda.lrn_gradient(x, dy, out=dx, **constants)
    assert y.guards_hold() and dx.guards_hold()
    return x.array.astype("float64"), dy.array.astype("float64"), y.array, dx.array


@pytest.fixture
def few_blocks():
    """Grids are cut, so that every block works more than once."""
    cuda.set_max_blocks(2)
    yield
    cuda.set_max_blocks(0)


@pytest.mark.parametrize("beta", [0.75, 0.5, 1.0, 0.61])
@pytest.mark.parametrize("dtype", DTYPES)
def test_values_and_gradients(dtype, beta):
    generator = np.random.default_rng(1)
    for rows, channels, radius in SIZES:
        x, dy = generator.normal(size=(2, rows, channels)) * [[[3]], [[1]]]
        constants = {"depth_radius": radius, "bias": 1.3, "alpha": 0.2, "beta": beta}
        x, dy, y, dx = run(x, dy, dtype, **constants)
        limit = max(tolerance(dtype_of(dtype)), 1e-13) * 4
        for actual, wanted in zip((y, dx), expected(x, dy, *constants.values()), strict=True):
            np.testing.assert_allclose(actual.astype("float64"), wanted, rtol=limit, atol=limit, err_msg=f"{x.shape}")


@pytest.mark.parametrize("channels, radius", [(96, 2), (32, 5), (33, 2), (300, 90)])
def test_blocks_stride_over_the_grid(few_blocks, channels, radius):
    generator = np.random.default_rng(2)
    x, dy, y, dx = run(*generator.normal(size=(2, 200, channels)), "float32", depth_radius=radius)
    for actual, wanted in zip((y, dx), expected(x, dy, radius, 2.0, 1e-4, 0.75), strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=2e-6, atol=1e-6)


def test_unaligned_memory():
    generator = np.random.default_rng(3)
    for dtype in DTYPES:
        x, dy, y, dx = run(*generator.normal(size=(2, 5, 64)), dtype, offset=1)
        limit = 4 * max(tolerance(dtype_of(dtype)), 1e-13)
        for actual, wanted in zip((y, dx), expected(x, dy, 2, 2.0, 1e-4, 0.75), strict=True):
            np.testing.assert_allclose(actual.astype("float64"), wanted, rtol=limit, atol=limit)


@pytest.mark.parametrize("channels", [12, 11])
@pytest.mark.parametrize("beta", [0.75, 0.5, 1.0, 0.61])
def test_nan_and_infinity_stay_in_their_window_and_row(beta, channels):
    x = np.ones((3, channels))
    x[1, 2], x[1, 9] = np.nan, np.inf
    _, _, y, dx = run(x, np.ones_like(x), "float32", beta=beta)
    assert np.isfinite(y[[0, 2]]).all() and np.isfinite(dx[[0, 2]]).all()
    assert np.isnan(y[1, :5]).all() and np.isfinite(y[1, 5])
    np.testing.assert_array_equal(y[1, 7:9], 0)  # 1 / inf^beta


def test_any_rank_and_no_elements():
    x = np.random.default_rng(4).normal(size=(2, 3, 4, 8))
    flat, deep = run(x.reshape(24, 8), x.reshape(24, 8), "float32"), run(x, x, "float32")
    np.testing.assert_array_equal(flat[2].reshape(x.shape), deep[2])
    for shape in [(0, 5), (3, 0), (2, 0, 4)]:
        run(np.zeros(shape), np.zeros(shape), "float16")
