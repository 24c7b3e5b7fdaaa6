"""The CUDA kernels of SAF-pooling, run on the CPU: the bits of the CPU's kernels, in every type."""

import numpy as np
import pytest
from buffers import DTYPES, Buffer

cuda = pytest.importorskip("kerascnn._cuda_on_cpu", exc_type=ImportError)
kernels = pytest.importorskip("kerascnn._kernels", exc_type=ImportError)

KEY = (0x9ABCDEF0, 0x12345678)
# shape, window, strides, padding: 2x2 in vectors; odd channels; 3x3 overlapping; any overlapping; gaps; the whole
# image; a stride beyond what one thread writes
CASES = [
    ((2, 6, 8, 24), (2, 2), (2, 2), (0, 0, 0, 0)),
    ((2, 5, 7, 5), (2, 2), (2, 2), (0, 1, 1, 0)),
    ((2, 7, 7, 16), (3, 3), (2, 2), (1, 1, 0, 2)),
    ((1, 6, 6, 7), (2, 3), (1, 1), (1, 0, 1, 1)),
    ((1, 9, 8, 18), (2, 2), (4, 3), (0, 0, 1, 0)),
    ((3, 8, 8, 8), (8, 8), (8, 8), (0, 0, 0, 0)),
    ((1, 20, 4, 8), (3, 2), (17, 4), (0, 0, 0, 0)),
]


def run(module, case, dtype, rate, per_channel=False, offset=0, keep=True):
    """y, state and dx, from buffers whose surroundings are checked."""
    shape, window, strides, padding = case
    generator = np.random.default_rng(sum(shape))
    x = generator.integers(-9, 9, shape) / 8
    if x.size:
        x[..., 0, :] = np.where(generator.random(x[..., 0, :].shape) < 0.3, np.nan, x[..., 0, :])
    rows, columns = (
        max(0, (n + sum(pads) - size) // step + 1) if n else 0
        for n, size, step, pads in zip(shape[1:3], window, strides, (padding[:2], padding[2:]), strict=True)
    )
    pooled = (shape[0], rows, columns, shape[3])
    arguments = {"window": window, "strides": strides, "padding": padding, "rate": rate}
    x, dx = Buffer(x, dtype, offset), Buffer(np.full(shape, 77), dtype, offset)
    y, dy = Buffer(np.full(pooled, 77), dtype, offset), Buffer(generator.normal(size=pooled), dtype, offset)
    state = Buffer(np.full(pooled, 99), np.dtype("uint8"), offset)
    module.saf_pool2d_forward_into(x, KEY, out=y, state=state if keep else None, per_channel=per_channel, **arguments)
    if keep:
        module.saf_pool2d_gradient_into(state, dy, out=dx, **arguments)
    assert all(buffer.guards_hold() for buffer in (x, y, state, dy, dx))
    return [buffer.array.view("uint8") for buffer in (y, state, dx)]


def assert_same(case, dtype, *arguments, **named):
    """The kernels for a GPU and for the CPU give the same bits."""
    for actual, wanted in zip(
        *(run(module, case, dtype, *arguments, **named) for module in (cuda, kernels)), strict=True
    ):
        np.testing.assert_array_equal(actual, wanted)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_the_bits_of_the_cpu(case, dtype):
    assert_same(case, dtype, 0.3)
    assert_same(case, dtype, 0.4, per_channel=True)
    assert_same(case, dtype, 0.0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_inference_keeps_no_state(dtype):
    for case in CASES[:2]:
        y, state, _ = run(cuda, case, dtype, 0.3, keep=False)
        np.testing.assert_array_equal(y, run(cuda, case, dtype, 0.3)[0])
        assert (state == 99).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_unaligned_memory(dtype):
    assert_same(CASES[0], dtype, 0.3, offset=1)


def test_blocks_stride_over_the_grid():
    cuda.set_max_blocks(2)
    try:
        for case in [((3, 14, 14, 16), *CASES[0][1:]), ((2, 11, 9, 24), *CASES[2][1:])]:
            assert_same(case, "float32", 0.3)
    finally:
        cuda.set_max_blocks(0)


@pytest.mark.parametrize("shape", [(0, 4, 4, 8), (2, 4, 4, 0), (2, 0, 4, 8)])
def test_no_elements(shape):
    assert_same((shape, *CASES[0][1:]), "float16", 0.3)


def test_a_state_that_points_nowhere_gives_nothing():
    for window in (2, 3):
        state = Buffer(np.full((1, 2, 2, 8), 200), np.dtype("uint8"))
        dy, dx = Buffer(np.ones((1, 2, 2, 8)), "float32"), Buffer(np.ones((1, 5, 5, 8)), "float32")
        cuda.saf_pool2d_gradient_into(state, dy, out=dx, window=(window, window))
        np.testing.assert_array_equal(dx.array, 0)


def test_what_is_wrong_is_said():
    x, y = Buffer(np.zeros((1, 4, 4, 8)), "float32"), Buffer(np.zeros((1, 2, 2, 8)), "float32")
    state = Buffer(np.zeros((1, 2, 2, 8)), np.dtype("uint8"))
    with pytest.raises(ValueError, match="state must hold bytes"):
        cuda.saf_pool2d_forward_into(x, KEY, out=y, state=y)
    with pytest.raises(ValueError, match="x must hold float32.*Received: bytes"):
        cuda.saf_pool2d_forward_into(state, KEY, out=y)
    with pytest.raises(ValueError, match=r"state must have the shape \(1, 2, 2, 8\)"):
        cuda.saf_pool2d_forward_into(x, KEY, out=y, state=Buffer(np.zeros((1, 2, 2, 4)), np.dtype("uint8")))
    with pytest.raises(ValueError, match="The rate must be"):
        cuda.saf_pool2d_forward_into(x, KEY, out=y, rate=1.0)
    with pytest.raises(ValueError, match="dy must have the shape of the pooled images"):
        cuda.saf_pool2d_gradient_into(state, x, out=x)
    with pytest.raises(ValueError, match="x must have four dimensions"):
        cuda.saf_pool2d_forward_into(Buffer(np.zeros((4, 8)), "float32"), KEY, out=y)
