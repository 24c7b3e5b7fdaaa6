"""Functions with `out` on the CPU: the same kernels on memory that comes by DLPack, bfloat16 included."""

import numpy as np
import pytest
from buffers import DTYPES, Buffer, CudaArray

kernels = pytest.importorskip("kerascnn._kernels", exc_type=ImportError)


@pytest.mark.parametrize("dtype", DTYPES)
def test_local_response_normalization(dtype):
    values, dy = np.random.default_rng(0).normal(size=(2, 5, 24))
    x, gradient, y, dx = (Buffer(data, dtype) for data in (values, dy, 0 * values, 0 * values))
    kernels.lrn_forward(x, out=y, alpha=0.1)
    kernels.lrn_gradient(x, gradient, out=dx, alpha=0.1, n_threads=2)
    wide, dy = x.array.astype("float64"), gradient.array.astype("float64")
    limit = {"float64": 1e-14, "float32": 1e-6, "float16": 2e-3, "bfloat16": 2e-2}[dtype]
    np.testing.assert_allclose(y.array.astype("float64"), kernels.lrn_forward(wide, alpha=0.1), rtol=limit)
    np.testing.assert_allclose(
        dx.array.astype("float64"), kernels.lrn_gradient(wide, dy, alpha=0.1), rtol=limit, atol=limit
    )


def test_numpy_arrays_are_buffers_too():
    x, w = np.random.default_rng(1).normal(size=(2, 6, 6, 4)), np.random.default_rng(2).normal(size=(3, 3, 2, 4))
    y = np.zeros((2, 4, 4, 4))
    kernels.conv2d_forward(x, w, out=y)
    np.testing.assert_array_equal(y, kernels.conv2d_forward(x, w))
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    kernels.conv2d_input_gradient(w, y, out=dx)
    kernels.conv2d_filter_gradient(x, y, out=dw)
    np.testing.assert_array_equal(dx, kernels.conv2d_input_gradient(x.shape, w, y))
    np.testing.assert_array_equal(dw, kernels.conv2d_filter_gradient(x, w.shape, y))


def test_memory_of_a_device_is_not_taken_for_the_cpu():
    x = np.zeros((2, 4), "float32")
    with pytest.raises(ValueError, match="x (is on a CUDA device, but|cannot be used: CUDA)"):
        kernels.lrn_forward(CudaArray(x), out=CudaArray(x))
