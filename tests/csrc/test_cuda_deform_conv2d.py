"""The CUDA kernels of deformable convolution, run on the CPU, against the formula in NumPy and the CPU's kernels.

There, working memory is cut into pieces of a few KiB (common/cuda_launch.h), so that these sizes have several chunks.
"""

import numpy as np
import pytest
from buffers import DTYPES, Buffer, CudaArray, dtype_of, tolerance

cuda = pytest.importorskip("kerascnn._cuda_on_cpu", exc_type=ImportError)
kernels = pytest.importorskip("kerascnn._kernels", exc_type=ImportError)

# x, kernel, filters, groups, offset groups, strides, dilations, padding, mask: vectors; groups and offset groups that
# cut across each other; odd channels, strides and dilations; more than one tile each way; 1x1; groups of one; deep
CASES = [
    ((2, 5, 6, 8), (3, 3), 8, 1, 1, (1, 1), (1, 1), (1, 1, 1, 1), True),
    ((1, 5, 4, 48), (3, 2), 6, 2, 3, (1, 1), (1, 1), (1, 1, 0, 1), True),
    ((1, 6, 5, 6), (2, 3), 9, 3, 2, (2, 1), (1, 2), (1, 0, 2, 2), False),
    ((1, 12, 12, 16), (3, 3), 72, 1, 2, (1, 1), (1, 1), (1, 1, 1, 1), False),
    ((1, 4, 5, 5), (1, 1), 3, 1, 1, (3, 2), (1, 1), (0, 0, 0, 0), True),
    ((1, 3, 3, 16), (2, 2), 16, 16, 4, (1, 1), (1, 1), (0, 1, 0, 1), True),
    ((1, 2, 3, 68), (3, 3), 66, 1, 1, (1, 1), (1, 1), (1, 1, 1, 1), True),
]
NAMES = ("y", "dx", "dfilters", "doffset", "dmask")


def tensors(case, dtype, batch=None):
    """x, filters, offset, mask (or None), dy as float64 numbers that the dtype holds."""
    (n, height, width, channels), kernel, filters, groups, offset_groups, strides, dilations, padding, masked = case
    n = n if batch is None else batch
    generator = np.random.default_rng(height * width + channels)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    rows = (height + padding[0] + padding[1] - spans[0]) // strides[0] + 1
    columns = (width + padding[2] + padding[3] - spans[1]) // strides[1] + 1
    depth = offset_groups * kernel[0] * kernel[1]
    shapes = [(n, height, width, channels), (*kernel, channels // groups, filters), (n, rows, columns, 2 * depth),
              (n, rows, columns, depth), (n, rows, columns, filters)]  # fmt: skip
    arrays = [generator.normal(size=shape) for shape in shapes]
    arrays[2] = 1.5 * arrays[2]
    arrays = [array.astype(dtype_of(dtype)).astype("float64") for array in arrays]
    # Coordinates away from whole numbers, where a rounded sum would fall on another side; some far outside
    arrays[2] = np.round(arrays[2] * 8) / 8 + 1 / 16
    if arrays[2].size:
        arrays[2].flat[0], arrays[2].flat[3], arrays[2].flat[7 % arrays[2].size] = np.nan, np.inf, -1e30
        if dtype == "float16":
            arrays[2].flat[7 % arrays[2].size] = -6e4
    return arrays if masked else [*arrays[:3], None, arrays[4]]


def expected(x, filters, offset, mask, dy, groups, offset_groups, strides, dilations, padding):
    """The formula and its gradients, one sample at a time, in float64."""
    n, rows, columns, _ = offset.shape
    kernel_height, kernel_width, depth, out = filters.shape
    y, results = np.zeros((n, rows, columns, out)), [np.zeros_like(x), np.zeros_like(filters), np.zeros_like(offset)]
    dx, dw, doffset = results
    dmask = None if mask is None else np.zeros_like(mask)
    each, per_group = x.shape[3] // offset_groups, out // groups
    for b, i, j, d, a, e in np.ndindex(n, rows, columns, offset_groups, kernel_height, kernel_width):
        number = (d * kernel_height + a) * kernel_width + e
        p, q = offset[b, i, j, 2 * number : 2 * number + 2]
        row, column = (
            i * strides[0] + a * dilations[0] - padding[0] + p,
            j * strides[1] + e * dilations[1] - padding[2] + q,
        )
        weight = 1.0 if mask is None else mask[b, i, j, number]
        if not (-1 < row < x.shape[1] and -1 < column < x.shape[2]):
            continue
        top, left = int(np.floor(row)), int(np.floor(column))
        channels = np.arange(d * each, (d + 1) * each)
        rates = np.zeros((len(channels), out))  # of each filter per sampled channel
        for at, c in enumerate(channels):
            own = slice(c // depth * per_group, (c // depth + 1) * per_group)
            rates[at, own] = filters[a, e, c % depth, own]
        back = rates @ dy[b, i, j]  # of the sample after the mask
        value, slope_y, slope_x = (np.zeros(len(channels)) for _ in range(3))
        for down in (0, 1):
            for aside in (0, 1):
                r, s = top + down, left + aside
                if not (0 <= r < x.shape[1] and 0 <= s < x.shape[2]):
                    continue
                fy = row - top if down else 1 - (row - top)
                fx = column - left if aside else 1 - (column - left)
                pixel = x[b, r, s, channels]
                value += fy * fx * pixel
                slope_y += (1 if down else -1) * fx * pixel
                slope_x += (1 if aside else -1) * fy * pixel
                dx[b, r, s, channels] += fy * fx * weight * back
        y[b, i, j] += weight * value @ rates
        for at, c in enumerate(channels):
            own = slice(c // depth * per_group, (c // depth + 1) * per_group)
            dw[a, e, c % depth, own] += weight * value[at] * dy[b, i, j, own]
        doffset[b, i, j, 2 * number] = weight * slope_y @ back
        doffset[b, i, j, 2 * number + 1] = weight * slope_x @ back
        if dmask is not None:
            dmask[b, i, j, number] = value @ back
    return y, dx, dw, doffset, dmask


def run(case, dtype, arrays, offset=0, module=cuda):
    """The kernels' results by name, from buffers whose surroundings are checked."""
    inputs = [None if array is None else Buffer(array, dtype, offset) for array in arrays]
    x, filters, shift, mask, dy = inputs
    results = [None if array is None else Buffer(np.full(array.shape, 77), dtype, offset)
               for array in (arrays[4], *arrays[:4])]  # fmt: skip
    options = {"offset_groups": case[4], "strides": case[5], "dilations": case[6], "padding": case[7]}
    module.deform_conv2d_forward_into(x, filters, shift, mask, out=results[0], **options)
    module.deform_conv2d_gradient_into(x, filters, shift, mask, dy, *results[1:], **options)
    assert all(buffer.guards_hold() for buffer in (*inputs, *results) if buffer is not None)
    return [None if buffer is None else buffer.array.astype("float64") for buffer in results]


def check(case, dtype, **options):
    """Values and all gradients against the formula, with errors of at most twice those of the CPU's kernels."""
    arrays = tensors(case, dtype)
    results, others = run(case, dtype, arrays, **options), run(case, dtype, arrays, module=kernels)
    truth = expected(*arrays, case[3], case[4], case[5], case[6], case[7])
    limit = {"float64": 1e-12, "float32": 1e-5}.get(dtype, tolerance(dtype_of(dtype)) / 4)
    for name, actual, other, wanted in zip(NAMES, results, others, truth, strict=True):
        assert (actual is None) == (wanted is None)
        if wanted is not None:
            error, allowed = np.abs(actual - wanted), limit * np.abs(wanted).max() + 2 * np.abs(other - wanted).max()
            assert error.max() <= allowed, f"{name}: {error.max()}, allowed {allowed}"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES[:3])
def test_values_and_gradients(case, dtype):
    check(case, dtype)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("case", CASES[3:])
def test_more_than_a_tile_and_less(case, dtype):
    check(case, dtype)


def test_unaligned_memory():
    for dtype in DTYPES:
        check(CASES[0], dtype, offset=1)


def test_blocks_stride_over_the_grid():
    cuda.set_max_blocks(2)
    try:
        check(CASES[1], "float32")
        check(CASES[3], "float32")
    finally:
        cuda.set_max_blocks(0)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_infinities_stay_where_they_belong(dtype):
    arrays = tensors(CASES[0], dtype)
    arrays[0][0, 2, 3, 1], arrays[1][1, 1, 0, 2], arrays[4][1, 3, 2, 5] = np.inf, -np.inf, np.inf
    results, others = run(CASES[0], dtype, arrays), run(CASES[0], dtype, arrays, module=kernels)
    for i in (0, 2):  # y and dfilters; the others differ where an infinite gradient meets a pixel outside the image
        np.testing.assert_array_equal(np.isfinite(results[i]), np.isfinite(others[i]))
        finite = np.isfinite(others[i])
        assert finite.any() and np.isinf(others[i]).any()
        np.testing.assert_array_equal(results[i][~finite], others[i][~finite])


def test_no_elements():
    for dtype in ("float32", "float16"):
        y, dx, dw, doffset, dmask = run(CASES[0], dtype, tensors(CASES[0], dtype, batch=0))
        assert y.size == dx.size == doffset.size == dmask.size == 0
        np.testing.assert_array_equal(dw, 0)
    no_pixels_in = ((1, 0, 3, 8), *CASES[0][1:7], (2, 1, 1, 1), True)
    for result in run(no_pixels_in, "float32", tensors(no_pixels_in, "float32")):
        np.testing.assert_array_equal(result, 0)
    no_pixels_out = ((2, 2, 2, 8), *CASES[0][1:7], (0, 0, 0, 0), True)
    for result in run(no_pixels_out, "float32", tensors(no_pixels_out, "float32")):
        np.testing.assert_array_equal(result, 0)


def test_numpy_and_cuda_arrays_are_buffers_too():
    arrays = tensors(CASES[0], "float64")
    options = {"padding": (1, 1, 1, 1)}
    y, z = np.zeros_like(arrays[4]), np.zeros_like(arrays[4])
    cuda.deform_conv2d_forward_into(*map(CudaArray, arrays[:4]), out=CudaArray(y), **options)
    kernels.deform_conv2d_forward_into(*arrays[:4], out=z, **options)
    np.testing.assert_allclose(y, z, rtol=0, atol=1e-12 * np.abs(z).max())
    np.testing.assert_array_equal(z, kernels.deform_conv2d_forward(*arrays[:4], **options))


def test_what_is_wrong_is_said():
    x, filters, offset, mask, dy = (Buffer(array, "float32") for array in tensors(CASES[0], "float32"))
    options = {"padding": (1, 1, 1, 1)}
    with pytest.raises(ValueError, match="offset must be"):
        cuda.deform_conv2d_forward_into(x, filters, mask, mask, out=dy, **options)
    with pytest.raises(ValueError, match="mask must be"):
        cuda.deform_conv2d_forward_into(x, filters, offset, offset, out=dy, **options)
    with pytest.raises(ValueError, match="dmask must be None exactly"):
        cuda.deform_conv2d_gradient_into(x, filters, offset, None, dy, x, filters, offset, mask, **options)
    with pytest.raises(ValueError, match="offset groups"):
        cuda.deform_conv2d_forward_into(x, filters, offset, mask, out=dy, offset_groups=3, **options)
