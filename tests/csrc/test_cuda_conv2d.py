"""The CUDA kernels of conv2d, run on the CPU, against the float64 kernels for the CPU: every kernel, in every type."""

import numpy as np
import pytest
from buffers import DTYPES, Buffer

cuda = pytest.importorskip("kerascnn._cuda_on_cpu", exc_type=ImportError)
kernels = pytest.importorskip("kerascnn._kernels", exc_type=ImportError)

# x, filters, strides, padding (top, bottom, left, right), dilations
CASES = {
    "depthwise": ((2, 9, 10, 8), (3, 3, 1, 8), (1, 1), (1, 1, 1, 1), (1, 1)),
    "depthwise, dilated": ((1, 11, 9, 4), (5, 5, 1, 4), (1, 1), (4, 4, 4, 4), (2, 2)),
    "depthwise, odd channels, stride": ((2, 7, 8, 5), (3, 3, 1, 5), (2, 2), (0, 1, 1, 0), (1, 1)),
    "groups of 4": ((3, 13, 14, 8), (3, 3, 4, 8), (1, 1), (1, 1, 1, 1), (1, 1)),
    "groups of 4 to 8, stride": ((1, 9, 7, 8), (3, 3, 4, 16), (2, 2), (0, 1, 1, 1), (1, 1)),
    "groups of 4 to 2": ((1, 5, 6, 8), (3, 3, 4, 4), (1, 2), (1, 1, 1, 1), (1, 1)),
    "one to two channels": ((1, 6, 5, 4), (3, 2, 1, 8), (1, 1), (1, 1, 0, 1), (1, 1)),
    "dense, odd": ((2, 9, 11, 3), (2, 5, 3, 5), (3, 2), (2, 0, 1, 3), (2, 1)),
    "dense, dilated": ((1, 8, 9, 8), (3, 3, 8, 4), (1, 1), (3, 3, 3, 3), (3, 3)),
    "pointwise": ((2, 3, 5, 8), (1, 1, 8, 12), (1, 1), (0, 0, 0, 0), (1, 1)),
    "more padding than image": ((1, 1, 2, 4), (2, 2, 4, 4), (1, 1), (3, 2, 0, 4), (1, 1)),
}


def check(case, dtype, offset=0):
    """All three kernels; each error is held against the sum of the magnitudes that were added."""
    x_shape, w_shape, strides, padding, dilations = case
    window = {"strides": strides, "padding": padding, "dilations": dilations}
    generator = np.random.default_rng(5)
    x, w = (Buffer(generator.normal(size=shape), dtype, offset) for shape in (x_shape, w_shape))
    wide = [buffer.array.astype("float64") for buffer in (x, w)]
    y = kernels.conv2d_forward(*wide, **window)
    dy = Buffer(generator.normal(size=y.shape), dtype, offset)
    wide.append(dy.array.astype("float64"))
    rounding, summing = (float(np.finfo(t).eps) if t != "bfloat16" else 2**-7 for t in
                         (dtype, "float64" if dtype == "float64" else "float32"))  # fmt: skip
    calls = {
        "conv2d_forward": ((x, w), (0, 1), y.shape),
        "conv2d_input_gradient": ((w, dy), (1, 2), x_shape),
        "conv2d_filter_gradient": ((x, dy), (0, 2), w_shape),
    }
    for name, (buffers, order, shape) in calls.items():
        out = Buffer(np.full(shape, np.nan), dtype, offset)
        getattr(cuda, name)(*buffers, out=out, **window)
        assert out.guards_hold(), name
        given = [wide[i] for i in order]
        if name == "conv2d_input_gradient":
            given.insert(0, x_shape)
        elif name == "conv2d_filter_gradient":
            given.insert(1, w_shape)
        wanted = getattr(kernels, name)(*given, **window)
        magnitudes = [np.abs(item) if isinstance(item, np.ndarray) else item for item in given]
        bound = rounding * np.abs(wanted) + 16 * summing * getattr(kernels, name)(*magnitudes, **window) + 1e-30
        error = np.abs(out.array.astype("float64") - wanted)
        assert (error <= bound).all(), f"{name}: error {error.max()}, {(error / bound).max()} of what rounding explains"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name, dtype):
    check(CASES[name], dtype)


@pytest.mark.parametrize("name", ["depthwise", "groups of 4", "dense, odd"])
def test_blocks_stride_over_the_grid_and_memory_is_unaligned(name):
    cuda.set_max_blocks(2)
    try:
        check(CASES[name], "float32")
        check(CASES[name], "float32", offset=1)
    finally:
        cuda.set_max_blocks(0)


@pytest.mark.parametrize("x_shape", [(0, 5, 6, 4), (2, 0, 3, 4)])
def test_no_images_and_images_without_pixels(x_shape):
    check((x_shape, (3, 3, 2, 4), (1, 1), (1, 1, 1, 1), (1, 1)), "float32")


def test_what_does_not_fit_is_refused():
    x, w, out = np.zeros((1, 4, 4, 6)), np.zeros((3, 3, 4, 8)), np.zeros((1, 2, 2, 8))
    with pytest.raises(ValueError, match="must be groups \\* the filters' input channels. Received: 6, 4"):
        cuda.conv2d_forward(x, w, out=out)
    with pytest.raises(ValueError, match=r"out must have the shape \(1, 2, 2, 8\)"):
        cuda.conv2d_forward(x, np.zeros((3, 3, 3, 8)), out=np.zeros((1, 4, 4, 8)))
    with pytest.raises(ValueError, match="dy must have the shape of the convolution's result"):
        cuda.conv2d_filter_gradient(x, np.zeros((1, 4, 4, 8)), out=np.zeros((3, 3, 3, 8)))
    with pytest.raises(ValueError, match="filters must have four dimensions"):
        cuda.conv2d_forward(x, np.zeros((3, 3)), out=out)
